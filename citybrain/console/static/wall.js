// The wall 大屏: nobody touches it, for days. It asks for the same figures as the desk when the stream tells of something,
// changes them in place, says how old they are, and takes up a new version of itself by loading anew, but only right
// after an answer: never into an error that nobody is there to click away.

import { noted } from "./connection.js";
import { takeUp } from "./ground.js";
import { morph } from "./morph.js";
import { fetched } from "./page.js";
import { Source } from "./source.js";
import { points } from "./wallmap.js";

const LEAST = 5_000; // ms between two questions
const AT_LATEST = 20_000;
const FIGURES = 300_000;
const OLD = 60_000; // figures that are older say so
const DAY = 86_400_000; // and then anew, whatever a browser has gathered by then
const PATIENCE = 15_000;

const page = document.body.dataset;
const state = document.getElementById("state");
const version = state.dataset.version;
const clock = document.getElementById("clock");
const asOf = document.getElementById("as-of");
const ended = document.getElementById("ended");
const day = new Intl.DateTimeFormat("sv-SE", { timeZone: page.zone, dateStyle: "short" });
const time = new Intl.DateTimeFormat("sv-SE", { timeZone: page.zone, timeStyle: "medium" });
const weekday = new Intl.DateTimeFormat(document.documentElement.lang, { timeZone: page.zone, weekday: "short" });

let ahead = Date.parse(page.now) - Date.now(); // the server's clock before ours
let asked = performance.now();
let answered = performance.now();
let figures = performance.now();
let timer = null;

function tick() {
  const now = Date.now() + ahead;
  clock.textContent = `${day.format(now)} ${weekday.format(now)} ${time.format(now)}`;
  asOf.classList.toggle("stale", performance.now() - answered > OLD);
  setTimeout(tick, 1_000 - (now % 1_000));
}

function hear(message) {
  const back = noted(message);
  if (message.type === "pulse") ahead = Date.parse(message.data.now) - Date.now();
  if (message.type === "ended") ended.hidden = false;
  if (back || (message.data && message.type !== "pulse")) soon(LEAST);
}

// Within `most` ms, and not before the last question is LEAST ms old.
function soon(most) {
  const wait = Math.max(0, Math.min(most, asked + LEAST - performance.now()));
  timer ??= setTimeout(look, wait);
}

async function look() {
  timer = null;
  asked = performance.now();
  const fresh = await get("/fragments/wall");
  if (!fresh) return;
  const now = fresh.getElementById("state");
  if (!ended.hidden || now.dataset.version !== version || performance.now() > DAY) return location.reload();
  answered = performance.now();
  asOf.querySelector("time").textContent = now.dataset.asOf.slice(11, 19);
  take(fresh);
  takeUp(JSON.parse(now.dataset.ground));
  await points();
  if (performance.now() - figures > FIGURES) {
    const told = await get("/fragments/wall/figures");
    if (told) {
      take(told);
      figures = performance.now();
    }
  }
}

// The page, or nothing where nobody answers or the session has ended.
async function get(path) {
  const fresh = await fetched(path, { signal: AbortSignal.timeout(PATIENCE) }).catch(() => undefined);
  if (fresh === null) ended.hidden = false;
  return fresh?.status === 200 ? fresh.page : null;
}

function take(fresh) {
  for (const now of fresh.querySelectorAll("[data-live]")) {
    const old = document.querySelector(`[data-live="${now.dataset.live}"]`);
    if (old) morph(old, now);
  }
}

const source = new Source(page.types.split(" "), hear);
addEventListener("pagehide", () => source.close());
addEventListener("pageshow", (event) => event.persisted && location.reload());
setInterval(() => soon(0), AT_LATEST);
tick();
points();
