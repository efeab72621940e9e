// What this phone still has to send, in the order in which it was written. Nothing leaves it before the server has
// acknowledged it; of what was sent only its number, title, time and state stay.

const REMEMBERED = 50;

export class Outbox {
  constructor(shelf, changed) {
    this.shelf = shelf;
    this.others = new BroadcastChannel("citybrain-report"); // the same page in another tab
    this.others.onmessage = changed;
    this.changed = changed;
  }

  async items() {
    return (await this.shelf.all("outbox")).sort((one, other) => one.order - other.order);
  }

  async remembered() {
    return (await this.shelf.all("sent")).sort((one, other) => Date.parse(other.at) - Date.parse(one.at));
  }

  // `instead`: the number of the refused one that this one corrects.
  async keep(item, instead) {
    const last = (await this.items()).at(-1)?.order ?? 0;
    item.order = Math.max(Date.now(), last + 1);
    item.steps = item.photos.length + 1;
    await this.#write(["outbox", "put", item], ...(instead ? [["outbox", "delete", instead]] : []));
  }

  // Its text has arrived: who reported what goes from the phone at once, photos wait for their own turn.
  async acknowledged(item, event) {
    const { id, order, owner, kind, title, at, photos, steps } = item;
    const left = { id, order, owner, kind, title, at, photos, steps, path: null, body: null, event };
    await this.#advance(left);
  }

  async photoSent(item, version) {
    await this.#advance({ ...item, photos: item.photos.slice(1), version: version ?? item.version, refused: undefined });
  }

  async #advance(item) {
    if (item.body !== null || item.photos.length) return this.#write(["outbox", "put", item]);
    await this.#write(["outbox", "delete", item.id]);
    if (item.kind === "event") await this.#recall(item);
  }

  async #recall({ event, title, at }) {
    const old = (await this.remembered()).slice(REMEMBERED - 1);
    await this.#perhaps(["sent", "put", { id: event, title, at, state: "received" }], ...old.map((each) => ["sent", "delete", each.id]));
  }

  // A full phone forgets what was sent; that is no reason to stop.
  async #perhaps(...changes) {
    await this.shelf.write(...changes).catch(() => null);
  }

  refuse(item, refused) {
    return this.#write(["outbox", "put", { ...item, refused }]);
  }

  again(item) {
    return this.#write(["outbox", "put", { ...item, refused: undefined }]);
  }

  discard(item) {
    return this.#write(["outbox", "delete", item.id]);
  }

  // What the server says of the last ones takes the place of what the phone remembered.
  remember(reports) {
    return this.#perhaps(["sent", "clear"], ...reports.map((each) => ["sent", "put", each]));
  }

  clear() {
    return this.#write(["outbox", "clear"], ["sent", "clear"], ["recent", "clear"]);
  }

  async #write(...changes) {
    await this.shelf.write(...changes);
    this.others.postMessage("changed");
    await this.changed();
  }
}
