"""One level's polygons of an edition, as the compiler leaves them and the locator takes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.datum import project

Progress = Callable[[str, int, int], None]
Objects = NDArray[np.object_]

SOURCES = ("surveyed", "published", "approximate", "generated")
UNSURE = frozenset({"approximate", "generated"})
_STEP = 0.01  # degrees; the curve is then off by less than 2 cm


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """Parallel arrays of length n, ascending by code, so that the lowest index is the lowest code.

    `parents` is the code of the polygon above in the next coarser layer ("" where there is none or nothing nests).
    `polygons` are WGS-84, `projected` the same in the city's metres.
    """

    level: str
    codes: Objects
    names: Objects
    sources: Objects
    parents: Objects
    polygons: Objects
    projected: Objects

    def __len__(self) -> int:
        return len(self.codes)


def objects(values: Any) -> Objects:
    """A one-dimensional object array, also of things numpy would take apart."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def projected(polygons: Objects, crs: str) -> Objects:
    def turn(xy: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.column_stack(project(xy[:, 0], xy[:, 1], "epsg:4326", crs))

    return objects(list(shapely.transform(polygons, turn)))


def metric(polygons: Objects, crs: str) -> Objects:
    """In metres, long straight edges in steps, because they are curves there: 20 m aside in the middle of 50 km."""
    return projected(shapely.segmentize(polygons, _STEP), crs)
