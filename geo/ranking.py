"""Orders the polygons that a place may lie in: the largest share first, then the nearest, then the lowest code."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from geo.covering import Floats, Indices
from geo.layer import Layer
from geo.place import Candidate

_UNIT = 10_000  # shares are told to four digits


class Ranked(NamedTuple):
    """`uncovered` is the share that lies in no polygon of the level: with it the candidates' shares add up to one."""

    candidates: tuple[Candidate, ...]
    uncovered: float


def rank(layer: Layer, polygons: Indices, shares: Floats, metres: Floats | None = None) -> Ranked:
    """`shares` of a circle or geometry that each polygon has, in all more than one where polygons overlap or a line
    runs along a border; `metres` from a point to each."""
    shares = shares / max(1.0, float(shares.sum()))
    *told, uncovered = _told(np.append(shares, max(0.0, 1.0 - float(shares.sum())))).tolist()
    far = [None] * len(polygons) if metres is None else metres.round(2).tolist()
    rows = sorted(zip(told, far, polygons.tolist(), strict=True), key=lambda row: (-row[0], row[1] or 0.0, row[2]))
    candidates = (Candidate(layer.level, layer.codes[n], layer.names[n], share, away) for share, away, n in rows)
    return Ranked(tuple(candidates), uncovered)


def _told(shares: Floats) -> Floats:
    """Rounded so that they still add up: what is left over goes to those that lost most."""
    units = shares * _UNIT
    low = np.floor(units + 1e-6)
    missing = max(0, round(float(units.sum() - low.sum())))
    low[np.argsort(low - units, kind="stable")[:missing]] += 1
    told: Floats = low / _UNIT
    return told
