"""How far at least the nearest edge of a layer is, read off its raster: most points are so far from any that nobody
needs to project them and measure. Asked by `Ground`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from geo.covering import NONE, Floats
from geo.datum import project
from geo.raster import Raster

_FARTHEST = 8  # boxes; who asks for more measures
_SAMPLES = 9  # each way, where the projection's scale is asked; over a city it varies by thousandths
_SAFE = 0.98  # of the smallest scale that was found
_BENT = 0.05  # metres: an edge is straight in degrees, its projection in steps lies this near to it (compile._STEP)


class Clearance:
    def __init__(self, raster: Raster, crs: str) -> None:
        self._frame, self._shape = raster.frame.tolist(), raster.shape.tolist()
        self._gaps = _gaps(raster).ravel()
        self._box_m = _SAFE * _narrowest(raster, crs)

    def of(self, lng: Floats, lat: Floats) -> Floats:
        """Metres of the city's projection, at least, from each point to the nearest edge; below zero: nobody knows."""
        (west, south, a_lng, a_lat), (rows, columns, _) = self._frame, self._shape
        u, v = (lng - west) * a_lng, (lat - south) * a_lat
        column, row = np.clip(u, 0, columns - 1).astype(np.int64), np.clip(v, 0, rows - 1).astype(np.int64)
        inside = 0.5 - np.maximum(np.abs(u - column - 0.5), np.abs(v - row - 0.5))  # below zero beyond the frame
        boxes: Floats = np.minimum(inside, 0.5) + (self._gaps.take(row * columns + column) - 1.0)
        return boxes * self._box_m - _BENT

    def finder(self) -> Callable[[float, float], float]:
        """The same for one point, in plain Python."""
        (west, south, a_lng, a_lat), (rows, columns, _) = self._frame, self._shape
        gaps, box_m = self._gaps.data, float(self._box_m)

        def find(lng: float, lat: float) -> float:
            u, v = (lng - west) * a_lng, (lat - south) * a_lat
            column, row = int(u), int(v)
            if u < 0 or v < 0 or column >= columns or row >= rows:
                return -_BENT
            u, v = u - column, v - row
            gap: int = gaps[row * columns + column]
            boxes: float = min(u, 1.0 - u, v, 1.0 - v) + gap - 1.0
            return boxes * box_m - _BENT

        return find


def _gaps(raster: Raster) -> NDArray[np.uint8]:
    """How many boxes away, sidewise or slantwise, the nearest one is that an edge crosses, up to the farthest."""
    rows, columns, _ = raster.shape.tolist()
    near = (raster.table < NONE).reshape(rows, columns)
    gaps = np.zeros(near.shape, dtype=np.uint8)
    for _ in range(_FARTHEST):
        gaps += ~near
        wide = near.copy()
        wide[:, 1:] |= near[:, :-1]
        wide[:, :-1] |= near[:, 1:]
        near = wide.copy()
        near[1:] |= wide[:-1]
        near[:-1] |= wide[1:]
    return gaps


def _narrowest(raster: Raster, crs: str) -> float:
    """The fewest metres that a step of one box takes, whichever way and wherever on the ground."""
    (west, south, a_lng, a_lat), (rows, columns, _) = raster.frame.tolist(), raster.shape.tolist()
    across, up = np.meshgrid(np.linspace(1, columns - 2, _SAMPLES), np.linspace(1, rows - 2, _SAMPLES))
    u, v = across.ravel(), up.ravel()

    def at(u: Floats, v: Floats) -> Floats:
        return np.stack(project(west + u / a_lng, np.clip(south + v / a_lat, -90, 90), "epsg:4326", crs))

    here = at(u, v)
    east, north = at(u + 1, v) - here, at(u, v + 1) - here
    squares = (east**2 + north**2).sum(axis=0)
    area = east[0] * north[1] - east[1] * north[0]
    shortest = np.sqrt(np.maximum(squares - np.sqrt(np.maximum(squares**2 - 4 * area**2, 0.0)), 0.0) / 2)
    return float(shortest.min()) if np.isfinite(shortest).all() else 0.0
