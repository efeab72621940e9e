"""Turns coordinates of any declared datum into WGS-84 degrees, before anything asks where they lie."""

from __future__ import annotations

import functools
import math
import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from pyproj import Transformer

Floats = NDArray[np.float64]
Shift = Callable[[Floats, Floats], tuple[Floats, Floats]]

NAMED = ("wgs84", "cgcs2000", "gcj02", "bd09")
ALLOWED = ", ".join(NAMED) + " or epsg:NNNN"
_EPSG = re.compile(r"epsg:(\d{4,6})")

# The ellipsoid of the published GCJ-02 formula (Krasovsky 1940).
_A = 6378245.0
_EE = 0.00669342162296594323
# BD-09 turns its angles by this many radians a degree.
_BD_TURN = math.pi * 3000.0 / 180.0
# The shifts change by less than 0.5 % of the step they are asked at, so ten rounds are far below a micrometre.
_ROUNDS = 10


class UnknownDatum(ValueError):
    """A datum that is not one of those we know; the message names them."""

    def __init__(self, name: object) -> None:
        super().__init__(f"unknown datum {str(name)[:60]!r}: expected {ALLOWED}")


def check_datum(name: object) -> str:
    """The datum's name in lower case; raises `UnknownDatum` if no such datum can be transformed."""
    datum = name.strip().lower() if isinstance(name, str) else ""
    if datum in NAMED:
        return datum
    if _EPSG.fullmatch(datum) is None or not _leads_to_wgs84(datum):
        raise UnknownDatum(name)
    return datum


def to_wgs84(lng: ArrayLike, lat: ArrayLike, datum: str) -> tuple[Floats, Floats]:
    """WGS-84 longitude and latitude in degrees, arrays of the inputs' shape.

    `lng` and `lat` are degrees, or easting and northing in metres for a projected `epsg:NNNN`. Values outside a
    projection's domain come out as infinity, so look at `np.isfinite` before going on. Raises `UnknownDatum`.
    """
    x, y = np.asarray(lng, dtype=np.float64), np.asarray(lat, dtype=np.float64)
    datum = check_datum(datum)
    if datum == "wgs84":
        return x, y
    if datum == "bd09":
        x, y = _solve(_bd09_shift, x, y)
    if datum in ("gcj02", "bd09"):
        return _solve(_gcj02_shift, x, y)
    return project(x, y, "epsg:4490" if datum == "cgcs2000" else datum, "epsg:4326")


def from_wgs84(lng: ArrayLike, lat: ArrayLike, datum: str) -> tuple[Floats, Floats]:
    """The inverse of `to_wgs84`."""
    x, y = np.asarray(lng, dtype=np.float64), np.asarray(lat, dtype=np.float64)
    datum = check_datum(datum)
    if datum == "wgs84":
        return x, y
    if datum in ("gcj02", "bd09"):
        east, north = _gcj02_shift(x, y)
        x, y = x + east, y + north
        if datum == "bd09":
            east, north = _bd09_shift(x, y)
            x, y = x + east, y + north
        return x, y
    return project(x, y, "epsg:4326", "epsg:4490" if datum == "cgcs2000" else datum)


def project(x: ArrayLike, y: ArrayLike, source: str, target: str) -> tuple[Floats, Floats]:
    """From one `epsg:NNNN` to another, always easting or longitude first."""
    out = _transformer(source.lower(), target.lower()).transform(x, y)
    return np.asarray(out[0], dtype=np.float64), np.asarray(out[1], dtype=np.float64)


_local = threading.local()


def _transformer(source: str, target: str) -> Transformer:
    # pyproj's transformers must not be shared between threads; strangers name the datum, so the memory is bounded.
    known: dict[tuple[str, str], Transformer] = _local.__dict__.setdefault("known", {})
    found = known.get((source, target))
    if found is None:
        from pyproj import Transformer  # 0.1 s to import, and WGS-84, GCJ-02 and BD-09 do without

        if len(known) >= 32:
            known.clear()
        found = known[source, target] = Transformer.from_crs(source, target, always_xy=True)
    return found


@functools.lru_cache(maxsize=256)
def _leads_to_wgs84(datum: str) -> bool:
    """Whether it has two axes on the ground and PROJ knows a way: it has none from some old datums."""
    from pyproj import CRS
    from pyproj.exceptions import ProjError

    try:
        crs = CRS.from_user_input(datum)
        if len(crs.axis_info) != 2 or not (crs.is_geographic or crs.is_projected):
            return False
        _transformer(datum, "epsg:4326").transform(0.0, 0.0)
    except ProjError:
        return False
    return True


def _solve(shift: Shift, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The point that `shift` moves to (x, y), by fixed-point iteration."""
    px, py = x, y
    for _ in range(_ROUNDS):
        east, north = shift(px, py)
        px, py = x - east, y - north
    return px, py


def _gcj02_shift(lng: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """Degrees that GCJ-02 adds to WGS-84; zero outside the rectangle round China where it is defined."""
    x, y = lng - 105.0, lat - 35.0
    root = np.sqrt(np.abs(x))
    wave = (20.0 * np.sin(6.0 * x * math.pi) + 20.0 * np.sin(2.0 * x * math.pi)) * 2.0 / 3.0
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root + wave
    north = north + (20.0 * np.sin(y * math.pi) + 40.0 * np.sin(y / 3.0 * math.pi)) * 2.0 / 3.0
    north = north + (160.0 * np.sin(y / 12.0 * math.pi) + 320.0 * np.sin(y * math.pi / 30.0)) * 2.0 / 3.0
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root + wave
    east = east + (20.0 * np.sin(x * math.pi) + 40.0 * np.sin(x / 3.0 * math.pi)) * 2.0 / 3.0
    east = east + (150.0 * np.sin(x / 12.0 * math.pi) + 300.0 * np.sin(x / 30.0 * math.pi)) * 2.0 / 3.0
    angle = np.radians(lat)
    magic = 1.0 - _EE * np.sin(angle) ** 2
    north = np.degrees(north * magic * np.sqrt(magic) / (_A * (1.0 - _EE)))
    east = np.degrees(east * np.sqrt(magic) / (_A * np.cos(angle)))
    china = (lng >= 72.004) & (lng <= 137.8347) & (lat >= 0.8293) & (lat <= 55.8271)
    return cast("tuple[Floats, Floats]", (np.where(china, east, 0.0), np.where(china, north, 0.0)))


def _bd09_shift(lng: Floats, lat: Floats) -> tuple[Any, Any]:
    """Degrees that BD-09 adds to GCJ-02."""
    radius = np.hypot(lng, lat) + 0.00002 * np.sin(lat * _BD_TURN)
    angle = np.arctan2(lat, lng) + 0.000003 * np.cos(lng * _BD_TURN)
    return radius * np.cos(angle) + 0.0065 - lng, radius * np.sin(angle) + 0.006 - lat
