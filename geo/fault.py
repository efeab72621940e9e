"""What is wrong with boundaries: which feature, where, and what to do; told as a list and as a layer for the map.

The rule: an error forbids activation, a warning does not. An error is what leaves a polygon without use or a code or a
piece of ground with two owners: what cannot be read, named or placed, and whatever moves more than `SHARE` of a
polygon's ground. What is smaller, and ground that nobody has, the locator answers by rule: a warning.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import shapely

from geo.mistake import Mistake

SHARE = 0.01  # of a polygon's ground; less is a warning
TOLD = 200  # faults of a kind in a level that are listed, the largest first; all are counted

KINDS = {  # kind: what to do about it
    "unreadable": "export the file again, whole, as GeoJSON, GeoPackage or a zipped Shapefile",
    "no_file": "add a file for this level",
    "no_crs": "add the .prj file, or say the coordinate reference system (crs)",
    "no_field": "say which columns have code and name (fields)",
    "no_polygon": "draw the polygon, or take the feature out",
    "not_a_polygon": "keep only Polygon and MultiPolygon features in the file",
    "no_degrees": "say the coordinate reference system that the numbers are in (crs)",
    "elsewhere": "take out what belongs to another city, or exchange latitude and longitude",
    "broken": "draw the ring again without crossings",
    "mended": "nothing, or draw the ring again without crossings",
    "bad_code": "give it a code: 64 characters at most, without , ; < >, quotation marks and blanks at its ends",
    "duplicate_code": "give each polygon a code of its own; parts of one go into one MultiPolygon",
    "odd_code": "compare the code with its neighbours'",
    "unknown_code": "add it to divisions.csv, or mend the code",
    "new_code": "add it to divisions.csv, so that departments, keys and the indicator know it too",
    "no_name": "give the feature a name",
    "bad_source": "one of surveyed, published, approximate, generated",
    "bad_level": "one of the city's levels, or its name",
    "missing_parent": "name a parent of the level above, or leave it empty to have it found by the ground",
    "changed_parent": "see that keys and departments of both parents expect it",
    "overlap": "give the ground to one of the two",
    "outside_parent": "cut the polygon at its parent's border, or move the border",
    "gap": "give the ground to a polygon, if anybody is responsible there",
    "sliver": "join it to a neighbour",
    "gone_code": "nothing, if it was given up; open cases there keep their place",
    "renamed": "nothing, if it was renamed",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """`feature` counts from 1 within `file`. `spot` is WGS-84: the ground or the point it is about."""

    kind: str
    error: bool
    level: str
    file: str
    what: str
    feature: int | None = None
    code: str = ""
    spot: Any = None
    area_m2: float | None = None

    @property
    def remedy(self) -> str:
        return KINDS[self.kind]

    @property
    def item(self) -> str:
        named = f"feature {self.feature}" if self.feature else ""
        return f"{named} ({self.code})" if named and self.code else named or self.code or "the file"

    def as_mistake(self) -> Mistake:
        size = f" ({self.area_m2:,.0f} m2)" if self.area_m2 is not None else ""
        return Mistake(self.file or self.level, self.item, self.what + size)

    def as_dict(self) -> dict[str, Any]:
        return {
            "severity": "error" if self.error else "warning",
            "kind": self.kind,
            "level": self.level,
            "file": self.file,
            "feature": self.feature,
            "code": self.code or None,
            "what": self.what,
            "where": _inside(self.spot),
            "area_m2": None if self.area_m2 is None or not isfinite(self.area_m2) else round(self.area_m2, 1),
            "remedy": self.remedy,
        }


def _inside(spot: Any) -> dict[str, float] | None:
    """A position in it; of what GEOS cannot look into, its first corner."""
    try:
        xy = shapely.get_coordinates(shapely.point_on_surface(spot))
    except shapely.GEOSException:
        xy = shapely.get_coordinates(spot)
    return {"lng": float(xy[0, 0]), "lat": float(xy[0, 1])} if len(xy) else None


def most_telling(faults: Iterable[Fault]) -> list[Fault]:
    """Errors first, coarse to fine as they came; of a kind in a level the `TOLD` largest."""
    left: Counter[tuple[str, str, bool]] = Counter()
    told = []
    for fault in sorted(faults, key=lambda fault: -(fault.area_m2 or 0.0)):
        left[fault.kind, fault.level, fault.error] += 1
        if left[fault.kind, fault.level, fault.error] <= TOLD:
            told.append(fault)
    order = {kind: number for number, kind in enumerate(KINDS)}
    return sorted(told, key=lambda fault: (not fault.error, order[fault.kind], -(fault.area_m2 or 0.0)))


def counts(faults: Iterable[Fault]) -> dict[str, dict[str, int]]:
    """`{"error": {kind: number}, "warning": {…}}`"""
    counted = Counter((fault.error, fault.kind) for fault in faults)
    return {
        word: {kind: number for (error, kind), number in sorted(counted.items()) if error is wanted}
        for word, wanted in (("error", True), ("warning", False))
    }


def map_layer(faults: Sequence[Fault]) -> str:
    """The faults that lie somewhere, as GeoJSON in WGS-84."""
    placed = [fault for fault in faults if fault.spot is not None]
    shapes = shapely.to_geojson([fault.spot for fault in placed]) if placed else ()
    features = [
        f'{{"type":"Feature","properties":{json.dumps(fault.as_dict(), ensure_ascii=False)},"geometry":{shape}}}'
        for fault, shape in zip(placed, shapes, strict=True)
    ]
    return '{"type":"FeatureCollection","features":[' + ",\n".join(features) + "]}"
