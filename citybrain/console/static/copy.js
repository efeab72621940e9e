// Copies what is shown once; where a browser gives no clipboard to this address, it selects the text instead.

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const field = document.getElementById(button.dataset.copy);
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      if (!document.execCommand("copy")) return;
    }
    document.getElementById("copied").textContent = button.dataset.copied;
  });
}
