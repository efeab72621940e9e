// The type of what is reported: searched among the catalogue on the phone by Chinese words, pinyin or its initials,
// English or code, ranked as the service ranks, or picked from those used lately.

import { say } from "../said.js";

const SHOWN = 8;
const RECENT = 4;
const CODE = /[（(]([^（()）]+)[)）]\s*$/;

export class Type {
  #types = null;
  #active = -1;

  constructor(field, list, recent, shelf, domain) {
    Object.assign(this, { field, list, recent, shelf, domain });
    field.removeAttribute("list");
    const combobox = { role: "combobox", "aria-autocomplete": "list", "aria-controls": list.id, "aria-expanded": "false" };
    for (const [name, text] of Object.entries(combobox)) field.setAttribute(name, text);
    field.addEventListener("focus", () => {
      field.parentElement.scrollIntoView({ block: "start" }); // above the keyboard, with room for what is found
      this.#search();
    });
    field.addEventListener("input", () => this.#search());
    field.addEventListener("blur", () => this.#close());
    field.addEventListener("keydown", (event) => this.#key(event));
    list.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
    list.addEventListener("click", (event) => this.#take(event.target.closest("[data-type]")));
    recent.addEventListener("click", (event) => this.#take(event.target.closest("[data-type]")));
    this.showRecent();
  }

  // The code; "" where the system shall decide, null for a text that is no type.
  async code() {
    const text = this.field.value.trim();
    if (!text) return "";
    const typed = CODE.exec(text)?.[1];
    const types = (await this.#all()).filter((each) => each.domain === this.domain());
    const found = types.filter((each) => each.code === typed || each.name === text);
    if (found.length === 1) return found[0].code;
    return types.length ? null : (typed ?? null); // without the catalogue the service decides
  }

  async used(code) {
    const type = (await this.#all()).find((each) => each.code === code && each.domain === this.domain());
    if (!type) return;
    const { domain, name } = type;
    await this.shelf.write(["recent", "put", { code, domain, name, at: Date.now() }]);
    await this.showRecent();
  }

  async name(code) {
    const type = (await this.#all()).find((each) => each.code === code && each.domain === this.domain());
    return type ? label(type) : code;
  }

  async showRecent() {
    const known = (await this.shelf.all("recent")).filter((each) => each.domain === this.domain());
    const last = known.sort((one, other) => other.at - one.at).slice(0, RECENT);
    this.recent.replaceChildren(...last.map((type) => option(type, "li", "button")));
    this.recent.hidden = !last.length;
  }

  async #all() {
    if (!this.#types?.length) {
      const answer = await fetch("/report/types", { redirect: "manual" }).catch(() => null);
      this.#types = answer?.ok ? await answer.json().catch(() => []) : [];
    }
    return this.#types;
  }

  // Also while an input method composes: its pinyin is something to search by. Only its keys are left to it.
  async #search() {
    const asked = this.field.value;
    const words = asked.normalize("NFKC").toLowerCase().replace(CODE, "").split(/[\s']+/).filter(Boolean);
    if (!words.length) return this.#close();
    const types = await this.#all();
    if (asked !== this.field.value || document.activeElement !== this.field) return;
    const domain = this.domain();
    const found = ranked(types.filter((each) => each.domain === domain), words).slice(0, SHOWN);
    this.#active = -1;
    this.list.replaceChildren(...found.map((type, index) => option(type, "li", null, `found-${index}`)));
    this.#show(found.length > 0);
    document.getElementById("type-said").textContent = found.length ? say("types_found", { n: found.length }) : say("no_types");
  }

  #show(open) {
    this.list.hidden = !open;
    this.field.setAttribute("aria-expanded", String(open));
    const active = this.list.children[this.#active];
    for (const each of this.list.children) each.setAttribute("aria-selected", String(each === active));
    if (active) this.field.setAttribute("aria-activedescendant", active.id);
    else this.field.removeAttribute("aria-activedescendant");
    active?.scrollIntoView({ block: "nearest" });
  }

  #close() {
    this.#active = -1;
    this.list.replaceChildren();
    this.#show(false);
  }

  #key(event) {
    if (event.isComposing || event.keyCode === 229 || this.list.hidden) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      const { length } = this.list.children;
      this.#active = (this.#active + step + (this.#active < 0 && step < 0 ? 1 : 0) + length) % length;
      this.#show(true);
    } else if (event.key === "Enter") this.#take(this.list.children[Math.max(0, this.#active)]);
    else if (event.key === "Escape") this.#close();
    else return;
    event.preventDefault();
  }

  #take(chosen) {
    if (!chosen) return;
    this.field.value = chosen.dataset.type;
    this.field.dispatchEvent(new Event("change", { bubbles: true }));
    this.#close();
  }
}

const label = ({ name, code }) => say("coded", { name, code });

function option(type, row, inner, id) {
  const item = document.createElement(row);
  const target = inner ? item.appendChild(document.createElement(inner)) : item;
  target.dataset.type = label(type);
  target.append(type.name);
  if (inner) target.type = "button";
  else {
    Object.assign(item, { id, role: "option" });
    if (type.class) target.append(Object.assign(document.createElement("small"), { textContent: type.class }));
  }
  return item;
}

// The smaller the better: whether a whole text was asked for, its beginning or something inside; then which text.
function ranked(types, words) {
  const found = [];
  for (const type of types) {
    const places = words.map((word) => best(word, type.texts));
    if (places.every((place) => place !== null)) found.push([Math.max(...places), type]);
  }
  found.sort(([one, first], [other, second]) => one - other || first.name.length - second.name.length || (first.code < second.code ? -1 : 1));
  return found.map(([, type]) => type);
}

function best(word, texts) {
  let place = null;
  for (const [where, text] of texts) {
    const at = text.indexOf(word);
    if (at < 0) continue;
    const how = text === word ? 0 : at === 0 ? 1 : 2;
    place = Math.min(place ?? Infinity, how * 10 + where);
  }
  return place;
}
