"""Looks for overlaps, gaps and children outside their parents in an edition's layers.

They are findings, not refusals: a point stays deterministic whatever the layers do, but the operator should know.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely

from geo.layer import Objects
from geo.mistake import Mistake

DUST_M2 = 1.0  # smaller differences come from rounding, not from a survey
MOST = 50  # findings a kind, the largest first


def overlaps(file: str, codes: Objects, polygons: Any) -> list[Mistake]:
    """Polygons (projected, metres) that share ground."""
    if shapely.coverage_is_valid(polygons):
        return []
    tree = shapely.STRtree(polygons)
    one, other = tree.query(polygons, predicate="intersects")
    one, other = one[one < other], other[one < other]
    areas = shapely.area(shapely.intersection(polygons[one], polygons[other]))
    return _largest(file, [(areas[k], codes[one[k]], f"no overlap with {codes[other[k]]}") for k in range(len(one))])


def outside_parents(file: str, codes: Objects, polygons: Any, parents: Any) -> list[Mistake]:
    """Children (projected) that reach beyond their parent; `parents` holds each child's parent polygon or None."""
    known = np.flatnonzero(~shapely.is_missing(parents))
    shapely.prepare(parents[known])
    beyond = known[~shapely.covers(parents[known], polygons[known])]
    areas = shapely.area(shapely.difference(polygons[beyond], parents[beyond]))
    return _largest(
        file, [(area, codes[k], "ground inside its parent's") for k, area in zip(beyond, areas, strict=True)]
    )


def gaps(file: str, parent_codes: Objects, parent_polygons: Any, home: Any, polygons: Any) -> list[Mistake]:
    """Parents with ground that none of their children has; `home` is each child's parent index or -1."""
    found = []
    for number in np.unique(home[home >= 0]):
        children = polygons[home == number]
        missing = parent_polygons[number].area - shapely.area(children).sum()
        if abs(missing) > DUST_M2:
            missing = shapely.difference(parent_polygons[number], shapely.union_all(children)).area
        found.append((missing, parent_codes[number], "its children to fill its ground"))
    return _largest(file, found)


def _largest(file: str, found: Sequence[tuple[float, str, str]]) -> list[Mistake]:
    real = sorted((item for item in found if item[0] > DUST_M2), key=lambda item: (-item[0], item[1]))
    return [Mistake(file, code, f"{expected} ({area:,.0f} m2)") for area, code, expected in real[:MOST]]
