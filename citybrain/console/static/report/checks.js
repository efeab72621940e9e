// Checks of handled cases: the verdict, and photos of what is there now, go the way of the reports, so that a check
// made without a network is not lost.

import { Album } from "./album.js";
import { moment } from "./clock.js";
import { say } from "../said.js";

export class Checks {
  #albums = new WeakMap(); // article → its photos

  constructor(section, outbox, owner, sent) {
    Object.assign(this, { outbox, owner, sent });
    section?.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#keep(event.target);
    });
    section?.addEventListener("change", ({ target }) => {
      if (target.type !== "file") return;
      this.#album(target.closest("article")).add([...target.files]);
      target.value = "";
    });
  }

  #album(article) {
    if (!this.#albums.has(article)) {
      this.#albums.set(article, new Album([], article.querySelector("ul.photos"), article.querySelector("[role=status]")));
    }
    return this.#albums.get(article);
  }

  async #keep(form) {
    const article = form.closest("article");
    if (article.dataset.kept) return;
    const given = new FormData(form);
    const passed = given.get("passed") === "true";
    const reason = (given.get("reason") ?? "").trim();
    if (!passed && !reason) return form.elements.reason.reportValidity();
    article.dataset.kept = "yes";
    const photos = await this.#album(article).photos();
    const body = { version: Number(given.get("version")), passed, ...(reason && { reason }) };
    const title = say(passed ? "check_passed" : "check_failed", { title: article.querySelector("h3 a").textContent });
    const path = `/api/v1/cases/${article.dataset.case}/verify`;
    const id = `check-${article.dataset.case}-${body.version}`;
    try {
      const item = { id, owner: this.owner, kind: "check", title, at: moment().toISOString(), path, photos };
      await this.outbox.keep({ ...item, body: JSON.stringify(body) });
    } catch {
      delete article.dataset.kept;
      article.querySelector("[role=status]").textContent = say("quota");
      return;
    }
    article.remove();
    this.sent();
  }
}
