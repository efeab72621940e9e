// The page's texts in the reader's language, as the server put them into it.

const texts = JSON.parse(document.getElementById("said")?.textContent ?? "{}");

export function say(key, values = {}) {
  const text = (String(values.n) === "1" && texts[`${key}_one`]) || texts[key];
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}
