// The grid worker's page: keeps what is reported on the phone first, sends it as soon as it can, and shows how far
// it has come. Without this script the form posts itself.

import { Album } from "./album.js";
import { Checks } from "./checks.js";
import { Courier } from "./courier.js";
import { Form } from "./form.js";
import { forget, install, persist } from "./install.js";
import { Lists } from "./lists.js";
import { Outbox } from "./outbox.js";
import { Position } from "./position.js";
import { say } from "../said.js";
import { openShelf } from "./shelf.js";
import { Strip } from "./strip.js";
import { Type } from "./type.js";
import { count, show } from "./views.js";
import { Waiting } from "./waiting.js";

const TAP = 800; // a tap within this, with nothing written in between, is the echo of the one before
const $ = (id) => document.getElementById(id);
const { owner, datum } = document.body.dataset;

const shelf = await openShelf();
const outbox = new Outbox(shelf, changed);
const courier = new Courier(outbox, owner, told);
const strip = new Strip($("strip"), owner, () => courier.send());
const lists = new Lists(outbox);
const waiting = new Waiting($("on-phone"), $("outbox"), owner, { correct, again, discard });
const element = $("report");
const album = new Album([$("camera"), $("album")], $("photos"), $("photos-said"));
const position = new Position(element, datum);
const type = new Type(element.elements.type, $("found"), $("recent"), shelf, () => element.elements.domain.value);
const form = new Form(element, { album, position, type });
new Checks($("tasks"), outbox, owner, sent);

let sending = null;
let keeping = false;
let keptAt = -Infinity; // until something is written

async function changed() {
  const items = await outbox.items();
  waiting.show(items, sending);
  strip.holds(items);
  count("mine", items.length);
  for (const { kind, path } of items) if (kind === "check") document.querySelector(`[data-case="${path?.split("/")[4]}"]`)?.remove();
  count("tasks", document.querySelectorAll("#tasks article").length);
  show();
}

async function told(state) {
  const before = sending;
  sending = state.doing === "sending" ? state.item.id : null;
  strip.told(state);
  await changed();
  if (state.doing === "done" && before) {
    await lists.refresh((await outbox.remembered())[0]?.id);
    strip.note(say("all_sent"));
    await changed();
  }
}

function sent() {
  strip.note(say(navigator.onLine ? "kept_sending" : "kept"));
  scrollTo(0, 0);
  courier.send();
}

element.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (keeping || performance.now() - keptAt < TAP) return;
  keeping = true;
  await file();
  keeping = false;
});

async function file() {
  const item = await form.read(owner);
  if (!item) return;
  const { type: code } = JSON.parse(item.body);
  try {
    await outbox.keep(item, form.instead);
  } catch {
    form.say(say("quota"));
    return;
  }
  if (shelf.lasting) persist();
  if (code) await type.used(code).catch(() => null);
  begun();
  form.clear();
  keptAt = performance.now();
  sent();
  position.locateIfAllowed();
}

// What was said of the last report makes room for the next one.
function begun() {
  keptAt = -Infinity;
  document.querySelector("[data-live=answer]").replaceChildren();
  strip.note("");
}

element.addEventListener("input", begun);

async function correct(item) {
  await form.fill(item);
  begun();
  location.hash = "#file";
}

async function again(item) {
  await outbox.again(item);
  courier.send();
}

async function discard(item) {
  if (item.refused.photo) return outbox.photoSent(item);
  if (confirm(say("sure_discard", { title: item.title }))) await outbox.discard(item);
}

// Signing out leaves nothing on the phone, but not without asking for what nobody has received yet.
document.querySelector(".who")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!navigator.onLine) return alert(say("cannot_leave"));
  const n = (await outbox.items()).length;
  if (n && !confirm(say("sure_leave", { n }))) return;
  await outbox.clear();
  await forget();
  event.target.submit();
});

document.querySelector(".appearance form").addEventListener("submit", (event) => {
  if (navigator.onLine) return;
  event.preventDefault();
  alert(say("cannot_change"));
});

function back() {
  courier.send();
  if (navigator.onLine) lists.refresh().then(changed);
}

addEventListener("online", back);
document.addEventListener("visibilitychange", () => document.hidden || back());

show();
await changed();
courier.send();
position.locateIfAllowed();
if (!shelf.lasting) strip.note(say("no_store"));
else if (!(await install()) && !isSecureContext) strip.note(say("no_worker"));
await (document.body.dataset.now ? lists.remember() : lists.refresh()); // a kept page has none
await changed();
