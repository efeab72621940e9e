"""The divisions below one as a drawing: which ground has how much of its industries covered. The server draws it, with
links: it prints, needs no script, and leads where the list beside it leads."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from math import cos, radians
from typing import Any, NamedTuple

import numpy as np
import shapely

from geo.edition import Edition

MOST = 400  # shapes: more would be a carpet, and the list has pages for it
FOCUSED = 40  # shapes that the Tab key goes through; beyond, the list is shorter
WIDTH, TALLEST = 640, 640
FINENESS = 0.6  # of a unit of the drawing
LETTER, LINE = 15, 18  # as wide and as high is the text in a shape
STEPS = (25.0, 50.0, 75.0, 100.0)  # percent, where the next shade begins
KEPT = 64


class Shape(NamedTuple):
    """One division: its outline, and where its name may stand. `room` is how many letters fit, 0 for none."""

    code: str
    path: str
    x: float
    y: float
    room: int


class Drawing(NamedTuple):
    height: int
    shapes: Sequence[Shape]
    without: int  # divisions that have no ground in this edition

    @property
    def width(self) -> int:
        return WIDTH


_drawn: OrderedDict[tuple[str, str, tuple[str, ...]], Drawing | None] = OrderedDict()  # an edition never changes


def drawing(edition: Edition, level: str, codes: Sequence[str]) -> Drawing | None:
    """None where there is nothing to draw, or too much."""
    layer = edition.layers.get(level)
    if layer is None or not 0 < len(codes) <= MOST:
        return None
    asked = edition.id, level, tuple(codes)
    if asked not in _drawn:
        _drawn[asked] = _draw(edition, level, codes)
        while len(_drawn) > KEPT:
            _drawn.popitem(last=False)
    return _drawn[asked]


def _draw(edition: Edition, level: str, codes: Sequence[str]) -> Drawing | None:
    layer = edition.layers[level]
    rows = np.flatnonzero(np.isin(layer.codes.astype(str), codes))
    if not len(rows):
        return None
    west, south, east, north = shapely.total_bounds(layer.polygons[rows])
    wide = cos(radians((south + north) / 2))
    scale = min(WIDTH / ((east - west) * wide), TALLEST / (north - south))
    left = (WIDTH - (east - west) * wide * scale) / 2

    def placed(points: Any) -> Any:
        return np.column_stack([left + (points[:, 0] - west) * wide * scale, (north - points[:, 1]) * scale])

    whole = shapely.transform(layer.polygons[rows], placed)
    simple = shapely.coverage_simplify(whole, FINENESS)
    spots = shapely.get_coordinates(shapely.maximum_inscribed_circle(whole, tolerance=1.0)).reshape(len(rows), 2, 2)
    shapes = [
        Shape(layer.codes[row], _path(shape), round(float(at[0]), 1), round(float(at[1]), 1), _room(shape, at))
        for row, shape, at in zip(rows, simple, spots[:, 0], strict=True)
    ]
    return Drawing(round((north - south) * scale), shapes, len(codes) - len(rows))


def _path(shape: Any) -> str:
    rings = shapely.get_rings(shapely.get_parts(shape))
    return "".join(
        "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in shapely.get_coordinates(ring)[:-1]) + "Z" for ring in rings
    )


def _room(shape: Any, at: Any) -> int:
    """How many letters a line through the middle holds, where two lines do."""
    x, y = at
    west, _, east, _ = shape.bounds
    lines = [shapely.LineString([(west, y + up), (east, y + up)]) for up in (-LINE / 2, LINE / 2)]
    parts = [shapely.get_parts(shapely.intersection(shape, line)) for line in lines]
    reach = [_around(found, x) for found in parts]
    return int(min(reach) // LETTER)


def _around(parts: Any, x: float) -> float:
    """The width on both sides of x that lies inside one part."""
    for part in parts:
        west, _, east, _ = part.bounds
        if west <= x <= east:
            return 2 * float(min(x - west, east - x))
    return 0.0


def shade(figure: Mapping[str, Any]) -> str:
    """The class of a figure's colour: none for no data, 0 for nothing, then a step a quarter up to all."""
    percent = figure["percent"]
    if percent is None:
        return "none"
    return str(sum(percent >= step for step in STEPS) + 1) if percent else "0"
