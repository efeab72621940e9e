// One key an action; none while somebody types, also with an input method that composes, and none with a modifier.

import { reload } from "./fresh.js";
import * as pane from "./pane.js";
import * as pending from "./pending.js";
import * as queue from "./queue.js";
import { say } from "./said.js";

const GO = {
  d: "/",
  q: "/queues",
  e: "/events",
  p: "/deliveries",
  c: "/coverage",
  n: "/endpoints",
  v: "/performance",
  k: "/keys",
  t: "/cases?status=triage",
  o: "/cases?overdue=1",
  s: "/cases?soon=1",
};
const GO_WITHIN = 1_500; // ms from g to the letter

const help = document.getElementById("help");
let going = 0;

const KEYS = {
  j: () => queue.step(1),
  k: () => queue.step(-1),
  Enter: () => pane.element.focus(),
  1: () => act("first"),
  2: () => act("reassign"),
  3: () => act("return"),
  m: () => act("merge"),
  h: () => act("suspend"),
  x: () => queue.mark(queue.currentId()),
  z: () => pending.undo(),
  ".": () => reload(),
  "/": () => document.getElementById("f-q").select(),
  "?": () => help.showModal(),
  g: () => (going = performance.now()),
};

async function act(name) {
  if (!queue.currentId() && !pane.shownCase().id) return;
  const missing = await pane.openAction(name);
  if (missing) pending.tell(say("not_now", { what: missing }));
}

addEventListener("keydown", (event) => {
  if (event.isComposing || event.keyCode === 229 || event.ctrlKey || event.metaKey || event.altKey) return;
  if (help.open) return;
  if (event.key === "Escape") return back(event);
  if (event.target.closest("input, select, textarea, [contenteditable]")) return;
  if (going && performance.now() - going < GO_WITHIN && GO[event.key]) {
    event.preventDefault();
    location.assign(GO[event.key]);
    return;
  }
  going = 0;
  if (event.key === "Enter" && !event.target.closest("tr[data-id]")) return;
  if (event.key === "Enter" && event.target.closest("a, button")) return;
  const does = KEYS[event.key];
  if (!does) return;
  event.preventDefault();
  does();
});

// Out of a field, then back to the row.
function back(event) {
  const row = queue.row(queue.currentId());
  if (event.target.closest("details.action")) event.target.closest("details.action").open = false;
  if (row) row.focus({ preventScroll: true });
  else event.target.blur?.();
}
