"""Which polygons a line or an area touches, and how much of it lies in each. The locator makes it a place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import shapely

from geo.covering import Floats
from geo.datum import project
from geo.ground import Ground
from geo.ranking import Ranked, rank

MOST_SHARES = 2_000  # a geometry that touches more polygons than this is told at the next coarser level
_BEYOND = 1.0  # degrees round the city; what a geometry has farther out does not count in its shares


class Extents:
    """Of valid WGS-84 geometries, in the city's metres."""

    def __init__(self, grounds: Mapping[str, Ground], crs: str) -> None:
        self._grounds, self._crs = grounds, crs
        west, south, east, north = shapely.total_bounds(next(iter(grounds.values())).layer.polygons)
        self._bounds = (west - _BEYOND, south - _BEYOND, east + _BEYOND, north + _BEYOND)

    def shares(self, geometry: Any) -> dict[str, Ranked]:
        """By level, coarse to fine, every polygon that the line or area touches with its share of it."""
        found: dict[str, Ranked] = {}
        near = self._near(geometry)
        measure = shapely.area if shapely.get_dimensions(near) == 2 else shapely.length
        whole = float(measure(self._turned(near)))
        for level, ground in self._grounds.items():
            touched = ground.touched(geometry)
            if 0 < len(touched) <= MOST_SHARES:
                measures = measure(self._turned(ground.parts(near, touched)))
                found[level] = rank(ground.layer, touched, measures / max(whole, 1e-9))
        return found

    def _near(self, geometry: Any) -> Any:
        """The geometry's thickest parts, without what lies far from the city; of lines their single segments."""
        geometry, box = _thickest(geometry), shapely.box(*self._bounds)
        if shapely.get_dimensions(geometry) == 1:
            near = shapely.intersection(box, _segments(geometry))
            return shapely.multilinestrings(near[shapely.get_type_id(near) == shapely.GeometryType.LINESTRING])
        return geometry if shapely.covers(box, geometry) else shapely.intersection(box, geometry)

    def _turned(self, geometry: Any) -> Any:
        def turn(xy: Floats) -> Floats:
            return np.column_stack(project(xy[:, 0], xy[:, 1], "epsg:4326", self._crs))

        return shapely.transform(geometry, turn)


def _thickest(geometry: Any) -> Any:
    """The parts of a geometry that have the highest dimension: areas count, then lines."""
    parts = shapely.get_parts(geometry)
    while any(part.geom_type == "GeometryCollection" for part in parts):
        parts = shapely.get_parts(parts)
    dimensions = shapely.get_dimensions(parts)
    thick = parts[dimensions == dimensions.max()]
    if len(thick) == 1:
        return thick[0]
    return shapely.union_all(thick) if dimensions.max() == 2 else shapely.multilinestrings(thick)


def _segments(lines: Any) -> Any:
    """Every two neighbouring positions of (multi)lines."""
    xy, line = shapely.get_coordinates(shapely.get_parts(lines), return_index=True)
    joined = np.flatnonzero(line[1:] == line[:-1])
    return shapely.linestrings(np.stack([xy[joined], xy[joined + 1]], axis=1))
