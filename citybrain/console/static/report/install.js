// Makes the page open without a network, and asks the browser not to throw away what it keeps.

export async function install() {
  if (!navigator.serviceWorker) return false;
  const registration = await navigator.serviceWorker.register("/report/worker.js", { scope: "/report" }).catch(() => null);
  registration?.active?.postMessage("refresh");
  return registration !== null;
}

export function persist() {
  navigator.storage?.persist?.().catch(() => false);
}

// The kept pages of whoever signs out; the worker stays, with nothing in it that is theirs.
export async function forget() {
  if (!globalThis.caches) return;
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const address of ["/report/offline", "/report/types"]) await cache.delete(address);
  }
}
