"""A raster over one layer's ground: most of its boxes lie in one polygon or are cut by one edge, so that a point there
is placed by a table or by one turn of the head; boxes with a corner have a finer raster each, and only what is mixed
there too asks shapely. Built by the compiler, asked by `Ground`."""

from __future__ import annotations

from collections.abc import Callable
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
    right; the others, n = k - len(cuts), are told by boxes of their own, in the same way, from `finer[n * finest**2]`
    on, and what is mixed there too asks the polygons `several[starts[n]:starts[n + 1]]`.

    `frame` is west, south, boxes a degree of longitude, of latitude; `shape` rows, columns and `finest`, a power of
    two: the rows and columns of such a finer raster. `segments` are rows of x, y, dx, dy in degrees. The outermost
    boxes lie outside the ground, so that a point beyond them is outside too.
    """

    frame: Floats
    shape: Numbers
    table: Numbers
    finer: Numbers
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
        (west, south, a_lng, a_lat), (rows, columns, finest) = self.frame.tolist(), self.shape.tolist()
        u, v = np.clip((lng - west) * a_lng, 0, columns - 1), np.clip((lat - south) * a_lat, 0, rows - 1)
        found = self.table.take(_box(u, v, columns)).astype(np.int64)
        mixed = np.flatnonzero(found < -1 - len(self.cuts))
        number = -2 - len(self.cuts) - found[mixed]
        within = _box(u[mixed] % 1.0 * finest, v[mixed] % 1.0 * finest, finest)
        found[mixed] = self.finer.take(number * finest**2 + within)
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

    def _beside(self, cut: Indices, lng: Floats, lat: Floats) -> tuple[Indices, Indices]:
        """The polygon on the point's side of the segment, and which points are too near to it to tell."""
        x, y, dx, dy = self.segments.take(self.cuts.take(cut), axis=0).T
        forward, back = dx * (lat - y), dy * (lng - x)
        side = forward - back
        unsure = np.flatnonzero(np.abs(side) <= _ROUNDING * (np.abs(forward) + np.abs(back)))
        return self.sides.take(2 * cut + (side < 0)).astype(np.int64), unsure

    def _named(self, mixed: Indices) -> tuple[Indices, Indices]:
        """Pairs (number, polygon) of the polygons to ask for each of these boxes."""
        counts = self.starts[mixed + 1] - self.starts[mixed]
        number = np.repeat(np.arange(len(mixed)), counts)
        rank = np.arange(len(number)) - np.repeat(np.cumsum(counts) - counts, counts)
        return number, self.several[np.repeat(self.starts[mixed], counts) + rank]


def _box(u: Floats, v: Floats, columns: int) -> Indices:
    box: Indices = v.astype(np.int64)
    box *= columns
    box += u.astype(np.int64)
    return box


def finder(raster: Raster, covering: Covering) -> Callable[[float, float], int]:
    """For one finite point at a time: the raster's steps in plain Python, which for one point beats numpy tenfold."""
    west, south, a_lng, a_lat = raster.frame.tolist()
    rows, columns, finest = raster.shape.tolist()
    table, finer, cuts, sides = raster.table.data, raster.finer.data, raster.cuts.data, raster.sides.ravel().data
    segments, starts, several = raster.segments.ravel().data, raster.starts.data, raster.several.data
    count, lowest = len(cuts), -1 - len(cuts)
    polygons, intersects = covering.polygons, shapely.intersects_xy

    def find(lng: float, lat: float) -> int:
        u, v = (lng - west) * a_lng, (lat - south) * a_lat
        column, row = int(u), int(v)
        if not (0 <= column < columns and 0 <= row < rows):
            return NONE
        found: int = table[row * columns + column]
        if found < lowest:
            number = -2 - count - found
            found = finer[(number * finest + int((v - row) * finest)) * finest + int((u - column) * finest)]
            if found < lowest:
                return among(number, lng, lat)
        return found if found >= NONE else beside(-2 - found, lng, lat)

    def beside(number: int, lng: float, lat: float) -> int:
        at = cuts[number] * 4
        forward = segments[at + 2] * (lat - segments[at + 1])
        back = segments[at + 3] * (lng - segments[at])
        side = forward - back
        if abs(side) > _ROUNDING * (abs(forward) + abs(back)):
            found: int = sides[2 * number + (side < 0)]
            return found
        return int(covering.of(np.array([lng]), np.array([lat]))[0])

    def among(number: int, lng: float, lat: float) -> int:
        for polygon in several[starts[number] : starts[number + 1]]:
            if intersects(polygons[polygon], lng, lat):
                return int(polygon)
        return NONE

    return find
