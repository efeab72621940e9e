// One action on all marked rows, and what became of each.

import { fetched } from "./page.js";
import * as queue from "./queue.js";
import { say } from "./said.js";

const form = document.getElementById("bulk");
const results = document.getElementById("results");

function shown() {
  const number = queue.marked().length;
  form.hidden = !number;
  form.querySelector(".number").textContent = say("marked", { n: number });
}

// Only what the chosen action asks for.
function ask() {
  const needs = form.elements.action.selectedOptions[0].dataset.needs.split(" ");
  for (const field of form.querySelectorAll("[data-field]")) {
    const asked = needs.includes(field.dataset.field);
    field.hidden = !asked;
    for (const input of field.querySelectorAll("input, select")) input.disabled = !asked;
  }
}

if (form) {
  queue.on("marked", shown);
  form.elements.action.addEventListener("change", ask);
  form.querySelector(".none").addEventListener("click", () => queue.unmark());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = new URLSearchParams(new FormData(form));
    for (const row of queue.marked()) body.append("item", `${row.dataset.id}:${row.dataset.version}`);
    const fresh = await fetched(form.getAttribute("action"), { method: "POST", body }).catch(() => null);
    results.querySelector(".told").replaceChildren(...(fresh ? fresh.page.body.childNodes : [say("failed")]));
    results.showModal();
    if (fresh?.status === 200) queue.unmark();
  });
  ask();
}
