"""Draws the raster of a layer: which boxes no edge crosses, which are cut in two by one, and which need all polygons.
The compiler does it once an edition."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.covering import Covering, Floats, Indices
from geo.layer import Objects
from geo.raster import Numbers, Raster

MOST_BOXES = 1 << 22  # 16 MiB of table a layer
LEAST_BOXES = 1 << 12
BOXES_AN_EDGE = 96  # then about one point in a hundred falls into a box with a corner, where shapely is asked
_SLACK = 1e-6  # of a box: what lies this near to it counts as in it, far more than a point's box is rounded by
_MARGIN = 1e-9  # of an orientation's products: a box whose corner is this near to the segment is not cut in two


def rasterise(covering: Covering, boxes: int | None = None) -> Raster:
    """`boxes` is about how many (default: as many as the edges are worth)."""
    segments = _segments(covering.polygons)
    frame, shape = _frame(covering.polygons, boxes or min(MOST_BOXES, max(LEAST_BOXES, BOXES_AN_EDGE * len(segments))))
    box, segment = _crossed(segments, frame, shape)
    counts = np.bincount(box, minlength=int(shape.prod()))
    table = _plain((counts == 0).reshape(shape), frame, covering)
    alone = counts[box] == 1
    box_cut, cut, corners = _cut_in_two(box[alone], segment[alone], segments, frame, shape)
    sides = np.stack([covering.of(corner[:, 0], corner[:, 1]) for corner in corners], axis=1).astype(np.int32)
    table[box_cut] = -2 - np.arange(len(box_cut))
    counts[box_cut] = 0
    mixed = np.flatnonzero(counts)
    table[mixed] = -2 - len(box_cut) - np.arange(len(mixed))
    starts, several = _several(mixed, frame, shape, covering)
    used, cuts = np.unique(cut, return_inverse=True)
    return Raster(frame, shape, table, cuts.astype(np.int32), sides, segments[used], starts, several)


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


def _frame(polygons: Objects, boxes: int) -> tuple[Floats, Numbers]:
    """West, south and boxes a degree; rows and columns, with an empty box more on every side."""
    west, south, east, north = shapely.total_bounds(polygons)
    wide, high = east - west, north - south
    columns = int(np.clip(np.sqrt(boxes * wide / high), 2, boxes // 2))
    rows = max(2, boxes // columns)
    a_lng, a_lat = columns / wide, rows / high
    # A quarter of a box inside the padding, so that rounding moves nothing out of it.
    frame = np.array([west - 1.25 / a_lng, south - 1.25 / a_lat, a_lng, a_lat])
    return frame, np.array([rows + 3, columns + 3], dtype=np.int32)


def _crossed(segments: Floats, frame: Floats, shape: Numbers) -> tuple[Indices, Indices]:
    """Pairs (box, segment) of every box that a segment touches or comes near to."""
    in_boxes = np.hstack([(segments[:, :2] - frame[:2]) * frame[2:], segments[:, 2:] * frame[2:]])
    segment, column = _steps(in_boxes[:, 0], in_boxes[:, 0] + in_boxes[:, 2])
    u, v, du, dv = in_boxes[segment].T
    with np.errstate(divide="ignore", invalid="ignore"):
        enters, leaves = (column - _SLACK - u) / du, (column + 1 + _SLACK - u) / du
    upright = du == 0
    first = v + dv * np.where(upright, 0.0, np.clip(enters, 0.0, 1.0))
    last = v + dv * np.where(upright, 1.0, np.clip(leaves, 0.0, 1.0))
    part, row = _steps(np.minimum(first, last), np.maximum(first, last))
    return row * int(shape[1]) + column[part], segment[part]


def _steps(low: Floats, high: Floats) -> tuple[Indices, Indices]:
    """Pairs (number, step) for every whole step that each interval touches."""
    first = np.floor(low - _SLACK).astype(np.int64)
    counts = np.floor(high + _SLACK).astype(np.int64) - first + 1
    number = np.repeat(np.arange(len(low)), counts)
    return number, np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(len(number))


def _plain(plain: NDArray[np.bool_], frame: Floats, covering: Covering) -> Numbers:
    """The table with the polygon of every box that no edge crosses. No edge lies between two such boxes that touch, so
    one box of each connected piece is asked: `above` leads from run to run of a row to the one that is."""
    starts = plain.copy()
    starts[:, 1:] &= ~plain[:, :-1]
    run = np.cumsum(starts).reshape(plain.shape) - 1
    above = np.arange(run[-1, -1] + 1)
    touching = plain[1:] & plain[:-1]
    above[run[1:][touching]] = run[:-1][touching]
    while np.any(above[above] != above):
        above = above[above]
    row, column = np.nonzero(starts)
    asked = np.flatnonzero(above == np.arange(len(above)))
    lng, lat = frame[0] + (column[asked] + 0.5) / frame[2], frame[1] + (row[asked] + 0.5) / frame[3]
    value = np.empty(len(above), dtype=np.int32)
    value[asked] = covering.of(lng, lat)
    return np.where(plain, value[above][run], 0).astype(np.int32).ravel()


def _cut_in_two(
    box: Indices, segment: Indices, segments: Floats, frame: Floats, shape: Numbers
) -> tuple[Indices, Indices, tuple[Floats, Floats]]:
    """Of boxes with one segment those that it parts, with their outermost corners to the left of it and to the right,
    which nothing else comes near to. It goes right through: at its ends there is another segment of its ring."""
    row, column = np.divmod(box, int(shape[1]))
    corners = [np.column_stack([column + right, row + top]) for right in (0, 1) for top in (0, 1)]
    corner = np.stack(corners, axis=1) / frame[2:] + frame[:2]
    x, y, dx, dy = (each[:, None] for each in segments[segment].T)
    forward, back = dx * (corner[:, :, 1] - y), dy * (corner[:, :, 0] - x)
    side, margin = forward - back, _MARGIN * (np.abs(forward) + np.abs(back)).max(axis=1)
    most, least = side.argmax(axis=1), side.argmin(axis=1)
    number = np.arange(len(box))
    parted = np.flatnonzero((side[number, most] > margin) & (side[number, least] < -margin))
    return box[parted], segment[parted], (corner[parted, most[parted]], corner[parted, least[parted]])


def _several(mixed: Indices, frame: Floats, shape: Numbers, covering: Covering) -> tuple[Numbers, Numbers]:
    """For each of the other boxes the polygons that touch it, ascending, one list after the other."""
    row, column = np.divmod(mixed, int(shape[1]))
    low = np.column_stack([column, row]) - _SLACK
    corners = np.hstack([low, low + 1 + 2 * _SLACK]) / np.tile(frame[2:], 2) + np.tile(frame[:2], 2)
    number, polygon = covering.tree.query(shapely.box(*corners.T), predicate="intersects")
    order = np.lexsort((polygon, number))
    starts = np.append(0, np.cumsum(np.bincount(number, minlength=len(mixed))))
    return starts.astype(np.int32), polygon[order].astype(np.int32)
