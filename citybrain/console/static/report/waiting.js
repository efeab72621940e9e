// What is still on the phone, row by row: how far each has come, and for a refused one what is wrong and what to do.

import { short } from "./clock.js";
import { say } from "../said.js";

export class Waiting {
  #rows = new Map(); // number → {row, shown}

  // `hands`: what the buttons do: correct(item), again(item), discard(item).
  constructor(section, list, owner, hands) {
    Object.assign(this, { section, list, owner, hands });
  }

  show(items, sending) {
    this.section.hidden = !items.length;
    const rows = items.map((item) => this.#row(item, item.id === sending));
    for (const id of this.#rows.keys()) if (!items.some((item) => item.id === id)) this.#rows.delete(id);
    const same = rows.length === this.list.children.length && rows.every((row, index) => row === this.list.children[index]);
    if (!same) this.list.replaceChildren(...rows);
  }

  // A row stays the same element, and keeps the focus, until what it says changes.
  #row(item, sending) {
    const told = state(item, this.owner, sending);
    const shown = JSON.stringify([told, item.refused, item.title]);
    const known = this.#rows.get(item.id);
    if (known?.shown === shown) return known.row;
    const row = known?.row ?? document.createElement("li");
    row.dataset.id = item.id;
    row.dataset.state = told.code;
    row.replaceChildren(...this.#parts(item, told));
    this.#rows.set(item.id, { row, shown });
    return row;
  }

  #parts(item, told) {
    const head = element("p", "", element("span", "", item.title), element("span", `status o-${told.code}`, told.text));
    const photos = item.photos.length ? ` · ${say("photos_n", { n: item.photos.length })}` : "";
    const parts = [head, element("p", "meta", short(item.at) + photos)];
    if (!item.refused) {
      const done = item.steps - item.photos.length - (item.body === null ? 0 : 1);
      const bar = Object.assign(document.createElement("progress"), { max: item.steps, value: done });
      bar.setAttribute("aria-label", say("progress", { title: item.title, n: done, all: item.steps }));
      return [...parts, bar];
    }
    const lines = [...item.refused.lines, todo(item)];
    parts.push(element("div", "said", ...lines.map((line) => element("p", "", line))), this.#buttons(item));
    return parts;
  }

  #buttons(item) {
    const hands = element("p", "hands");
    const button = (words, hand) => {
      const made = element("button", "", say(words));
      made.type = "button";
      made.addEventListener("click", () => hand(item));
      hands.append(made);
    };
    if (!item.refused.photo && item.kind === "event") button("correct", this.hands.correct);
    if (item.refused.photo || ![409, 422].includes(item.refused.status)) button("again", this.hands.again);
    button(item.refused.photo ? "discard_photo" : "discard", this.hands.discard);
    return hands;
  }
}

function state(item, owner, sending) {
  const checks = item.kind === "check";
  if (item.refused) return { code: "refused", text: say(item.refused.photo && !checks ? "refused_photo" : "refused") };
  if (item.owner !== owner) return { code: "others", text: say("others", { name: item.owner }) };
  const photo = item.photos.length > 0 && (item.body === null || checks);
  if (sending && photo) return { code: "sending", text: say("sending_photo", { n: item.steps - item.photos.length, all: item.steps - 1 }) };
  if (sending) return { code: "sending", text: say("sending") };
  if (item.body === null) return { code: "photos", text: say("photos_left", { n: item.photos.length }) };
  return { code: "waiting", text: say("waiting") };
}

function todo({ kind, refused }) {
  if (refused.photo && kind === "event") return say("todo_photo");
  if (kind === "check") return say("todo_check");
  const known = [403, 409, 413, 422].includes(refused.status);
  return known ? say(`todo_${refused.status}`) : say("todo_other", { status: refused.status });
}

function element(name, classes, ...children) {
  const made = document.createElement(name);
  if (classes) made.className = classes;
  made.append(...children);
  return made;
}
