// What the service says: the answer to the last report, what became of the others, what is to be checked. Fetched as
// the server renders it; without a network, what the phone remembers.

import { short } from "./clock.js";
import { say } from "../said.js";

const NAMES = ["answer", "tasks", "mine"];

export class Lists {
  constructor(outbox) {
    this.outbox = outbox;
    this.fetched = Boolean(part(document, "mine")?.querySelector("[data-id]"));
  }

  // `done`: the event whose answer is to be shown in full.
  async refresh(done = "") {
    const address = `/fragments/report?done=${encodeURIComponent(done)}`;
    const answer = await fetch(address, { redirect: "manual", signal: AbortSignal.timeout?.(10_000) }).catch(() => null);
    if (!answer?.ok) return this.#remembered();
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const name of NAMES) this.#take(name, fresh, done);
    this.fetched = true;
    await this.remember();
  }

  #take(name, fresh, done) {
    const old = part(document, name);
    const now = part(fresh, name);
    if (!old || inUse(old) || (name === "answer" && !done)) return;
    if (!now) old.closest(".view")?.remove(); // this key checks nothing
    else if (!old.isEqualNode(now)) old.replaceWith(now);
  }

  // What the page shows of them, for when there is no network.
  async remember() {
    const rows = [...(part(document, "mine")?.querySelectorAll("li[data-id]") ?? [])];
    const reports = rows.map((row) => ({
      id: row.dataset.id,
      title: row.querySelector("span").textContent,
      at: row.querySelector("time").dateTime,
      state: row.querySelector(".status").textContent,
    }));
    if (reports.length) await this.outbox.remember(reports);
  }

  async #remembered() {
    const list = document.getElementById("remembered");
    if (this.fetched || !list) return;
    const known = await this.outbox.remembered();
    list.replaceChildren(...known.map(({ title, at, state }) => row(title, at, state === "received" ? say("state_received") : state)));
  }
}

// Nobody loses what they are writing, or a photo that they took.
const inUse = (old) => old.contains(document.activeElement) || old.querySelector("details[open], ul.photos li") !== null;
const part = (root, name) => root.querySelector(`[data-live="${name}"]`);

function row(title, at, state) {
  const made = document.createElement("li");
  const head = document.createElement("p");
  const status = Object.assign(document.createElement("span"), { className: "status", textContent: state });
  head.append(Object.assign(document.createElement("span"), { textContent: title }), status);
  const when = Object.assign(document.createElement("p"), { className: "meta", textContent: short(at) });
  made.append(head, when);
  return made;
}
