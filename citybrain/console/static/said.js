// The page's texts in the reader's language, as the server put them into it.

const texts = JSON.parse(document.getElementById("said")?.textContent ?? "{}");

export function say(key, values = {}) {
  return texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}
