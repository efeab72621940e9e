"""Why a point lies where the locator says: for one level what its raster knows of the spot, every polygon that was
tried, and why the winner won. For people; the locator itself asks none of this."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely

from geo.covering import NONE
from geo.ground import Ground
from geo.raster import Raster

_MOST = 50  # polygons told a level, the nearest


def trace(ground: Ground, lng: float, lat: float, point: Any, reach: float) -> dict[str, Any]:
    """Of a WGS-84 point, once more as projected `point`: every polygon that the raster names there, in whose box it
    lies, or that is within `reach` metres."""
    box, named = _named(ground.raster, lng, lat)
    tried = np.union1d(named, np.union1d(ground.around(lng, lat), ground.within(point, reach))).astype(np.int64)
    covers = shapely.intersects_xy(ground.layer.polygons[tried], lng, lat)
    metres = ground.to_edge(tried, point)
    order = np.lexsort((tried, np.where(covers, -1.0, metres)))[:_MOST]
    layer = ground.layer
    polygons = [
        {
            "code": layer.codes[tried[each]],
            "name": layer.names[tried[each]],
            "source": layer.sources[tried[each]],
            "covers": bool(covers[each]),
            "edge_m": round(float(metres[each]), 2),
        }
        for each in order
    ]
    return {
        "level": layer.level,
        "box": box,
        "raster": [layer.codes[each] for each in named],
        "tried": polygons,
        "winner": layer.codes[winner] if (winner := ground.find(lng, lat)) != NONE else None,
        "because": _because([layer.codes[each] for each in tried[covers]]),
    }


def _because(covering: list[str]) -> str:
    if not covering:
        return "no polygon covers the point"
    if len(covering) == 1:
        return f"{covering[0]} alone covers the point"
    return f"{covering[0]} is the lowest code of {', '.join(covering)}, which all cover the point"


def _named(raster: Raster, lng: float, lat: float) -> tuple[str, list[int]]:
    """What kind of box the point lies in, and the polygons that the raster knows there: `inside` one polygon or
    `outside` all, `cut` in two by one edge, or `mixed`, where each is asked."""
    west, south, a_lng, a_lat = raster.frame.tolist()
    rows, columns, finest = raster.shape.tolist()
    u, v = (lng - west) * a_lng, (lat - south) * a_lat
    column, row = int(u), int(v)
    if not (0 <= column < columns and 0 <= row < rows):
        return "outside", []
    count, found = len(raster.cuts), int(raster.table[row * columns + column])
    if found < -1 - count:
        number = -2 - count - found
        found = int(raster.finer[(number * finest + int((v - row) * finest)) * finest + int((u - column) * finest)])
        if found < -1 - count:
            return "mixed", raster.several[raster.starts[number] : raster.starts[number + 1]].tolist()
    if found < NONE:
        return "cut", sorted({int(side) for side in raster.sides[-2 - found]} - {NONE})
    return ("outside", []) if found == NONE else ("inside", [found])
