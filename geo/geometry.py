"""Reads GeoJSON geometry that strangers post, refusing what could crash or mislead the locator that takes it next."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import shapely

from geo.datum import to_wgs84

MAX_DEPTH = 16  # shapely 2.2 crashes the process on geometry collections nested some thousand deep
MAX_VERTICES = 20_000
MAX_FOLDS = 200_000  # vertices x (length / extent): what folds more takes GEOS minutes and gigabytes to cut
MAX_VALUE = 1e9  # no coordinate system reaches further; beyond, GEOS overflows
_KINDS = (
    "Point",
    "MultiPoint",
    "LineString",
    "MultiLineString",
    "Polygon",
    "MultiPolygon",
    "GeometryCollection",
)


class GeometryError(ValueError):
    """A geometry that is refused: the `reason`, and the `remedy` for who posted it."""

    def __init__(self, reason: str, remedy: str) -> None:
        self.reason, self.remedy = reason, remedy
        super().__init__(f"{reason}; {remedy}")


def parse_geometry(obj: object) -> Any:
    """The shapely geometry (2D, valid, not empty) of a GeoJSON geometry object; raises only `GeometryError`."""
    _check_depth(obj)
    geometry = _Reader().geometry(obj)
    check_shape(geometry)
    return geometry


def geometry_to_wgs84(geometry: Any, datum: str) -> Any:
    """The geometry with every vertex turned to WGS-84; raises `UnknownDatum` or `GeometryError`."""

    def turn(xy: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.column_stack(to_wgs84(xy[:, 0], xy[:, 1], datum))

    turned = shapely.transform(geometry, turn)
    if not np.isfinite(shapely.get_coordinates(turned)).all():
        raise GeometryError(f"coordinates lie outside the domain of {datum}", "check the datum and the axis order")
    check_shape(turned)
    return turned


def _check_depth(obj: object) -> None:
    level: list[object] = [obj]
    for _ in range(MAX_DEPTH):
        level = list(_below(level))
        if not level:
            return
    raise GeometryError(f"nested more than {MAX_DEPTH} deep", "post a flat geometry without nested collections")


def _below(level: list[object]) -> Iterator[object]:
    for item in level:
        if isinstance(item, dict):
            yield from (value for value in item.values() if isinstance(value, dict | list))
        elif isinstance(item, list):
            yield from (value for value in item if isinstance(value, dict | list))


def check_shape(geometry: Any) -> None:
    """Raises `GeometryError` for what is empty, not valid, or would take GEOS minutes."""
    if shapely.is_empty(geometry):
        raise GeometryError("the geometry is empty", "post at least one position")
    west, south, east, north = shapely.bounds(geometry)
    extent, vertices = math.hypot(east - west, north - south), shapely.get_num_coordinates(geometry)
    if float(shapely.length(geometry)) * vertices > MAX_FOLDS * extent:
        raise GeometryError("the geometry goes to and fro too often for its size", "simplify it, or split it")
    if not shapely.is_valid(geometry):
        reason = shapely.is_valid_reason(geometry)
        raise GeometryError(f"the geometry is not valid: {reason}", "draw it again without crossings or repeated parts")


class _Reader:
    """Builds one geometry, counting its vertices as it goes."""

    def __init__(self) -> None:
        self.vertices = 0

    def geometry(self, obj: object) -> Any:
        if not isinstance(obj, dict):
            raise GeometryError("a geometry is a JSON object", 'post {"type": …, "coordinates": …}')
        kind = obj.get("type")
        if not isinstance(kind, str) or kind not in _KINDS:
            shown = f"{kind[:40]!r}" if isinstance(kind, str) else "missing or no text"
            raise GeometryError(
                f"geometry type is {shown}", f"use one of {', '.join(_KINDS)} (of a Feature, its geometry)"
            )
        if kind == "GeometryCollection":
            parts = [self.geometry(part) for part in _items(obj.get("geometries"), "geometries")]
            return shapely.geometrycollections(parts)
        build: Callable[[object], Any] = getattr(self, kind.lower())
        return build(obj.get("coordinates"))

    def point(self, value: object) -> Any:
        return shapely.points(self.positions([value], 1))[0]

    def multipoint(self, value: object) -> Any:
        return shapely.multipoints(self.positions(value, 1))

    def linestring(self, value: object) -> Any:
        return shapely.linestrings(self.positions(value, 2))

    def multilinestring(self, value: object) -> Any:
        return shapely.multilinestrings([self.linestring(line) for line in _items(value, "lines")])

    def polygon(self, value: object) -> Any:
        shell, *holes = [self.ring(ring) for ring in _items(value, "rings")]
        return shapely.polygons(shell, holes=holes or None)

    def multipolygon(self, value: object) -> Any:
        return shapely.multipolygons([self.polygon(polygon) for polygon in _items(value, "polygons")])

    def ring(self, value: object) -> Any:
        positions = self.positions(value, 4)
        if (positions[0] != positions[-1]).any():
            raise GeometryError("a ring is not closed", "repeat its first position as the last")
        return shapely.linearrings(positions)

    def positions(self, value: object, least: int) -> np.ndarray[Any, Any]:
        items = _items(value, "positions")
        self.vertices += len(items)
        if self.vertices > MAX_VERTICES:
            raise GeometryError(f"more than {MAX_VERTICES} vertices", "simplify the geometry")
        if len(items) < least:
            raise GeometryError(f"{len(items)} positions where at least {least} are needed", "complete the coordinates")
        return np.array([_position(item) for item in items], dtype=np.float64)


def _items(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise GeometryError(f"{what} are not a JSON array", "nest the coordinates as RFC 7946 says for this type")
    if not value:
        raise GeometryError(f"the array of {what} is empty", "post at least one")
    return value


def _position(value: object) -> tuple[float, float]:
    if not isinstance(value, list) or not 2 <= len(value) <= 4:
        raise GeometryError("a position is not [lng, lat]", "post arrays of two numbers (a height is ignored)")
    for number in value:
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise GeometryError("a position holds something that is no number", "post numbers only")
        if not math.isfinite(number) if isinstance(number, float) else abs(number) > MAX_VALUE:
            raise GeometryError(
                "a position holds a number that is not finite or far too large", "post finite degrees or metres"
            )
    lng, lat = float(value[0]), float(value[1])
    if max(abs(lng), abs(lat)) > MAX_VALUE:
        raise GeometryError(
            "a position lies outside every coordinate system", "post degrees, or metres of the declared datum"
        )
    return lng, lat
