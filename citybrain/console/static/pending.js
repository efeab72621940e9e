// Ten seconds to think again: what somebody decides is sent when they are over, and until then nothing has happened.
// Who leaves the page has decided.

import { say } from "./said.js";

const WAIT = 10_000;

const bar = document.getElementById("pending");
const waiting = [];

// {id, address, body, what, done}: `done` is given what came of it.
export function add(action) {
  waiting.push({ ...action, ends: performance.now() + WAIT });
  show();
}

export const of = (id) => waiting.some((each) => each.id === id);

export function undo() {
  const last = waiting.pop();
  if (last) tell(say("undone", { what: last.what }));
  last?.undone();
  show();
}

export function now() {
  for (const each of waiting) each.ends = 0;
  tick();
}

function tick() {
  while (waiting.length && waiting[0].ends <= performance.now()) send(waiting.shift());
  show();
}

export async function send({ address, body, done }) {
  const options = { method: "POST", body, headers: { Accept: "text/html" } };
  done(await fetch(address, options).catch(() => null));
}

function show() {
  bar.hidden = !waiting.length;
  if (!waiting.length) return;
  const last = waiting.at(-1);
  const left = Math.max(0, Math.ceil((last.ends - performance.now()) / 1000));
  bar.querySelector(".what").textContent = say("waiting", { what: last.what, n: waiting.length });
  bar.querySelector(".left").textContent = say("in_seconds", { n: left });
}

let hide;

export function tell(text) {
  const told = document.getElementById("told");
  told.textContent = text;
  told.hidden = false;
  clearTimeout(hide);
  hide = setTimeout(() => (told.hidden = true), 6_000);
}

bar.querySelector(".now").addEventListener("click", now);
bar.querySelector(".undo").addEventListener("click", undo);
setInterval(tick, 250);
addEventListener("pagehide", () => {
  for (const each of waiting.splice(0)) navigator.sendBeacon(each.address, each.body);
});
