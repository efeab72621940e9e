// The line on top: whether there is a network, and what becomes of what is still on the phone.

import { say } from "../said.js";

export class Strip {
  #state = { doing: "done" };
  #items = [];
  #note = "";

  // `now`: sends at once.
  constructor(line, owner, now) {
    Object.assign(this, { line, owner, now });
    for (const name of ["online", "offline"]) addEventListener(name, () => this.#show());
    setInterval(() => this.#show(), 1_000);
  }

  told(state) {
    this.#state = state;
    this.#show();
  }

  holds(items) {
    this.#items = items;
    this.#show();
  }

  // Until something else is to be said: what just happened.
  note(text) {
    this.#note = text;
    this.#show();
  }

  #show() {
    const { kind, text, link } = this.#said();
    const shown = `${kind} ${text}`;
    if (this.line.dataset.shown === shown) return;
    this.line.dataset.shown = shown;
    this.line.className = `strip ${kind}`;
    this.line.hidden = !text;
    this.line.replaceChildren(text, ...(link ? [" ", link] : []));
  }

  #said() {
    const mine = this.#items.filter((item) => item.owner === this.owner);
    const refused = mine.filter((item) => item.refused).length;
    const n = mine.length - refused;
    const { doing, why, until } = this.#state;
    if (doing === "ended") {
      const text = n + refused ? say("ended", { n: n + refused }) : say("ended_none");
      return { kind: "bad", text, link: this.#link("/login?next=%2Freport", say("sign_in")) };
    }
    if (!navigator.onLine) return { kind: "off", text: n ? say("offline_unsent", { n }) : say("offline_ready") };
    if (n && doing === "waiting") return this.#later(why, until);
    if (n && doing === "sending") return { kind: "busy", text: say("sending_n", { n }) };
    if (refused) return { kind: "bad", text: say("refused_n", { n: refused }), link: this.#link("#mine", say("see")) };
    return { kind: "good", text: this.#note };
  }

  #later(why, until) {
    const n = Math.max(0, Math.ceil((until - Date.now()) / 1000));
    if (why === "later") return { kind: "busy", text: say("busy", { n }) };
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: say("now") });
    button.addEventListener("click", () => this.now());
    return { kind: "off", text: say("again_in", { n }), link: button };
  }

  #link(href, textContent) {
    return Object.assign(document.createElement("a"), { href, textContent });
  }
}
