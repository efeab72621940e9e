"""A raster over one layer's ground: most of its boxes lie in one polygon or are cut by one edge, so that a point there
is placed by a table or by one turn of the head; only the rest ask shapely. Built by the compiler, asked by `Ground`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.covering import NONE, Covering, Floats, Indices

Numbers = NDArray[np.int32]

STEP = 1 << 15  # points at a time: their arrays stay in the processor's cache
_ROUNDING = 1e-15  # of an orientation test's two products; Shewchuk's bound is 3.4e-16


@dataclass(frozen=True, slots=True, eq=False)
class Raster:
    """`table` holds for each box, row by row from the south-west, the polygon's index, NONE, or -2 - k: for k below the
    number of `cuts` the box is cut by segment `cuts[k]` with polygon `sides[k, 0]` to its left and `sides[k, 1]` to its
    right; the others ask the polygons `several[starts[n]:starts[n + 1]]`, n = k - len(cuts).

    `frame` is west, south, boxes a degree of longitude, of latitude; `shape` rows, columns; `segments` are rows of
    x, y, dx, dy in degrees. The outermost boxes lie outside the ground, so that a point beyond them is outside too.
    """

    frame: Floats
    shape: Numbers
    table: Numbers
    cuts: Numbers
    sides: Numbers
    segments: Floats
    starts: Numbers
    several: Numbers

    def locate(self, lng: Floats, lat: Floats, covering: Covering) -> Indices:
        """The same as `covering.of`, of the polygons that the raster was drawn from."""
        found = np.empty(len(lng), dtype=np.int64)
        for start in range(0, len(lng), STEP):
            part = slice(start, start + STEP)
            found[part] = self._located(lng[part], lat[part], covering)
        return found

    def _located(self, lng: Floats, lat: Floats, covering: Covering) -> Indices:
        found = self.table[self._box(lng, lat)].astype(np.int64)
        special = np.flatnonzero(found < NONE)
        number = -2 - found[special]
        is_cut = number < len(self.cuts)
        cut, mixed = special[is_cut], special[~is_cut]
        found[cut], unsure = self._beside(number[is_cut], lng[cut], lat[cut])
        point, polygon = self._named(number[~is_cut] - len(self.cuts))
        found[mixed] = covering.lowest(point, polygon, lng[mixed], lat[mixed])
        if len(unsure):
            on_edge = cut[unsure]
            found[on_edge] = covering.of(lng[on_edge], lat[on_edge])
        return found

    def _box(self, lng: Floats, lat: Floats) -> Indices:
        (west, south, a_lng, a_lat), (rows, columns) = self.frame.tolist(), self.shape.tolist()
        column: Indices = np.clip((lng - west) * a_lng, 0, columns - 1).astype(np.int64)
        row: Indices = np.clip((lat - south) * a_lat, 0, rows - 1).astype(np.int64)
        row *= columns
        row += column
        return row

    def _beside(self, cut: Indices, lng: Floats, lat: Floats) -> tuple[Indices, Indices]:
        """The polygon on the point's side of the segment, and which points are too near to it to tell."""
        x, y, dx, dy = self.segments[self.cuts[cut]].T
        forward, back = dx * (lat - y), dy * (lng - x)
        side = forward - back
        unsure = np.flatnonzero(np.abs(side) <= _ROUNDING * (np.abs(forward) + np.abs(back)))
        return self.sides[cut, (side < 0).view(np.int8)].astype(np.int64), unsure

    def _named(self, mixed: Indices) -> tuple[Indices, Indices]:
        """Pairs (number, polygon) of the polygons to ask for each of these boxes."""
        counts = self.starts[mixed + 1] - self.starts[mixed]
        number = np.repeat(np.arange(len(mixed)), counts)
        rank = np.arange(len(number)) - np.repeat(np.cumsum(counts) - counts, counts)
        return number, self.several[np.repeat(self.starts[mixed], counts) + rank]


class Finder:
    """One point at a time: the raster's steps in plain Python, which for one point is ten times as fast as numpy."""

    def __init__(self, raster: Raster, covering: Covering) -> None:
        self._west, self._south, self._a_lng, self._a_lat = raster.frame.tolist()
        rows, self._columns = raster.shape.tolist()
        self._east, self._north = self._columns - 1, rows - 1
        self._table, self._cuts, self._sides = raster.table.data, raster.cuts.data, raster.sides.data
        self._segments, self._starts, self._several = raster.segments.data, raster.starts.data, raster.several.data
        self._covering, self._polygons = covering, covering.polygons

    def find(self, lng: float, lat: float) -> int:
        """The lowest polygon that covers a finite point, or NONE."""
        column, row = int((lng - self._west) * self._a_lng), int((lat - self._south) * self._a_lat)
        column = 0 if column < 0 else min(column, self._east)
        row = 0 if row < 0 else min(row, self._north)
        found: int = self._table[row * self._columns + column]
        if found >= NONE:
            return found
        number = -2 - found
        mixed = number - len(self._cuts)
        return self._beside(number, lng, lat) if mixed < 0 else self._among(mixed, lng, lat)

    def _beside(self, number: int, lng: float, lat: float) -> int:
        segments, segment = self._segments, self._cuts[number]
        forward = segments[segment, 2] * (lat - segments[segment, 1])
        back = segments[segment, 3] * (lng - segments[segment, 0])
        side = forward - back
        if abs(side) <= _ROUNDING * (abs(forward) + abs(back)):
            return int(self._covering.of(np.array([lng]), np.array([lat]))[0])
        found: int = self._sides[number, 1 if side < 0 else 0]
        return found

    def _among(self, mixed: int, lng: float, lat: float) -> int:
        for polygon in self._several[self._starts[mixed] : self._starts[mixed + 1]]:
            if shapely.intersects_xy(self._polygons[polygon], lng, lat):
                return int(polygon)
        return NONE
