// Takes what waits on the phone to the service, one thing at a time and in order: first every text, then the photos.
// `tell` hears {doing: "sending" | "waiting" | "ended" | "done", item, until, why}.

import { ask } from "./answer.js";

const FIRST_WAIT = 4;
const LONGEST_WAIT = 60;

export class Courier {
  #running = false;
  #again = false;
  #timer = null;
  #misses = 0;

  constructor(outbox, owner, tell) {
    this.outbox = outbox;
    this.owner = owner;
    this.tell = tell;
  }

  // May be called at any time and as often as one likes.
  async send() {
    this.#again = true;
    if (this.#running) return;
    this.#running = true;
    clearTimeout(this.#timer);
    const run = async () => {
      while (this.#again) {
        this.#again = false;
        await this.#round().catch(() => this.#stop({ means: "unheard" })); // a full phone cannot note what has arrived
      }
    };
    try {
      // Locks exist on HTTPS and on this machine only; a second tab without them repeats, and repeating is safe.
      await (navigator.locks ? navigator.locks.request("citybrain-report", run) : run());
    } finally {
      this.#running = false;
    }
    if (this.#again) this.send(); // asked for while the lock was being given back
  }

  async #round() {
    if (!this.#next(await this.outbox.items())) return this.tell({ doing: "done" });
    if (!navigator.onLine) return this.tell({ doing: "waiting", why: "offline" });
    let session = await ask("/api/v1/session");
    if (session.means !== "ok") return this.#stop(session);
    this.owner = session.told.name;
    for (let item; (item = this.#next(await this.outbox.items())); ) {
      this.tell({ doing: "sending", item });
      let answer = await deliver(item, session.told.csrf_token);
      if (answer.status === 403) {
        session = await ask("/api/v1/session"); // somebody signed in anew meanwhile
        if (session.means !== "ok") return this.#stop(session);
        answer = await deliver(item, session.told.csrf_token);
      }
      if (answer.means === "ok" || heardBefore(item, answer)) await this.#arrived(item, answer);
      else if (answer.means === "refused") await this.outbox.refuse(item, await refusal(item, answer));
      else return this.#stop(answer);
    }
    this.tell({ doing: "done" });
  }

  // The next step: a check's photos are its evidence and go first, a report's text goes before all photos.
  #next(items) {
    const mine = items.filter((item) => !item.refused && item.owner === this.owner);
    return mine.find((item) => item.body !== null && !before(item)) ?? mine.find((item) => item.photos.length);
  }

  async #arrived(item, { told }) {
    this.#misses = 0;
    if (item.body !== null && !before(item)) await this.outbox.acknowledged(item, told.id);
    else await this.outbox.photoSent(item, told.case?.version);
  }

  #stop({ means, seconds }) {
    if (means === "ended") return this.tell({ doing: "ended" });
    const own = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#misses++);
    const wait = seconds ?? own;
    this.#timer = setTimeout(() => this.send(), wait * 1000);
    this.tell({ doing: "waiting", why: means, until: Date.now() + wait * 1000 });
  }
}

// A check whose answer was lost is refused when it is repeated, and the case says that it was taken.
function heardBefore({ kind, owner, body: given }, { status, told }) {
  if (kind !== "check" || status !== 409) return false;
  const done = JSON.parse(given).passed ? "verified" : "reworked";
  return (told?.case?.timeline ?? []).slice(-2).some(({ actor, action }) => actor === owner && action === done);
}

const before = (item) => item.kind === "check" && item.photos.length > 0;

function deliver(item, csrf) {
  if (item.body !== null && !before(item)) return ask(item.path, { csrf, body: body(item) });
  const kind = item.kind === "check" ? "after" : "before";
  const of = item.kind === "check" ? item.path.replace(/\/verify$/, "") : `/api/v1/events/${item.event}`;
  return ask(`${of}/attachments?kind=${kind}`, { csrf, photo: item.photos[0] });
}

// Each photo of a check is an entry in the case's ledger and raises its version by one: that one is ours. Any other
// change is somebody else's, and the service will say so.
function body(item) {
  if (item.kind !== "check") return item.body;
  const given = JSON.parse(item.body);
  const raised = item.version ?? given.version;
  return JSON.stringify({ ...given, version: raised - given.version <= item.steps - 1 ? raised : given.version });
}

async function refusal(item, { status, told }) {
  const words = told && (await ask("/report/said", { body: JSON.stringify(told) }));
  const lines = words?.means === "ok" && Array.isArray(words.told) ? words.told : [];
  return { status, lines, photo: item.body === null || before(item) };
}
