// Keeps the desk fresh without moving anything under the reader's hands: cards and rows change in place, new and
// re-sorted rows wait behind a counter until somebody asks for them.

import { morph } from "./morph.js";
import { fetched } from "./page.js";
import * as queue from "./queue.js";
import { say } from "./said.js";

const LEAST = 400; // ms between two questions
const AT_ONCE = 100; // rows a question
const CARDS = 3_000; // ms between two counts, which cost the server most
const MEANWHILE = 2_000; // ms
const AT_LATEST = 30_000;
const PATIENCE = 8_000;

const page = document.body.dataset;
const changed = new Set();
const moved = new Set();
const told = new WeakMap(); // when the server last told a row
let newer = 0;
let asked = 0;
let counted = performance.now();
let recount = null;
let timer = null;
let busy = false;
let wanted = false;

export function happened(message) {
  const id = message.data.case_id;
  if (!id) return; // an event that waits for its domain: its case tells
  if (queue.row(id)) changed.add(id);
  ask();
}

// Of the rows in sight those that were told longer ago than that, in ms.
export function everything(ago = 0) {
  const old = queue.inSight().filter((row) => performance.now() - (told.get(row) ?? 0) >= ago);
  for (const row of old) changed.add(row.dataset.id);
  if (old.length || !ago) ask();
}

function ask() {
  wanted = true;
  if (busy || timer || document.hidden) return;
  timer = setTimeout(look, Math.max(0, asked + LEAST - performance.now()));
}

async function look() {
  timer = null;
  wanted = false;
  asked = performance.now();
  busy = true;
  const ids = [...changed].slice(0, AT_ONCE);
  for (const id of ids) changed.delete(id);
  const query = new URLSearchParams(location.search);
  query.set("since", page.since);
  query.set("shown", ids.join(","));
  query.set("known", recent().join(","));
  const counts = performance.now() - counted > CARDS;
  if (counts) query.set("cards", "1");
  try {
    const fresh = await fetched(`/fragments/desk?${query}`, { signal: AbortSignal.timeout(PATIENCE) });
    if (fresh?.status === 200) take(fresh.page);
    if (counts) counted = performance.now();
    else recount ??= setTimeout(() => ((recount = null), ask()), CARDS);
  } catch {
    for (const id of ids) changed.add(id); // the stream says that the connection is gone
  }
  busy = false;
  if (wanted || changed.size) ask();
}

// Rows that came about when the list was made: the server counts what came since, and does not know what it gave.
function recent() {
  const fresh = queue.rows().filter((row) => Date.parse(row.dataset.opened) > page.since - MEANWHILE);
  return fresh.map((row) => row.dataset.id).slice(0, 2 * AT_ONCE);
}

function take(fresh) {
  const cards = fresh.querySelector('[data-live="cards"]');
  if (cards) morph(document.querySelector('[data-live="cards"]'), cards);
  for (const now of fresh.querySelectorAll("tr[data-id]")) {
    const row = queue.row(now.dataset.id);
    if (!row) continue;
    if (row.dataset.order !== now.dataset.order) moved.add(row.dataset.id);
    morph(row, now);
    told.set(row, performance.now());
  }
  newer = Number(fresh.querySelector(".rows").dataset.newer);
  if (newer && !queue.rows().length) reload(false); // nothing is there that could move
  else tell();
  for (const then of heard) then(ground(fresh));
}

// The edition in use, as the server tells it now.
const ground = (fresh) => JSON.parse(fresh.querySelector("[data-ground]").dataset.ground);

const heard = [];
export const onFresh = (then) => heard.push(then);

function tell() {
  const button = document.getElementById("newer");
  const words = [newer && say("newer", { n: newer }), moved.size && say("moved", { n: moved.size })].filter(Boolean);
  const text = words.join("  ");
  button.hidden = !text;
  if (text && button.textContent !== text) button.textContent = text;
}

// Everything that waited, in its order; where somebody asked for it, the reader's place is there.
export async function reload(there = true) {
  const query = new URLSearchParams(location.search);
  const fresh = await fetched(`/fragments/cases?${query}`).catch(() => null);
  if (fresh?.status !== 200) return;
  const now = fresh.page.querySelector(".rows");
  const old = document.querySelector(".rows");
  page.since = now.dataset.now;
  old.replaceChildren(...now.childNodes);
  old.scrollTop = 0;
  newer = 0;
  moved.clear();
  tell();
  changed.clear();
  queue.wire();
  const row = queue.row(queue.currentId()) ?? queue.rows()[0];
  if (there) row?.focus({ preventScroll: true });
  for (const then of heard) then();
}

document.addEventListener("click", (event) => {
  if (event.target.closest?.("#newer")) reload();
});
document.addEventListener("visibilitychange", () => document.hidden || everything());
document.addEventListener("scrollend", () => everything(AT_LATEST), { capture: true });
setInterval(() => everything(), AT_LATEST);
