// Elements stay the same while their texts change, so that focus, selection and scroll stay where they are. Attributes
// that the page's own script or the reader keeps on an element are left alone.

const OURS = new Set(["tabindex", "aria-selected", "aria-current"]);

export function morph(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType === Node.TEXT_NODE && fresh.nodeType === Node.TEXT_NODE) {
    old.data = fresh.data;
  } else if (old.nodeName !== fresh.nodeName || old.nodeType !== Node.ELEMENT_NODE) {
    old.replaceWith(fresh.cloneNode(true));
  } else {
    attributes(old, fresh);
    const before = [...old.childNodes];
    const after = [...fresh.childNodes];
    if (before.length === after.length) before.forEach((node, index) => morph(node, after[index]));
    else old.replaceChildren(...after.map((node) => node.cloneNode(true)));
  }
}

function attributes(old, fresh) {
  const ours = (name) => (name === "open" ? old.nodeName === "DETAILS" : OURS.has(name) && old.matches("tr[data-id]"));
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !ours(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && !ours(name)) old.setAttribute(name, value);
  }
}
