// The photos of one form: taken or chosen, made smaller, shown, taken away again.

import { previewOf, smaller } from "./photo.js";
import { say } from "../said.js";

const MOST = 9;

export class Album {
  #photos = []; // {photo, preview}
  #work = Promise.resolve();

  // `pickers` are inputs of files, `list` an ul, `said` where something is said about them.
  constructor(pickers, list, said) {
    this.list = list;
    this.said = said;
    for (const picker of pickers) {
      picker.addEventListener("change", () => {
        this.add([...picker.files]);
        picker.value = ""; // so that the same photo can be chosen again after it was removed
      });
    }
  }

  add(files) {
    this.#work = this.#work.then(() => this.#add(files));
  }

  async #add(files) {
    let wrong = "";
    this.said.textContent = say("photo_reading");
    for (const file of files) {
      if (this.#photos.length >= MOST) {
        wrong = say("photo_most", { n: MOST });
        break;
      }
      try {
        this.#photos.push(await smaller(file));
      } catch {
        wrong = say("photo_wrong");
      }
    }
    this.#show(wrong);
  }

  // The photos, once all of them are read.
  async photos() {
    await this.#work;
    return this.#photos.map(({ photo }) => photo);
  }

  async fill(photos) {
    this.#photos = await Promise.all(photos.map(async (photo) => ({ photo, preview: await previewOf(photo) })));
    this.#show();
  }

  #show(wrong = "") {
    this.list.replaceChildren(...this.#photos.map(({ preview }, index) => this.#row(preview, index)));
    const bytes = this.#photos.reduce((sum, { photo }) => sum + photo.size, 0);
    const size = bytes < 1_000_000 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
    const kept = this.#photos.length ? say("photo_kept", { n: this.#photos.length, size }) : "";
    this.said.textContent = [wrong, kept].filter(Boolean).join(" ");
    this.said.classList.toggle("wrong", wrong !== "");
  }

  #row(preview, index) {
    const row = document.createElement("li");
    preview.setAttribute("role", "img");
    preview.setAttribute("aria-label", say("photo_n", { n: index + 1 }));
    const remove = document.createElement("button");
    remove.type = "button";
    remove.textContent = "×";
    remove.setAttribute("aria-label", say("photo_remove", { n: index + 1 }));
    remove.addEventListener("click", () => {
      this.#photos.splice(index, 1);
      this.#show();
    });
    row.append(preview, remove);
    return row;
  }
}
