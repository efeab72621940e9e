// The service worker: lets the page open without a network. `self.app`, which the server puts before this, says what
// is kept: files whose addresses carry their version, the form without anything personal, and the types.

const { version, shell, lists, files } = self.app;
const CACHE = `report-${version}`;
const PATIENCE = 4_000; // for the page itself, before the kept one is shown
const OLD = 12 * 3_600_000;

self.addEventListener("install", (event) => {
  event.waitUntil(install().then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(forget().then(() => self.clients.claim()));
});

self.addEventListener("message", (event) => {
  if (event.data === "refresh") event.waitUntil(refresh());
});

self.addEventListener("fetch", (event) => {
  const { method, mode, url } = event.request;
  const { origin, pathname } = new URL(url);
  if (method !== "GET" || origin !== self.location.origin) return;
  if (mode === "navigate" && pathname === "/report") event.respondWith(page(event.request));
  else if (pathname.startsWith("/static/") || lists.includes(pathname)) event.respondWith(kept(event.request));
});

async function install() {
  const cache = await caches.open(CACHE);
  await cache.addAll(files);
  await refresh();
}

async function forget() {
  const old = (await caches.keys()).filter((name) => name.startsWith("report-") && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
}

// What the server may change without a new version; whoever is signed out is led elsewhere, and nothing is kept.
async function refresh() {
  const cache = await caches.open(CACHE);
  for (const address of [shell, ...lists]) {
    const known = await cache.match(address);
    if (known && Date.now() - Date.parse(known.headers.get("date")) < OLD) continue;
    const answer = await fetch(address, { redirect: "manual" }).catch(() => null);
    if (answer?.ok) await cache.put(address, answer);
  }
}

async function page(request) {
  const asked = fetch(request);
  const late = new Promise((resolve) => setTimeout(resolve, PATIENCE));
  const answer = await Promise.race([asked, late]).catch(() => null);
  if (answer && answer.status < 500) return answer;
  return (await caches.match(shell)) ?? asked;
}

async function kept(request) {
  return (await caches.match(request)) ?? fetch(request);
}
