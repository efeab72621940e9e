"""The small map of a case: the cell or division that it lies in, its neighbours and the point, drawn as paths in
pixels, so that a page shows them without script. Of the edition in use alone: older ground is not kept at hand."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import shapely

from citybrain.installation import Installation
from geo.locator import Locator

LEVELS = ("cell", "village", "town", "county")
WIDTH = 520  # pixels, of the drawing; the page scales it
HEIGHTS = (180, 300)
MARGIN = 0.3  # of the ground, on each side
LEAST = 0.002  # degrees: a point alone is shown with so much around it
MOST = 150  # neighbours
METRES_A_DEGREE = 111_320.0


class Shape(NamedTuple):
    kind: str  # own, touched (candidates and shares) or beside
    path: str
    name: str


class Ground(NamedTuple):
    width: int
    height: int
    shapes: list[Shape]
    point: tuple[float, float] | None
    scale: tuple[float, str]  # pixels, and the length that they stand for
    level: str
    edition: str


class _View(NamedTuple):
    west: float
    north: float
    across: float  # pixels a degree of longitude
    down: float

    def box(self, height: int) -> tuple[float, float, float, float]:
        return self.west, self.north - height / self.down, self.west + WIDTH / self.across, self.north

    def pixels(self, degrees: Any) -> Any:
        return np.column_stack(((degrees[:, 0] - self.west) * self.across, (self.north - degrees[:, 1]) * self.down))


def ground_of(place: Mapping[str, Any], here: Installation) -> Ground | None:
    """None where nothing is known of the place, or it has no polygon."""
    locator, point = here.locator, place.get("wgs84")
    level = next((each for each in LEVELS if place.get(each) and each in locator.edition.layers), None)
    own = _numbers(locator, level, [place[level]["code"]]) if level else []
    if not len(own) and not point:
        return None
    level = level or next(each for each in LEVELS if each in locator.edition.layers)
    named = [*place["candidates"], *place["shares"]]
    touched = _numbers(locator, level, [each["code"] for each in named if each["level"] == level])
    box = _box(locator, level, [*own, *touched], point)
    view, height = _view(box)
    beside = locator.touching(level, *view.box(height))[:MOST]
    kinds = dict.fromkeys(beside.tolist(), "beside") | dict.fromkeys(touched, "touched") | dict.fromkeys(own, "own")
    ordered = sorted(kinds.items(), key=lambda item: ("beside", "touched", "own").index(item[1]))
    shapes = [shape for number, kind in ordered if (shape := _shape(locator, level, number, kind, view, height))]
    if not shapes:
        return None  # far outside the city
    at = view.pixels(np.array([[point["lng"], point["lat"]]]))[0].round(1).tolist() if point else None
    here_is = (at[0], at[1]) if at else None
    return Ground(WIDTH, height, shapes, here_is, _scale(view), level, locator.edition.id)


def _numbers(locator: Locator, level: str | None, codes: Iterable[str]) -> list[int]:
    """Of codes that have a polygon; a layer's codes ascend."""
    if level is None:
        return []
    known = locator.edition.layers[level].codes
    wanted = [(code, int(np.searchsorted(known, code))) for code in dict.fromkeys(codes)]
    return [number for code, number in wanted if number < len(known) and known[number] == code]


def _box(
    locator: Locator, level: str, numbers: list[int], point: Mapping[str, float] | None
) -> tuple[float, float, float, float]:
    """What is shown, in degrees, with a margin."""
    shapes = list(locator.edition.layers[level].polygons[numbers]) if numbers else []
    if point:
        shapes.append(shapely.Point(point["lng"], point["lat"]))
    west, south, east, north = shapely.total_bounds(shapes).tolist()
    wide, high = ((max(span, LEAST) * (1 + 2 * MARGIN)) / 2 for span in (east - west, north - south))
    lng, lat = (west + east) / 2, (south + north) / 2
    return lng - wide, lat - high, lng + wide, lat + high


def _view(box: tuple[float, float, float, float]) -> tuple[_View, int]:
    """The drawing is as wide as the page wants it and as high as the ground, within limits; the rest stays empty."""
    west, south, east, north = box
    narrow = math.cos(math.radians((south + north) / 2))
    wide, high = (east - west) * narrow, north - south
    height = round(min(max(WIDTH * high / wide, HEIGHTS[0]), HEIGHTS[1]))
    scale = min(WIDTH / wide, height / high)
    left = (WIDTH - wide * scale) / 2 / (scale * narrow)
    top = (height - high * scale) / 2 / scale
    return _View(west - left, north + top, scale * narrow, scale), height


def _shape(locator: Locator, level: str, number: int, kind: str, view: _View, height: int) -> Shape | None:
    layer = locator.edition.layers[level]
    drawn = shapely.transform(layer.polygons[number], view.pixels)
    drawn = shapely.clip_by_rect(shapely.simplify(drawn, 0.4), -9, -9, WIDTH + 9, height + 9)
    rings = [ring for part in shapely.get_parts(drawn) if part.geom_type == "Polygon" for ring in _rings(part)]
    path = "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in ring[:-1]) + "Z" for ring in rings)
    return Shape(kind, path, str(layer.names[number] or layer.codes[number])) if path else None


def _rings(polygon: Any) -> list[list[list[float]]]:
    return [shapely.get_coordinates(ring).tolist() for ring in (polygon.exterior, *polygon.interiors)]


def _scale(view: _View) -> tuple[float, str]:
    """A round length of about a fifth of the width."""
    metres = WIDTH / 5 / view.down * METRES_A_DEGREE
    power = 10 ** math.floor(math.log10(metres))
    length = next(each * power for each in (5, 2, 1) if each * power <= metres)
    text = f"{length:g} m" if length < 1000 else f"{length / 1000:g} km"
    return round(length / METRES_A_DEGREE * view.down, 1), text
