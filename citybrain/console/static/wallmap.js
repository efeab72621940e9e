// The wall's map: the whole city and its cases, the most pressing two thousand, as the desk draws them; it never moves.

import { lay, outlines } from "./ground.js";
import { mark } from "./marks.js";
import { say } from "./said.js";

const L = globalThis.L; // of the script before this one; nothing where it was not brought along
const RADIUS = 320; // the screen's width in radii of a mark
const PATIENCE = 15_000;
const STILL = ["dragging", "touchZoom", "doubleClickZoom", "scrollWheelZoom", "boxZoom", "keyboard", "zoomControl"];

let ground = JSON.parse(document.getElementById("state").dataset.ground);
const more = document.getElementById("points");
let marks;

if (L) open();

function open() {
  document.querySelector(".wall-map").hidden = false;
  const still = Object.fromEntries(STILL.map((each) => [each, false]));
  const map = L.map("map", { ...still, preferCanvas: true, attributionControl: false, zoomSnap: 0 });
  map.getContainer().removeAttribute("tabindex");
  const fit = () => {
    map.invalidateSize({ animate: false });
    map.fitBounds(ground.box, { animate: false, padding: [8, 8] });
  };
  fit();
  lay(map, ground, [outlines], (now) => {
    ground = now;
    document.getElementById("ground-note").textContent = now.note;
    fit();
  });
  map.createPane("marks").style.zIndex = 450;
  marks = L.layerGroup([], { pane: "marks" }).addTo(map);
  new ResizeObserver(fit).observe(map.getContainer());
}

export async function points() {
  if (!L) return;
  const [[south, west], [north, east]] = ground.box;
  const signal = AbortSignal.timeout(PATIENCE);
  const answer = await fetch(`/fragments/points?box=${west},${south},${east},${north}`, { signal }).catch(() => null);
  const found = answer?.ok ? await answer.json().catch(() => null) : null;
  if (!found) return;
  marks.clearLayers();
  for (const [id, lng, lat, level] of found.points.reverse()) marks.addLayer(mark([lat, lng], level, id, innerWidth / RADIUS));
  more.hidden = !found.more;
  if (found.more) more.textContent = say("points", { n: found.points.length });
}
