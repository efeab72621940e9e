"""Draws the raster of a layer: which boxes no edge crosses, which are cut in two by one, and which need all polygons.
The compiler does it once an edition."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.covering import Covering, Floats, Indices
from geo.layer import Objects
from geo.raster import Numbers, Raster

MOST_BOXES = 1 << 22  # 16 MiB of table a layer
LEAST_BOXES = 1 << 16
MOST_FINER = 1 << 23  # 32 MiB of finer tables a layer
FINEST = 8
BOXES_AN_EDGE = 96  # then about one point in a hundred falls into a box with a corner, which is drawn finer
_SLACK = 1e-6  # of a box: what lies this near to it counts as in it, far more than a point's box is rounded by
_MARGIN = 1e-9  # of an orientation's products: a box whose corner is this near to the segment is not cut in two


@dataclass(frozen=True, slots=True)
class _Tiles:
    """Pieces of the ground to draw, all of `shape` rows and columns: the lower left corner of each, and how wide their
    boxes are, both in boxes of the raster. The whole is one tile; each box with a corner in it becomes another."""

    frame: Floats
    origin: Floats
    step: float
    shape: tuple[int, int]

    def split(self, box: Indices) -> tuple[Indices, Indices, Indices]:
        tile, within = np.divmod(box, self.shape[0] * self.shape[1])
        return tile, *np.divmod(within, self.shape[1])

    def degrees(self, tile: Indices, row: Indices, column: Indices, within: float = 0.0) -> Floats:
        """Of each box's lower left corner, or of what lies `within` it."""
        at = (np.stack([column, row], axis=-1) + within) * self.step + self.origin[tile]
        degrees: Floats = at / self.frame[2:] + self.frame[:2]
        return degrees


@dataclass(frozen=True, slots=True)
class _Drawn:
    """`table` as in the raster, if `cut` were all its cuts; zero in the `mixed` boxes. Then who crosses what."""

    table: Numbers
    cut: Indices
    sides: Numbers
    mixed: Indices
    box: Indices
    segment: Indices


def rasterise(covering: Covering, boxes: int | None = None, finer: int = MOST_FINER) -> Raster:
    """`boxes` is about how many (default: as many as the edges are worth), `finer` how many finer ones at most."""
    segments = _segments(covering.polygons)
    frame, shape = _frame(covering.polygons, boxes or min(MOST_BOXES, max(LEAST_BOXES, BOXES_AN_EDGE * len(segments))))
    whole = _Tiles(frame, np.zeros((1, 2)), 1.0, shape)
    each = np.arange(len(segments))
    coarse = _draw(whole, np.zeros_like(each), each, segments, covering)
    crossing = np.isin(coarse.box, coarse.mixed)
    tile, segment = np.searchsorted(coarse.mixed, coarse.box[crossing]), coarse.segment[crossing]
    _, row, column = whole.split(coarse.mixed)
    finest = _finest(len(coarse.mixed), finer)
    tiles = _Tiles(frame, np.column_stack([column, row]).astype(float), 1 / finest, (finest, finest))
    fine = _draw(tiles, tile, segment, segments, covering)
    cut = np.concatenate([coarse.cut, fine.cut])
    coarse.table[coarse.mixed] = -2 - len(cut) - np.arange(len(coarse.mixed))
    fine.table[fine.table < -1] -= len(coarse.cut)
    fine.table[fine.mixed] = -2 - len(cut) - fine.mixed // finest**2
    starts, several = _several(tiles, covering)
    used, cuts = np.unique(cut, return_inverse=True)
    sides = np.concatenate([coarse.sides, fine.sides])
    numbers = np.array([*shape, finest], dtype=np.int32)
    return Raster(
        frame, numbers, coarse.table, fine.table, cuts.astype(np.int32), sides, segments[used], starts, several
    )


