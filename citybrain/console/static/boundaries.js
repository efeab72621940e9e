// Editions of the boundaries: the present ground and another one on two maps that move together, what is wrong with it
// on the second, and an upload that says how far it is.

import { ink, lay, outlines, takeUp } from "./ground.js";
import { morph } from "./morph.js";
import { fetched } from "./page.js";
import { say } from "./said.js";

const L = globalThis.L; // of the script before this one; nothing where it was not brought along
const CLOSE = 15; // the zoom at which a fault is shown
const SECOND = 1_000;

const { shown, valid } = document.body.dataset;
const ground = JSON.parse(document.body.dataset.ground);
const dashed = () => ({ color: ink("--red"), weight: 1.6, dashArray: "6 5", interactive: false });
const before = { county: () => ({ ...dashed(), fillColor: ink("--land"), fillOpacity: 1 }), town: () => ({ ...dashed(), fill: false }) };
const solid = (weight) => () => ({ color: ink("--edge"), weight, fill: false, interactive: false });
const after = { county: solid(2.6), town: solid(1.8) }; // covers the old line where it is the same
const STYLE = { error: ["--red", 2.5, null], warning: ["--amber", 2, "3 3"] };

if (L) {
  for (const part of document.querySelectorAll("[data-needs-script]")) part.hidden = false;
  maps();
} else {
  const note = document.getElementById("map-note");
  note.textContent = say("no_map");
  note.hidden = false;
}

function maps() {
  const present = open("map-present");
  lay(present, ground, [outlines]);
  let last = present;
  if (document.getElementById("map-other")) {
    last = open("map-other");
    lay(last, ground, [(map, now) => outlines(map, now, before, "before")]);
    outlines(last, { edition: shown }, after);
    together(present, last);
    together(last, present);
  }
  faults(last);
  document.addEventListener("click", (event) => {
    const spot = event.target.closest?.(".spot");
    if (!spot) return;
    last.setView([spot.dataset.lat, spot.dataset.lng], CLOSE, { animate: false });
    last.getContainer().scrollIntoView({ block: "center" });
    last.getContainer().focus({ preventScroll: true });
  });
}

function open(id) {
  const map = L.map(id, { preferCanvas: true, attributionControl: false, zoomControl: false, zoomSnap: 0.5, minZoom: 7, maxZoom: 18 });
  L.control.zoom({ position: "topright", zoomInTitle: say("closer"), zoomOutTitle: say("farther") }).addTo(map);
  return map.fitBounds(ground.box);
}

function together(one, other) {
  one.on("move", () => {
    const same = one.getCenter().equals(other.getCenter(), 1e-6) && one.getZoom() === other.getZoom();
    if (!same) other.setView(one.getCenter(), one.getZoom(), { animate: false });
  });
}

async function faults(map) {
  const answer = await fetch(`/api/v1/editions/${encodeURIComponent(shown)}/faults.geojson`).catch(() => null);
  const found = answer?.ok ? await answer.json() : null;
  if (!found?.features.length) return;
  map.createPane("faults").style.zIndex = 460;
  const drawn = ({ properties: { severity } }) => {
    const [colour, weight, dashArray] = STYLE[severity];
    return { color: ink(colour), weight, dashArray, fillOpacity: 0.15 };
  };
  const point = (feature, at) => L.circleMarker(at, { ...drawn(feature), radius: 7, pane: "faults" });
  const layer = L.geoJSON(found, { style: drawn, pointToLayer: point, pane: "faults", renderer: L.canvas({ pane: "faults" }) });
  layer.addTo(map);
  const bounds = layer.getBounds();
  if (!valid && bounds.isValid()) map.fitBounds(bounds.extend(ground.box));
}

// Somebody else may put another edition into use while this page is open.
async function refresh() {
  if (document.hidden) return;
  const fresh = await fetched(location.href).catch(() => null);
  if (fresh?.status !== 200) return;
  takeUp(JSON.parse(fresh.page.body.dataset.ground));
  morph(document.querySelector("table.editions"), fresh.page.querySelector("table.editions"));
}

setInterval(refresh, 30 * SECOND);
document.addEventListener("visibilitychange", refresh);

const form = document.getElementById("load-form");
form?.addEventListener("submit", (event) => {
  event.preventDefault();
  send(new FormData(form));
});

// XMLHttpRequest, because fetch does not say how much has been sent.
function send(data) {
  const bar = document.getElementById("sent");
  const box = document.getElementById("sending");
  const state = document.getElementById("sending-state");
  const button = form.querySelector("button.primary");
  const request = new XMLHttpRequest();
  let examining;
  refuse([]);
  button.disabled = true;
  box.hidden = false;
  request.upload.onprogress = ({ loaded, total }) => {
    bar.value = Math.floor((100 * loaded) / total);
    state.textContent = say("sent", { n: bar.value, mib: (total / 2 ** 20).toFixed(1) });
  };
  request.upload.onload = () => {
    const began = Date.now();
    bar.removeAttribute("value");
    const tell = () => (state.textContent = say("examining", { n: Math.floor((Date.now() - began) / SECOND) }));
    tell();
    examining = setInterval(tell, 5 * SECOND);
  };
  request.onloadend = () => {
    clearInterval(examining);
    const reached = request.responseURL && new URL(request.responseURL);
    if (request.status === 200 && reached.search) return void location.assign(reached);
    button.disabled = false;
    box.hidden = true;
    bar.value = 0;
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    const said = [...page.querySelectorAll(".said p")].map((each) => each.textContent);
    refuse(said.length ? said : [say("not_sent")]);
  };
  request.open("POST", form.action);
  request.send(data);
}

function refuse(lines) {
  const box = document.getElementById("refused");
  box.replaceChildren(...lines.map((line) => Object.assign(document.createElement("p"), { textContent: line })));
  box.hidden = !lines.length;
  if (lines.length) box.scrollIntoView({ block: "center" });
}
