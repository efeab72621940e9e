"""Which points lie near an edge, and which polygons each may lie in besides the one that covers it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geo.covering import NONE, Floats, Indices
from geo.ground import Ground
from geo.ranking import Ranked, rank

MOST_CANDIDATES = 32  # a level; the largest shares
_CIRCLE_HOLDS = 24.0  # polygons of median size a circle may hold before candidates are told a level coarser

Found = Mapping[str, Indices]


class Nearby:
    """`found` is for each level the polygon of each point, as everywhere; a point's depth is that of the finest level
    that is asked: the finest one with a polygon there that is not far smaller than the point's circle."""

    def __init__(self, grounds: Mapping[str, Ground], nested: bool) -> None:
        self._grounds, self._nested = grounds, nested
        self._fits = [ground.median_m2 * _CIRCLE_HOLDS / np.pi for ground in grounds.values()]
        self._fits[0] = np.inf

    def depths(self, found: Found, radius: Floats) -> Indices:
        depths = np.full(len(radius), NONE, dtype=np.int64)
        for depth, (level, fits) in enumerate(zip(self._grounds, self._fits, strict=True)):
            depths[(found[level] != NONE) & (radius**2 <= fits)] = depth
        return depths

    def depth(self, found: Sequence[int], radius: float) -> int:
        """The same for one point."""
        fits = zip(found, self._fits, strict=True)
        return max(
            (depth for depth, (index, most) in enumerate(fits) if index != NONE and radius**2 <= most), default=NONE
        )

    def asked(self, depth: int) -> range:
        """The depths whose edges matter. Where levels nest, a coarser edge is an edge of the finest level too."""
        return range(depth if self._nested else 0, depth + 1)

    def perhaps(self, found: Found, depths: Indices, radius: Floats, lng: Floats, lat: Floats) -> NDArray[np.bool_]:
        """Which points may lie within their radius of an edge: of the others the rasters know that they do not."""
        perhaps = np.zeros(len(lng), dtype=np.bool_)
        for ground, asked in self._each(found, depths):
            perhaps[asked] |= ground.clearance(lng[asked], lat[asked]) <= radius[asked]
        return perhaps

    def edges(self, found: Found, depths: Indices, points: Any, radius: Floats) -> NDArray[np.bool_]:
        """Which projected points do."""
        near = np.zeros(len(points), dtype=np.bool_)
        for level, (ground, asked) in zip(self._grounds, self._each(found, depths), strict=True):
            near[asked] |= ground.near_edge(found[level][asked], points[asked], radius[asked])
        return near

    def _each(self, found: Found, depths: Indices) -> Iterator[tuple[Ground, Indices]]:
        for depth, (level, ground) in enumerate(self._grounds.items()):
            asked = depths == depth if self._nested else depths >= depth
            yield ground, np.flatnonzero(asked & (found[level] != NONE))

    def candidates(
        self, depths: Indices, lng: Floats, lat: Floats, points: Any, radius: Floats, reach: Floats
    ) -> list[dict[str, Ranked]]:
        """For each point, once more as `points` in metres, and level down to its depth the polygons within its reach
        with their share of its circle, where there is more than one to tell."""
        told: list[dict[str, Ranked]] = [{} for _ in depths]
        for depth, (level, ground) in enumerate(self._grounds.items()):
            asked = np.flatnonzero((depths >= depth) & (ground.clearance(lng, lat) <= reach))
            if len(asked):
                point, polygon, share, far = ground.shares_of_circles(points[asked], radius[asked], reach[asked])
                order = np.argsort(point, kind="stable")
                ends = np.searchsorted(point[order], np.arange(len(asked) + 1))
                for number, start, end in zip(asked.tolist(), ends[:-1], ends[1:], strict=True):
                    mine = order[start:end]
                    if len(mine) > 1 or (share[mine] < 1.0).any():
                        ranked = rank(ground.layer, polygon[mine], share[mine], far[mine])
                        told[number][level] = ranked._replace(candidates=ranked.candidates[:MOST_CANDIDATES])
        return told
