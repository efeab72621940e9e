// What somebody decides about a case, on its page or beside the queue: it waits ten seconds to be taken back, and the
// answer, which is the case's page, takes the place of what was seen. Without script the forms are sent at once, and so
// is what decides nothing: photos, a message once more.

import { weigh } from "./chosen.js";
import { read } from "./page.js";
import * as pending from "./pending.js";
import { say } from "./said.js";

// `id` answers which case is shown in `root`, `put` shows the page that came back.
export function decide(root, id, put) {
  weigh(root);
  root.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || event.defaultPrevented) return;
    event.preventDefault();
    const mine = id();
    if (pending.of(mine)) return pending.tell(say("first"));
    const data = new FormData(form, event.submitter);
    const body = form.enctype === "multipart/form-data" ? data : new URLSearchParams(data);
    const what = say("action_on", { action: named(form, event.submitter), title: root.querySelector("h1").textContent });
    const done = (answer) => acted(mine, form, what, answer);
    const address = event.submitter?.getAttribute("formaction") ?? form.getAttribute("action");
    if ("atOnce" in form.dataset) return atOnce(form, { address, body, done });
    const folded = form.closest("details.action");
    folded?.removeAttribute("open");
    pending.add({ id: mine, what, address, body, done, undone: () => mine === id() && folded?.setAttribute("open", "") });
  });

  // Where another case is looked at by now, only a refusal is told.
  async function acted(mine, form, what, answer) {
    const fresh = answer && (await read(answer));
    if (!fresh) return pending.tell(say("undelivered", { what }));
    form.reset(); // what the server answers stands in its place
    const refused = [...fresh.page.querySelectorAll(".said p")].map((each) => each.textContent).join(" "); // before it moves
    if (mine === id()) put(fresh);
    if (refused) pending.tell(say("refused", { what, why: refused }));
    else pending.tell(say("acted", { what }));
  }
}

async function atOnce(form, sending) {
  const buttons = form.querySelectorAll("button");
  for (const button of buttons) button.disabled = true; // pressed twice it would be sent twice
  if (form.enctype === "multipart/form-data") pending.tell(say("photos_sending"));
  await pending.send(sending);
  for (const button of buttons) button.disabled = false;
}

function named(form, submitter) {
  return submitter?.dataset.what ?? form.closest("details.action")?.querySelector("summary").textContent ?? submitter?.textContent ?? "";
}
