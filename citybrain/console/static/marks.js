// A case on the map: its shape says what its colour says, for who sees colours differently.

import { ink } from "./ground.js";

const L = globalThis.L;
const COLOURS = { overdue: "--red", soon: "--amber", triage: "--pink", running: "--blue", paused: "--soft", stopped: "--soft" };
const SIDES = { overdue: 3, soon: 4, triage: 4 };
const HOLLOW = new Set(["triage", "paused"]);

const Mark = L?.CircleMarker.extend({
  _updatePath() {
    const { _renderer: renderer, _point: point, _radius: radius, options } = this;
    if (!renderer._drawing || this._empty()) return;
    const pen = renderer._ctx;
    pen.beginPath();
    const sides = SIDES[options.level];
    if (sides) polygon(pen, point, radius + 1.5, sides);
    else pen.arc(point.x, point.y, radius, 0, 2 * Math.PI);
    renderer._fillStroke(pen, this);
  },
});

function polygon(pen, { x, y }, radius, sides) {
  for (let corner = 0; corner < sides; corner += 1) {
    const turn = (2 * Math.PI * corner) / sides - Math.PI / 2;
    pen.lineTo(x + radius * Math.cos(turn), y + radius * Math.sin(turn));
  }
  pen.closePath();
}

export function mark(at, level, id, radius) {
  const colour = ink(COLOURS[level]);
  const hollow = HOLLOW.has(level);
  return new Mark(at, {
    id,
    level,
    radius,
    weight: hollow ? 2 : 1,
    color: hollow ? colour : ink("--paper"),
    fillColor: hollow ? ink("--paper") : colour,
    fillOpacity: 1,
    pane: "marks",
    interactive: false,
  });
}
