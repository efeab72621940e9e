// Keeps a page's numbers fresh by asking for the page again. Parts marked data-live change in place; what is new waits
// behind a link, so that nothing moves under the reader's hands, and what is gone stays, faded, until somebody asks.

import { noted } from "./connection.js";
import { morph } from "./morph.js";
import { fetched } from "./page.js";

const EVERY = 5_000; // ms
const PATIENCE = 8_000;
const address = location.pathname + location.search;

const key = (part) => part.dataset.live;
const parts = (page) => [...page.querySelectorAll("[data-live]")];

async function look() {
  if (document.hidden) return;
  try {
    const fresh = await fetched(address, { signal: AbortSignal.timeout(PATIENCE) });
    if (fresh?.status === 200) take(fresh.page);
    noted({ type: fresh ? "pulse" : "ended" });
  } catch {
    noted({ type: "lost" });
  }
}

function take(page) {
  const fresh = new Map(parts(page).map((part) => [key(part), part]));
  for (const part of parts(document)) {
    const now = fresh.get(key(part));
    part.classList.toggle("gone", !now);
    if (now) morph(part, now);
    fresh.delete(key(part));
  }
  document.getElementById("updated").hidden = fresh.size === 0;
}

noted({ type: "pulse" });
setInterval(look, EVERY);
document.addEventListener("visibilitychange", look);
