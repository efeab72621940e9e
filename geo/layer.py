"""One level's polygons of an edition, as the compiler leaves them and the locator takes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Progress = Callable[[str, int, int], None]
Objects = NDArray[np.object_]

SOURCES = ("surveyed", "published", "approximate", "generated")
UNSURE = frozenset({"approximate", "generated"})


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
