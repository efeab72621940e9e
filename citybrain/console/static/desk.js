// The desk: joins queue, map and case, and lets them hear what happens.

import * as address from "./address.js";
import { noted } from "./connection.js";
import * as fresh from "./fresh.js";
import { takeUp } from "./ground.js";
import * as map from "./map.js";
import * as pane from "./pane.js";
import * as queue from "./queue.js";
import { listen } from "./stream.js";
import "./bulk.js";
import "./keyboard.js";

const page = document.body.dataset;
const wide = queue.wide();
const MAP_EVERY = 4_000; // ms, while cases change

let mapLooked = 0;
let mapped = false;

queue.wire();
queue.on("current", (id, row, from) => {
  address.keep("case", id);
  if (id && wide) pane.openCase(id);
  if (mapped && from !== "map") map.show(row?.dataset.lat ? [Number(row.dataset.lat), Number(row.dataset.lng)] : null);
});

if (wide) {
  mapped = map.open(
    (id, at) => {
      queue.choose(id, "map");
      map.show(at);
    },
    (at) => {
      queue.choose(null, "map");
      map.show(at);
      pane.openPlace(at);
    },
  );
  const chosen = address.chosenCase();
  if (chosen) queue.choose(chosen, "address");
  fresh.onFresh((ground) => {
    if (ground) takeUp(ground);
    if (!mapped || performance.now() - mapLooked < MAP_EVERY) return;
    mapLooked = performance.now();
    map.look();
  });
}

listen(page.visitor, page.types.split(" "), (message) => {
  if (noted(message)) fresh.everything();
  if (!message.data || message.type === "pulse") return;
  fresh.happened(message);
  if (wide) pane.happened(message);
});
