// Keeps a page fresh without moving anything under the reader's hands: one stream for all tabs of this browser, the
// data's age always shown, and fragments rendered by the server whose texts take the place of what has changed.

const STALE = 10_000;
const LEAST = 1_000;
const AT_LATEST = 30_000;
const PATIENCE = 8_000;

const page = document.body.dataset;
const bar = document.getElementById("live");
const state = document.getElementById("live-state");
const age = document.getElementById("live-age");

let heard = performance.now();
let lost = true;
let ended = false;

// --- one stream for all tabs: HTTP/1.1 allows a browser six connections, and every tab would hold one for good

const name = `citybrain ${page.visitor}`;
const tabs = new BroadcastChannel(name);
tabs.onmessage = (message) => hear(message.data);

let stream;
let position = "";

function open() {
  stream = new EventSource(`/api/v1/stream${position && `?last_event_id=${position}`}`);
  for (const type of ["pulse", ...page.types.trim().split(" ")]) {
    stream.addEventListener(type, (event) => {
      position = event.lastEventId || position;
      tell({ type, data: JSON.parse(event.data) });
    });
  }
  stream.onerror = () => {
    tell({ type: "lost" });
    if (stream.readyState === EventSource.CLOSED) setTimeout(reopen, 3_000);
  };
}

async function reopen() {
  const answer = await fetch("/api/v1/session").catch(() => null);
  if (answer?.status === 401) tell({ type: "ended" });
  else open();
}

function tell(message) {
  hear(message);
  tabs.postMessage(message);
}

// Locks exist on HTTPS and on this machine only; elsewhere every tab has its stream.
if (navigator.locks) navigator.locks.request(name, () => new Promise(open));
else open();

addEventListener("pagehide", () => stream?.close());
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

// --- what was heard

function hear({ type, data }) {
  if (type === "ended") {
    ended = true;
  } else if (type === "lost") {
    lost = true;
  } else {
    heard = performance.now();
    if (lost) changed(); // what happened while nobody listened
    lost = false;
    if (type !== "pulse") happened(data);
  }
  show();
}

function happened(change) {
  if (!page.case) changed();
  else if (change.case_id === page.case && change.data.version > Number(page.version)) announce();
}

function show() {
  const quiet = performance.now() - heard;
  const stale = lost || quiet > STALE;
  bar.hidden = false;
  bar.className = `live ${ended || stale ? "stale" : "fresh"}`;
  const word = ended ? "登录已过期，请重新登录" : stale ? "连接中断，正在重连" : "实时";
  if (state.textContent !== word) state.textContent = word;
  age.textContent = `数据 ${Math.floor(quiet / 1000)} 秒前`;
}

setInterval(show, 1_000);
show();

// --- a case: say that it changed, leave the reader where they are

function announce() {
  document.getElementById("updated").hidden = false;
}

// --- the desk: counts and rows in place, new cases behind a counter

let asked = 0;
let waiting = null;
let busy = null;
let again = false;

function changed() {
  if (busy) again = true;
  else if (!waiting && !document.hidden) waiting = setTimeout(refresh, Math.max(0, asked + LEAST - performance.now()));
}

async function refresh({ whole = false } = {}) {
  waiting = null;
  asked = performance.now();
  busy = new AbortController();
  const limit = setTimeout(() => busy?.abort(), PATIENCE);
  try {
    const answer = await fetch(address(whole), { signal: busy.signal, headers: { Accept: "text/html" } });
    if (answer.status === 401) tell({ type: "ended" });
    if (answer.ok && !answer.redirected) take(new DOMParser().parseFromString(await answer.text(), "text/html"), whole);
  } catch {
    // the stream says that the connection is gone; the next change or half minute asks again
  } finally {
    clearTimeout(limit);
    busy = null;
    if (again) {
      again = false;
      changed();
    }
  }
}

function address(whole) {
  if (page.case) return page.fragment;
  const query = new URLSearchParams(location.search);
  query.set("since", page.since);
  if (!whole) query.set("shown", rows(document).map((row) => row.dataset.id).join(","));
  return `${page.fragment}?${query}`;
}

function take(fresh, whole) {
  if (page.case) {
    const version = Number(fresh.body.dataset.version);
    if (version > Number(page.version)) return announce();
  }
  for (const part of document.querySelectorAll("[data-live]")) {
    const now = fresh.querySelector(`[data-live="${part.dataset.live}"]`);
    if (!now) continue;
    if (part.dataset.live !== "cases") morph(part, now);
    else if (whole) replace(part, now);
    else takeCases(part, now);
  }
}

function replace(part, now) {
  page.since = now.dataset.now;
  part.replaceChildren(...now.childNodes);
}

function takeCases(part, now) {
  const fresh = new Map(rows(now).map((row) => [row.dataset.id, row]));
  for (const row of rows(part)) if (fresh.has(row.dataset.id)) morph(row, fresh.get(row.dataset.id));
  const newer = now.querySelector("#newer");
  const button = part.querySelector("#newer");
  if (!newer || !button) return;
  button.hidden = newer.dataset.newer === "0";
  button.querySelector("span").textContent = newer.dataset.newer;
}

const rows = (root) => [...root.querySelectorAll("tr[data-id]")];

document.addEventListener("click", async (event) => {
  if (!event.target.closest?.("#newer")) return;
  await refresh({ whole: true });
  document.getElementById("list-head")?.focus();
});

// Elements stay the same while their texts change, so that focus, selection and scroll stay where they are.
function morph(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType === Node.TEXT_NODE && fresh.nodeType === Node.TEXT_NODE) {
    old.data = fresh.data;
  } else if (old.nodeName !== fresh.nodeName || old.nodeType !== Node.ELEMENT_NODE) {
    old.replaceWith(fresh.cloneNode(true));
  } else {
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    const before = [...old.childNodes];
    const after = [...fresh.childNodes];
    if (before.length === after.length) before.forEach((node, index) => morph(node, after[index]));
    else old.replaceChildren(...after.map((node) => node.cloneNode(true)));
  }
}

setInterval(changed, AT_LATEST);
document.addEventListener("visibilitychange", changed);
