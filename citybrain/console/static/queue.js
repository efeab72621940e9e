// The queue's rows: which one is current, which are marked, and the next ones as somebody goes down.

import { fetched } from "./page.js";

const list = document.querySelector(".list");
const together = new Set(); // marked for one action
const heard = { current: [], marked: [] };
let current = null;
let fetching = null;

export const rows = () => [...list.querySelectorAll("tr[data-id]")];
export const row = (id) => (id ? list.querySelector(`tr[data-id="${CSS.escape(id)}"]`) : null);
export const currentId = () => current;
export const marked = () => rows().filter((each) => together.has(each.dataset.id));
export const wide = () => getComputedStyle(list).getPropertyValue("--bench") === "1"; // there is room for the workbench
export const on = (what, then) => heard[what].push(then);

// `from` says who chose it: the list, the map or the address.
export function choose(id, from = "list") {
  row(current)?.removeAttribute("aria-current");
  current = id;
  const chosen = row(id);
  if (chosen) {
    for (const each of list.querySelectorAll('tr[tabindex="0"]')) each.tabIndex = -1;
    chosen.setAttribute("aria-current", "true");
    chosen.tabIndex = 0;
    if (from === "list") chosen.focus({ preventScroll: true });
    chosen.scrollIntoView({ block: "nearest" });
  }
  for (const then of heard.current) then(id, chosen, from);
}

export function step(by) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((each) => each.dataset.id === current);
  const next = at < 0 ? 0 : Math.min(Math.max(at + by, 0), all.length - 1);
  if (next > all.length - 10) more();
  if (all[next].dataset.id !== current) choose(all[next].dataset.id);
}

export function mark(id) {
  const one = row(id);
  if (!one) return;
  if (!together.delete(id)) together.add(id);
  dress(one);
  for (const then of heard.marked) then();
}

export function unmark() {
  together.clear();
  rows().forEach(dress);
  for (const then of heard.marked) then();
}

// Rows that are in sight, and a few beyond: what is worth asking for again.
export function inSight() {
  const { top, bottom } = list.querySelector(".rows").getBoundingClientRect();
  const [from, to] = [Math.max(top, 0) - 200, Math.min(bottom, innerHeight) + 200];
  return rows().filter((each) => {
    const box = each.getBoundingClientRect();
    return box.bottom > from && box.top < to;
  });
}

export function wire() {
  for (const each of rows()) dress(each);
  const first = list.querySelector("tr[data-id]");
  if (first && !row(current)) first.tabIndex = 0;
  row(current)?.setAttribute("aria-current", "true");
  const table = list.querySelector("table.cases");
  table?.setAttribute("aria-multiselectable", "true");
  const link = list.querySelector(".more a[data-cursor]");
  if (link) watching.observe(link);
  for (const then of heard.marked) then();
}

function dress(each) {
  each.tabIndex = each.dataset.id === current ? 0 : -1;
  each.setAttribute("aria-selected", String(together.has(each.dataset.id)));
}

const watching = new IntersectionObserver((seen) => seen.some((each) => each.isIntersecting) && more(), {
  root: wide() ? list.querySelector(".rows") : null,
  rootMargin: "600px",
});

async function more() {
  const link = list.querySelector(".more a[data-cursor]");
  if (!link || fetching) return;
  fetching = link;
  try {
    const query = new URLSearchParams(location.search);
    query.set("cursor", link.dataset.cursor);
    const fresh = await fetched(`/fragments/cases?${query}`);
    if (!fresh || fresh.status !== 200 || !link.isConnected) return;
    const known = new Set(rows().map((each) => each.dataset.id));
    const further = [...fresh.page.querySelectorAll("tr[data-id]")].filter((each) => !known.has(each.dataset.id));
    further.forEach(dress);
    list.querySelector("table.cases tbody")?.append(...further);
    const next = fresh.page.querySelector(".more");
    watching.disconnect();
    if (next) link.closest(".more").replaceWith(next);
    else link.closest(".more").remove();
    if (next) watching.observe(next.querySelector("a"));
  } catch {
    // the link is still there, and leads to the next page
  } finally {
    fetching = null;
  }
}

list.addEventListener("click", (event) => {
  const one = event.target.closest("tr[data-id]");
  if (!one || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  if (!wide()) return; // on a phone links lead to the page
  event.preventDefault();
  choose(one.dataset.id);
});
