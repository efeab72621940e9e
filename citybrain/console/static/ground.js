// The ground below the cases: outlines and names of the coarse levels, the finest ones as an image until the map is so
// near that they are few enough to be drawn as shapes. Nothing of it comes from another host.

const IMAGE_FROM = 10.5;
const SHAPES_FROM = 14;
const NAMES = { county: [0, 12.5], town: [11, 99] };

const L = globalThis.L;

export const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const style = {
  county: () => ({ color: ink("--edge"), weight: 1.6, fillColor: ink("--land"), fillOpacity: 1, interactive: false }),
  town: () => ({ color: ink("--edge"), weight: 0.6, opacity: 0.6, fill: false, interactive: false }),
  village: () => ({ color: ink("--edge"), weight: 1, opacity: 0.8, fill: false, interactive: false }),
  cell: () => ({ color: ink("--edge"), weight: 0.5, opacity: 0.6, fill: false, interactive: false }),
};

const laid = new Set(); // what shows the edition in use

// The ground of the edition in use, drawn by `parts`; `changed` hears of the edition that takes its place.
export function lay(map, ground, parts = [outlines, cells], changed = () => {}) {
  laid.add({ map, parts, changed, edition: ground.edition, drawn: parts.map((draw) => draw(map, ground)) });
}

// What the server tells of the edition in use now: another one's ground takes the place of the old one on every map that
// is still on the page.
export function takeUp(ground) {
  for (const each of laid) {
    if (!each.map.getContainer().isConnected) {
      laid.delete(each);
    } else if (each.edition !== ground.edition) {
      for (const old of each.drawn) Promise.resolve(old).then((remove) => remove());
      each.edition = ground.edition;
      each.drawn = each.parts.map((draw) => draw(each.map, ground));
      each.changed(ground);
    }
  }
}

// In a pane of their own where it is not the only ground of the map: then it looks different and has no names. Both
// answer how what they drew is taken away again: a map that stays open comes to another edition.
export async function outlines(map, ground, look = style, pane = "land") {
  const answer = await fetch(`/ground/${ground.edition}/outlines.json`).catch(() => null);
  if (!answer?.ok) return () => {};
  const shapes = await answer.json();
  (map.getPane(pane) ?? map.createPane(pane)).style.zIndex = pane === "land" ? 300 : 290;
  const drawn = [];
  for (const [level, features] of Object.entries(shapes)) {
    const layer = L.geoJSON(features, { style: look[level], pane }).addTo(map);
    drawn.push([level, layer, pane === "land" ? names(map, layer, level) : () => {}]);
  }
  for (const [, layer] of [...drawn].reverse()) layer.bringToBack();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const [level, layer] of drawn) layer.setStyle(look[level]());
  });
  return () => {
    for (const [, layer, unnamed] of drawn) {
      layer.remove();
      unnamed();
    }
  };
}

function names(map, layer, level) {
  const [from, to] = NAMES[level];
  const labels = L.layerGroup();
  layer.eachLayer((each) => {
    const { name } = each.feature.properties;
    const icon = L.divIcon({ className: `place-name ${level}`, html: "", iconSize: [120, 18] });
    const label = L.marker(each.getCenter?.() ?? each.getBounds().getCenter(), { icon, interactive: false, keyboard: false });
    label.on("add", () => (label.getElement().textContent = name));
    labels.addLayer(label);
  });
  const fit = () => {
    const zoom = map.getZoom();
    if (zoom >= from && zoom < to) labels.addTo(map);
    else labels.remove();
  };
  map.on("zoomend", fit);
  fit();
  return () => {
    map.off("zoomend", fit);
    labels.remove();
  };
}

export function cells(map, ground) {
  if (!ground.image) return () => {};
  (map.getPane("cells") ?? map.createPane("cells")).style.zIndex = 350;
  const image = L.imageOverlay(`/ground/${ground.edition}/cells.png`, ground.box, { pane: "cells", className: "cells" });
  const shapes = L.geoJSON([], { style: (feature) => style[feature.properties.level](), pane: "cells", renderer: L.canvas({ pane: "cells" }) });
  let asking;
  const fit = async () => {
    const zoom = map.getZoom();
    if (zoom >= IMAGE_FROM && zoom < SHAPES_FROM) image.addTo(map);
    else image.remove();
    asking?.abort();
    if (zoom < SHAPES_FROM) return void shapes.remove();
    asking = new AbortController();
    const box = map.getBounds().pad(0.2);
    const edges = [box.getWest(), box.getSouth(), box.getEast(), box.getNorth()].map((each) => each.toFixed(5)).join(",");
    const { signal } = asking;
    const answer = await fetch(`/ground/${ground.edition}/cells.json?box=${edges}`, { signal }).catch(() => null);
    if (!answer?.ok) return;
    const found = await answer.json().catch(() => null);
    if (!found || signal.aborted) return;
    shapes.clearLayers().addData(found).addTo(map);
  };
  map.on("moveend", fit);
  fit();
  return () => {
    map.off("moveend", fit);
    asking?.abort();
    image.remove();
    shapes.remove();
  };
}
