// The way down to a village: what is chosen above decides what can be chosen below.

export function wire(root) {
  for (const part of root.querySelectorAll("[data-needs-script]")) part.hidden = false;
  // Where levels do not nest, each is chosen by itself.
  for (const box of root.querySelectorAll(".regions:not([data-flat])")) down(box);
}

wire(document);

function down(box) {
  const selects = [...box.querySelectorAll("select[data-region]")];
  const all = selects.map((select) => [...select.querySelectorAll("optgroup")]);

  selects.forEach((select, index) => select.addEventListener("change", () => below(index)));
  selects.slice(2).forEach((select) => empty(select));
  below(0, true);

  async function below(index, kept = false) {
    const next = selects[index + 1];
    if (!next) return;
    if (all[index + 1].length) narrow(index, kept);
    else await fill(selects[index], next);
    if (kept || next.value === "") below(index + 1, kept);
  }

  // The second select has every option, grouped by the first: only the chosen group stays.
  function narrow(index, kept) {
    const next = selects[index + 1];
    const chosen = selects[index].selectedOptions[0];
    const name = chosen?.value ? chosen.textContent : "";
    const value = next.value;
    for (const group of all[index + 1]) {
      if (!name || group.label === name) next.append(group);
      else group.remove();
    }
    next.value = value;
    if (!kept && next.selectedIndex < 0) next.value = "";
    if (next.selectedIndex < 0) next.selectedIndex = 0;
  }

  async function fill(above, select) {
    empty(select);
    if (!above.value) return;
    const asked = above.value;
    const answer = await fetch(`/api/v1/divisions/${encodeURIComponent(asked)}/children`).catch(() => null);
    if (!answer?.ok || above.value !== asked) return;
    const { items } = await answer.json();
    select.append(...items.map((each) => new Option(each.name, each.code)));
    select.disabled = !items.length;
  }

  function empty(select) {
    while (select.options.length > 1) select.options[1].remove();
    select.disabled = true;
  }
}
