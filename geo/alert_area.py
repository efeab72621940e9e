"""Reads the areas of a CAP 1.2 alert, polygons and circles written as text, into geometry for the locator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely

from geo.geometry import MAX_VERTICES, GeometryError, check_shape

MOST_KM = 2_000.0  # no warning is wider, and near a hemisphere a circle is none any more
_STEPS = 64  # corners of a circle; on it, so that the polygon is 0.2 % smaller


def alert_area(polygons: Sequence[str], circles: Sequence[str]) -> Any:
    """The WGS-84 geometry (2D, valid, not empty) of `lat,lon lat,lon …` rings and `lat,lon radius` circles in km
    together; a circle of radius 0 is a point. Raises only `GeometryError`."""
    rings = [_pairs(text) for text in polygons]
    if sum(map(len, rings)) + _STEPS * len(circles) > MAX_VERTICES:
        raise GeometryError(f"more than {MAX_VERTICES} vertices", "simplify the areas")
    shapes = [_polygon(ring) for ring in rings] + [_circle(text) for text in circles]
    if not shapes:
        raise GeometryError("no polygon and no circle", "give one of them")
    for shape in shapes:
        check_shape(shape)
    whole = shapely.union_all(shapes)
    check_shape(whole)
    return whole


def _polygon(ring: list[tuple[float, float]]) -> Any:
    if len(ring) < 4:
        raise GeometryError(
            f"a polygon of {len(ring)} pairs where at least 4 are needed", "repeat the first as the last"
        )
    if ring[0] != ring[-1]:
        raise GeometryError("a polygon is not closed", "repeat its first pair as the last")
    return shapely.polygons(ring)


def _circle(text: str) -> Any:
    centre, _, radius = text.strip().rpartition(" ")
    ((lng, lat),) = _pairs(centre) if len(centre.split()) == 1 else ((math.nan, math.nan),)
    km = _number(radius)
    if not (math.isfinite(lng) and 0 <= km <= MOST_KM):
        raise GeometryError(f"circle {text[:60]!r} is no `lat,lon radius`", f"radius in km, 0 to {MOST_KM:g}")
    if km == 0:
        return shapely.points(lng, lat)
    from pyproj import Geod

    turns = np.linspace(0, 360, _STEPS, endpoint=False)
    many = np.ones(_STEPS)
    east, north, _ = Geod(ellps="WGS84").fwd(lng * many, lat * many, turns, 1000 * km * many)
    if np.abs(np.asarray(east) - lng).max() > 180:
        raise GeometryError(f"circle {text[:60]!r} crosses the date line", "give a polygon for each side")
    return shapely.polygons(np.column_stack([east, north]))


def _pairs(text: str) -> list[tuple[float, float]]:
    """(lng, lat) of every `lat,lon`."""
    found = []
    for pair in text.split():
        lat, comma, lng = pair.partition(",")
        here = _number(lng), _number(lat)
        if not comma or not (abs(here[0]) <= 180 and abs(here[1]) <= 90):
            raise GeometryError(f"{pair[:60]!r} is no pair of degrees", "write `lat,lon`, latitude first")
        found.append(here)
    return found


def _number(text: str) -> float:
    try:
        number = float(text) if len(text) <= 40 and "_" not in text else math.nan
    except ValueError:
        return math.nan
    return number
