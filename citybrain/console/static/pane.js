// The case on the right: the page of that case, inside the desk; or what lies at a clicked point. Of two questions only
// the later one is answered.

import { decide } from "./deciding.js";
import { fetched } from "./page.js";
import { wire } from "./places.js";
import { say } from "./said.js";
import { wire as wireTriage } from "./triage.js";
import { typeAgain, typedIn } from "./typed.js";

const pane = document.getElementById("case-pane");
const SOON = 60; // ms: who holds a key down passes over rows

let asking = null;
let shown = null;
let version = 0;
let loaded = Promise.resolve();

export const shownCase = () => ({ id: shown, version });
export const element = pane;

export function openCase(id) {
  asking?.abort();
  const mine = (asking = new AbortController());
  if (id !== shown) pane.setAttribute("aria-busy", "true");
  loaded = load(id, mine.signal);
}

async function load(id, signal) {
  if (id !== shown) await new Promise((then) => setTimeout(then, SOON));
  if (signal.aborted) return;
  const fresh = await fetched(`/cases/${encodeURIComponent(id)}`, { signal }).catch(() => undefined);
  if (!signal.aborted) put(fresh);
}

export async function openPlace({ lat, lng }) {
  asking?.abort();
  const mine = (asking = new AbortController());
  const address = `/fragments/place?lng=${lng.toFixed(6)}&lat=${lat.toFixed(6)}`;
  const fresh = await fetched(address, { signal: mine.signal }).catch(() => undefined);
  if (mine.signal.aborted) return;
  shown = null;
  if (fresh?.status === 200) fill([...fresh.page.body.childNodes], true);
  else complain();
}

// A case's page, however it came: opened, or as the answer to a form.
export function put(fresh) {
  const main = fresh?.page.getElementById("main");
  if (!main || !fresh.page.body.dataset.case) return complain(main);
  const same = shown === fresh.page.body.dataset.case;
  shown = fresh.page.body.dataset.case;
  version = Number(fresh.page.body.dataset.version);
  fill([...main.childNodes], !same);
}

function fill(nodes, fromTop) {
  const typed = fromTop ? [] : typedIn(pane);
  pane.replaceChildren(...nodes);
  typeAgain(pane, typed);
  pane.removeAttribute("aria-busy");
  wire(pane);
  wireTriage(pane);
  if (fromTop) pane.scrollTop = 0;
}

function complain(main) {
  pane.removeAttribute("aria-busy");
  shown = null;
  const text = Object.assign(document.createElement("p"), { className: "empty", textContent: say("failed") });
  pane.replaceChildren(...(main ? [...main.childNodes] : [text]));
}

// Somebody writes here: what has changed is told, not taken over.
function inUse() {
  if (pane.contains(document.activeElement) && document.activeElement !== pane) return true;
  return [...pane.querySelectorAll("textarea, input:not([type=hidden])")].some((each) => each.value !== each.defaultValue);
}

export function happened({ data }) {
  if (!shown || data.case_id !== shown || data.data.version <= version) return;
  if (inUse()) pane.querySelector("#updated")?.removeAttribute("hidden");
  else openCase(shown);
}

pane.addEventListener("click", (event) => {
  const link = event.target.closest("#updated a");
  if (!link) return;
  event.preventDefault();
  openCase(shown);
});

decide(pane, () => shown, put);

// Opens the form of an action and goes into it; answers the action's name where it is not possible now.
export async function openAction(name) {
  await loaded;
  const chosen = name === "first" ? pane.querySelector(".action button.primary")?.closest(".action") : pane.querySelector(`.action.a-${name}`);
  if (!chosen) return say(`action_${name}`);
  chosen.open = true;
  chosen.scrollIntoView({ block: "nearest" });
  const fields = [...chosen.querySelectorAll("select, textarea, input:not([type=hidden])")];
  (fields.find((each) => each.required && !each.value) ?? chosen.querySelector("button")).focus();
  return null;
}
