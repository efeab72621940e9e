// Runs before the page is drawn, so that nothing jumps: with script, the desk is a workbench.
document.documentElement.classList.add("scripted");
