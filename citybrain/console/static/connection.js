// The connection's state and the data's age, always in sight; stale after ten seconds without a word.

import { say } from "./said.js";

const STALE = 10_000;

const bar = document.getElementById("live");
const state = document.getElementById("live-state");
const age = document.getElementById("live-age");

let heard = performance.now();
let lost = true;
let ended = false;
let begun = false;

// Answers whether the connection came back: what happened meanwhile has to be asked for.
export function noted({ type }) {
  const back = lost && type !== "lost" && type !== "ended";
  if (type === "ended") ended = true;
  else if (type === "lost") lost = true;
  else {
    heard = performance.now();
    lost = false;
    begun = true;
  }
  show();
  return back;
}

function show() {
  const quiet = performance.now() - heard;
  const stale = lost || quiet > STALE;
  const waiting = !begun && quiet < STALE;
  bar.hidden = false;
  bar.className = `live ${ended || (stale && !waiting) ? "stale" : "fresh"}`;
  const word = say(ended ? "ended" : waiting ? "connecting" : stale ? "lost" : "live");
  if (state.textContent !== word) state.textContent = word;
  age.textContent = say("age", { n: Math.floor(quiet / 1000) });
}

setInterval(show, 1_000);
show();