def _segments(polygons: Objects) -> Floats:
    """Rows x, y, dx, dy: each straight piece of any ring once, however many polygons share it, from its lower end."""
    rings = shapely.get_rings(shapely.get_parts(polygons))  # of the parts: get_rings passes over MultiPolygons
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    joined = np.flatnonzero(ring[1:] == ring[:-1])
    start, end = xy[joined], xy[joined + 1]
    turned = (start[:, 0] > end[:, 0]) | ((start[:, 0] == end[:, 0]) & (start[:, 1] > end[:, 1]))
    start[turned], end[turned] = end[turned], start[turned]
    both = np.hstack([start, end])
    both = both[np.lexsort(both.T)]
    new = np.append(True, np.any(both[1:] != both[:-1], axis=1)) & np.any(both[:, :2] != both[:, 2:], axis=1)
    return np.hstack([both[new, :2], both[new, 2:] - both[new, :2]])


def _frame(polygons: Objects, boxes: int) -> tuple[Floats, tuple[int, int]]:
    """West, south and boxes a degree; rows and columns, with an empty box more on every side."""
    west, south, east, north = shapely.total_bounds(polygons)
    wide, high = east - west, north - south
    columns = int(np.clip(np.sqrt(boxes * wide / high), 2, boxes // 2))
    rows = max(2, boxes // columns)
    a_lng, a_lat = columns / wide, rows / high
    # A quarter of a box inside the padding, so that rounding moves nothing out of it.
    frame = np.array([west - 1.25 / a_lng, south - 1.25 / a_lat, a_lng, a_lat])
    return frame, (rows + 3, columns + 3)


def _finest(mixed: int, most: int) -> int:
    """Rows and columns of the finer rasters, one for each mixed box."""
    finest = FINEST
    while mixed * finest**2 > most and finest > 1:
        finest //= 2
    return finest


def _draw(tiles: _Tiles, tile: Indices, segment: Indices, segments: Floats, covering: Covering) -> _Drawn:
    """Of the pairs (tile, segment), all segments that cross each tile."""
    shape = (len(tiles.origin), *tiles.shape)
    start = (segments[segment, :2] - tiles.frame[:2]) * tiles.frame[2:] - tiles.origin[tile]
    pair, row, column = _crossed(np.hstack([start, segments[segment, 2:] * tiles.frame[2:]]) / tiles.step, tiles.shape)
    box, segment = (tile[pair] * shape[1] + row) * shape[2] + column, segment[pair]
    counts = np.bincount(box, minlength=int(np.prod(shape)))
    table = _plain((counts == 0).reshape(shape), tiles, covering)
    alone = counts[box] == 1
    parted, number, cut, sides = _cut_in_two(box[alone], segment[alone], segments, tiles, covering)
    table[parted] = -2 - number
    counts[parted] = 0
    return _Drawn(table, cut, sides, np.flatnonzero(counts), box, segment)


def _crossed(lines: Floats, shape: tuple[int, int]) -> tuple[Indices, Indices, Indices]:
    """Triples (line, row, column) of every box that a line (x, y, dx, dy in boxes) touches or comes near to, line by
    line from its left end on."""
    line, column = _steps(lines[:, 0], lines[:, 0] + lines[:, 2], shape[1])
    u, v, du, dv = lines[line].T
    with np.errstate(divide="ignore", invalid="ignore"):
        enters, leaves = (column - _SLACK - u) / du, (column + 1 + _SLACK - u) / du
    upright = du == 0
    first = v + dv * np.where(upright, 0.0, np.clip(enters, 0.0, 1.0))
    last = v + dv * np.where(upright, 1.0, np.clip(leaves, 0.0, 1.0))
    falls = dv < 0
    part, row = _steps(np.where(falls, shape[0] - first, first), np.where(falls, shape[0] - last, last), shape[0])
    return line[part], np.where(falls[part], shape[0] - 1 - row, row), column[part]


def _steps(low: Floats, high: Floats, most: int) -> tuple[Indices, Indices]:
    """Pairs (number, step) for every whole step from 0 to below `most` that each interval touches."""
    first = np.maximum(np.floor(low - _SLACK).astype(np.int64), 0)
    last = np.minimum(np.floor(high + _SLACK).astype(np.int64), most - 1)
    counts = np.maximum(last - first + 1, 0)
    number = np.repeat(np.arange(len(low)), counts)
    return number, np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(len(number))


def _plain(plain: NDArray[np.bool_], tiles: _Tiles, covering: Covering) -> Numbers:
    """The table with the polygon of every box that no edge crosses. No edge lies between two such boxes that touch, so
    one box of each connected piece is asked: `above` leads from run to run of a row to the one that is."""
    starts = plain.copy()
    starts[:, :, 1:] &= ~plain[:, :, :-1]
    run = np.cumsum(starts).reshape(plain.shape) - 1
    tile, row, column = np.nonzero(starts)
    above = np.arange(len(tile))
    touching = plain[:, 1:] & plain[:, :-1]
    above[run[:, 1:][touching]] = run[:, :-1][touching]
    while np.any(above[above] != above):
        above = above[above]
    asked = np.flatnonzero(above == np.arange(len(above)))
    value = np.empty(len(above), dtype=np.int32)
    value[asked] = covering.of(*tiles.degrees(tile[asked], row[asked], column[asked], 0.5).T)
    return np.where(plain, value[above][run] if len(above) else 0, 0).astype(np.int32).ravel()


def _cut_in_two(
    box: Indices, segment: Indices, segments: Floats, tiles: _Tiles, covering: Covering
) -> tuple[Indices, Indices, Indices, Numbers]:
    """Of boxes with one segment those that it parts, each with the number of its cut: segment, and the polygons to the
    left of it and to the right. It goes right through: at its ends there is another segment of its ring."""
    tile, row, column = tiles.split(box)
    corners = [(row + top, column + right) for right in (0, 1) for top in (0, 1)]
    corner = np.stack([tiles.degrees(tile, *at) for at in corners], axis=1)
    x, y, dx, dy = (each[:, None] for each in segments[segment].T)
    forward, back = dx * (corner[:, :, 1] - y), dy * (corner[:, :, 0] - x)
    side, margin = forward - back, _MARGIN * (np.abs(forward) + np.abs(back)).max(axis=1)
    most, least = side.argmax(axis=1), side.argmin(axis=1)
    number = np.arange(len(box))
    parted = np.flatnonzero((side[number, most] > margin) & (side[number, least] < -margin))
    tile, row, column, segment = (each[parted] for each in (tile, row, column, segment))
    # Nothing else comes near to two such boxes side by side: in both the same polygons lie beside the segment.
    beside = (np.abs(np.diff(row)) + np.abs(np.diff(column)) == 1) & (np.diff(tile) == 0) & (np.diff(segment) == 0)
    new = np.append(True, ~beside)[: len(parted)]
    asked = parted[new]
    outermost = (corner[asked, most[asked]], corner[asked, least[asked]])
    sides = np.stack([covering.of(at[:, 0], at[:, 1]) for at in outermost], axis=1).astype(np.int32)
    return box[parted], np.cumsum(new) - 1, segment[new], sides


def _several(tiles: _Tiles, covering: Covering) -> tuple[Numbers, Numbers]:
    """For each tile the polygons that touch it, ascending, one list after the other."""
    low = tiles.origin - _SLACK
    corners = np.hstack([low, low + 1 + 2 * _SLACK]) / np.tile(tiles.frame[2:], 2) + np.tile(tiles.frame[:2], 2)
    number, polygon = covering.tree.query(shapely.box(*corners.T), predicate="intersects")
    order = np.lexsort((polygon, number))
    starts = np.append(0, np.cumsum(np.bincount(number, minlength=len(tiles.origin))))
    return starts.astype(np.int32), polygon[order].astype(np.int32)
