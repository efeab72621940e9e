// The map: our own polygons as its ground, the queue's cases on it, and what somebody clicks.

import * as address from "./address.js";
import { ink, lay } from "./ground.js";
import { mark } from "./marks.js";
import { say } from "./said.js";

const L = globalThis.L; // of the script before this one; nothing where it was not brought along
const NEAR = 18; // pixels from a click to the case that is meant
const CLOSE = 13; // the zoom at which a selected case is shown
const FAR = 10.5; // and below: marks are smaller
const PATIENCE = 8_000;

const ground = JSON.parse(document.body.dataset.ground);
const told = document.getElementById("map-note");
let map;
let marks;
let ring;
let asking;
let moving = false; // by ourselves
let chosen = false;
let onCase = () => {};
let onPlace = () => {};

// Whether there is a map: queue and case work without one too.
export function open(hearCase, hearPlace) {
  if (!L) {
    told.textContent = say("no_map");
    told.hidden = false;
    return false;
  }
  onCase = hearCase;
  onPlace = hearPlace;
  map = L.map("map", { preferCanvas: true, attributionControl: false, zoomControl: false, zoomSnap: 0.5, minZoom: 7, maxZoom: 18 });
  L.control.zoom({ position: "topright", zoomInTitle: say("closer"), zoomOutTitle: say("farther") }).addTo(map);
  const from = address.extent();
  if (from) map.setView(from.at, from.zoom);
  else map.fitBounds(ground.box);
  map.setMaxBounds(L.latLngBounds(ground.box).pad(0.5));
  lay(map, ground, undefined, changed);
  map.createPane("marks").style.zIndex = 450;
  marks = L.layerGroup([], { pane: "marks" }).addTo(map);
  map.on("moveend", () => {
    const { lat, lng } = map.getCenter();
    address.keep("map", `${map.getZoom()}/${lat.toFixed(5)}/${lng.toFixed(5)}`);
    look();
  });
  chosen = Boolean(from);
  map.on("zoomstart", () => (chosen ||= !moving));
  map.on("click", clicked);
  new ResizeObserver(() => map.invalidateSize({ animate: false })).observe(map.getContainer());
  look();
  return true;
}

function changed({ box, note }) {
  map.setMaxBounds(L.latLngBounds(box).pad(0.5));
  document.querySelector(".ground-note").textContent = note;
}

function clicked({ latlng, containerPoint }) {
  const near = nearest(containerPoint);
  if (near) onCase(near.options.id, near.getLatLng());
  else onPlace(latlng);
}

function nearest(point) {
  let best = null;
  let least = NEAR;
  marks.eachLayer((each) => {
    const far = map.latLngToContainerPoint(each.getLatLng()).distanceTo(point);
    if (far < least) [best, least] = [each, far];
  });
  return best;
}

// The cases inside the map's extent, the most pressing two thousand.
export async function look() {
  asking?.abort();
  asking = new AbortController();
  const box = map.getBounds();
  const query = address.filters();
  const edges = [box.getWest(), box.getSouth(), box.getEast(), box.getNorth()];
  query.set("box", edges.map((each) => each.toFixed(5)).join(","));
  try {
    const signal = AbortSignal.any([asking.signal, AbortSignal.timeout(PATIENCE)]);
    const answer = await fetch(`/fragments/points?${query}`, { signal });
    if (answer.ok) draw(await answer.json());
  } catch {
    // a newer question, or the stream says that the connection is gone
  }
}

function draw({ points, more }) {
  marks.clearLayers();
  const radius = map.getZoom() < FAR ? 3 : 5;
  for (const [id, lng, lat, level] of points.reverse()) marks.addLayer(mark([lat, lng], level, id, radius));
  told.hidden = !more;
  if (more) told.textContent = say("points", { n: points.length });
}

// Where the selected case is: the map goes there, and near, unless somebody has chosen how near it is to be.
export function show(at) {
  ring?.remove();
  ring = null;
  if (!at) return;
  ring = L.circleMarker(at, { radius: 14, weight: 3, color: ink("--blue"), fill: false, interactive: false, pane: "marks" });
  ring.addTo(map);
  if (chosen && map.getBounds().pad(-0.1).contains(at)) return;
  moving = true;
  map.setView(at, chosen ? map.getZoom() : CLOSE, { animate: false });
  moving = false;
}
