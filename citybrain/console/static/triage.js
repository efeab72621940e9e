// The panel for what no rule decided: a click on its map places the case, a search finds the type, and who is
// responsible there for that is suggested as soon as both are known. All of it is in the form's own fields too.

import { ink, lay } from "./ground.js";

const NEAR = 13; // the zoom that a place is shown at
const PAUSE = 250; // ms after the last key

export function wire(root) {
  for (const form of root.querySelectorAll("form[data-triage]")) {
    for (const part of form.querySelectorAll("[data-without-script]")) part.hidden = true;
    const ask = asking(form);
    placing(form, ask);
    searching(form);
    form.addEventListener("change", ({ target }) => {
      if (target.name === "department") form.dataset.chosen = "1";
      else if (target.name !== "assist") ask();
    });
    if (form.elements.type.value) ask();
  }
}

wire(document);

function placing(form, ask) {
  const box = form.querySelector(".placing");
  const L = globalThis.L; // of a script that comes before; without it the list below is the way
  if (!box || !L) return box?.remove();
  box.hidden = false;
  const ground = JSON.parse(box.dataset.ground);
  const map = L.map(box, { preferCanvas: true, attributionControl: false, zoomSnap: 0.5, minZoom: 7, maxZoom: 18 });
  const known = box.dataset.lng ? [Number(box.dataset.lat), Number(box.dataset.lng)] : null;
  const inside = known && L.latLngBounds(ground.box).contains(known);
  if (inside) map.setView(known, NEAR);
  else map.fitBounds(ground.box);
  lay(map, ground);
  let here = inside && mark(L, map, known);
  map.on("click", ({ latlng }) => {
    if (here) here.remove();
    here = mark(L, map, latlng);
    const { elements } = form;
    for (const name of ["county", "town", "village", "address"]) if (elements[name]) elements[name].value = "";
    elements.lng.value = latlng.lng.toFixed(6);
    elements.lat.value = latlng.lat.toFixed(6);
    elements.datum.value = "wgs84";
    ask();
  });
  new ResizeObserver(() => map.invalidateSize({ animate: false })).observe(box);
}

function mark(L, map, at) {
  const style = { radius: 9, weight: 3, color: ink("--red"), fillColor: ink("--paper"), fillOpacity: 0.6, interactive: false };
  return L.circleMarker(at, style).addTo(map);
}

// The types that are found, the best first; the whole list again when nothing is asked for.
function searching(form) {
  const input = form.querySelector("input[type=search]");
  const select = form.elements.type;
  const none = form.querySelector(".none-found");
  const whole = [...select.children];
  let timer;
  let asked;
  input.closest("p").hidden = false;
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.isComposing) event.preventDefault();
  });
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(find, PAUSE);
  });

  async function find() {
    asked?.abort();
    const { signal } = (asked = new AbortController());
    const words = input.value.trim();
    const kept = select.value;
    if (!words) {
      none.hidden = true;
      select.replaceChildren(...whole);
      select.value = kept;
      return;
    }
    const query = new URLSearchParams({ domain: form.dataset.domain, q: words });
    const answer = await fetch(`/api/v1/types?${query}`, { signal }).catch(() => null);
    if (!answer?.ok) return;
    const { items } = await answer.json();
    none.hidden = items.length > 0;
    if (!items.length) return;
    const name = document.documentElement.lang === "en" ? "name_en" : "name";
    select.replaceChildren(whole[0], ...items.map((each) => new Option(`${each[name]} ${each.code}`, each.code)));
    select.value = items[0].code;
    select.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

function asking(form) {
  let asked;
  return async () => {
    const answer = form.querySelector(".answer");
    if (!answer) return;
    asked?.abort();
    const { signal } = (asked = new AbortController());
    const query = new URLSearchParams({ case: form.getAttribute("action").split("/")[2] });
    for (const name of ["lng", "lat", "datum", "county", "town", "village", "address", "type"]) {
      const { value } = form.elements[name] ?? {};
      if (value) query.set(name, value);
    }
    const fresh = await fetch(`/fragments/triage?${query}`, { signal, headers: { Accept: "text/html" } }).catch(() => null);
    if (!fresh?.ok) return;
    const page = new DOMParser().parseFromString(await fresh.text(), "text/html");
    const told = page.querySelector(".suggestion");
    if (signal.aborted || !told) return;
    answer.replaceChildren(told);
    const select = form.elements.department;
    if (!form.dataset.chosen && [...select.options].some((each) => each.value === told.dataset.department)) {
      select.value = told.dataset.department;
    }
  };
}
