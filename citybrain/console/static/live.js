// A case's page of its own: says that the case has changed and leaves the reader where they are; the countdown goes on.

import { noted } from "./connection.js";
import { decide } from "./deciding.js";
import { takeUp } from "./ground.js";
import { morph } from "./morph.js";
import { fetched } from "./page.js";
import { wire } from "./places.js";
import { listen } from "./stream.js";
import { wire as wireTriage } from "./triage.js";
import { typeAgain, typedIn } from "./typed.js";

const AT_LATEST = 30_000;
const page = document.body.dataset;
const main = document.getElementById("main");

listen(page.visitor, page.types.split(" "), (message) => {
  const back = noted(message);
  const { data } = message;
  if (data?.case_id === page.case && data.data.version > Number(page.version)) announce();
  else if (back) refresh();
});

decide(main, () => page.case, put);

// What came back for a form: the case as it is now, this one or the one that it went into.
function put({ page: fresh }) {
  const now = fresh.getElementById("main");
  if (!now) return;
  const { case: id, version } = fresh.body.dataset;
  const typed = id === page.case ? typedIn(main) : [];
  main.replaceChildren(...now.childNodes);
  typeAgain(main, typed);
  if (id) {
    Object.assign(page, { case: id, version });
    history.replaceState(null, "", `/cases/${id}`);
  }
  wire(main);
  wireTriage(main);
  (main.querySelector(".said") ?? main).scrollIntoView({ block: "nearest" });
}

function announce() {
  const told = document.getElementById("updated");
  if (told) told.hidden = false;
}

async function refresh() {
  if (document.hidden) return;
  const fresh = await fetched(`/cases/${page.case}`).catch(() => null);
  if (!fresh || fresh.status !== 200) return;
  const placing = fresh.page.querySelector(".placing");
  if (placing) takeUp(JSON.parse(placing.dataset.ground));
  if (Number(fresh.page.body.dataset.version) > Number(page.version)) return announce();
  for (const part of document.querySelectorAll("[data-live]")) {
    const now = fresh.page.querySelector(`[data-live="${part.dataset.live}"]`);
    if (now) morph(part, now);
  }
}

setInterval(refresh, AT_LATEST);
document.addEventListener("visibilitychange", refresh);
