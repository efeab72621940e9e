// One box for all boxes of a name in its form that can be ticked.

for (const all of document.querySelectorAll("[data-all]")) {
  all.closest("label").hidden = false;
  all.addEventListener("change", () => {
    for (const box of all.form.querySelectorAll(`input[name="${all.dataset.all}"]:enabled`)) box.checked = all.checked;
  });
}
