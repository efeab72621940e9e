// What somebody has typed in the forms of a page, to be there again after the page was drawn anew.

const FIELDS = "form :is(textarea, select, input:not([type=hidden], [type=file], [type=radio], [type=checkbox]))[id]";

export function typedIn(root) {
  return [...root.querySelectorAll(FIELDS)].filter(isTyped).map(({ id, value }) => ({ id, value }));
}

export function typeAgain(root, typed) {
  for (const { id, value } of typed) {
    const field = root.querySelector(`#${CSS.escape(id)}`);
    if (!field || isTyped(field)) continue;
    if (field.options && ![...field.options].some((option) => option.value === value)) continue;
    field.value = value;
    field.closest("details")?.setAttribute("open", "");
  }
}

function isTyped(field) {
  if (field.nodeName !== "SELECT") return field.value !== field.defaultValue;
  const chosen = [...field.options].find((option) => option.defaultSelected) ?? field.options[0];
  return field.value !== (chosen?.value ?? "");
}
