"""Looks for overlaps, gaps, slivers and children outside their parents in an edition's layers, all polygons at once.

What moves more than a hundredth of a polygon's ground is an error, anything smaller a warning (`fault`): a point stays
deterministic whatever the layers do, the lowest code wins.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.fault import SHARE, Fault
from geo.layer import Layer, Objects, objects

DUST_M2 = 1.0  # smaller differences come from rounding, not from a survey
SLIVER_M = 0.5  # mean width of a piece that nobody drew on purpose
Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


def check(layer: Layer, ground: Objects, above: Layer | None, ground_above: Objects, nested: bool) -> list[Fault]:
    """`ground` is the layer's polygons, `ground_above` those of the next coarser level, projected without more corners:
    densified edges' corners are rounded by each neighbour in its own way. Spots are projected too."""
    faults, crossed = _overlaps(layer, ground)
    faults += _slivers(layer, ground)
    if nested and above is not None:
        index = {code: number for number, code in enumerate(above.codes)}
        home = np.array([index.get(code, -1) for code in layer.parents], dtype=np.int64)
        strays, beyond = _strays(layer, ground, home, ground_above)
        faults += strays
        faults += _gaps(layer.level, above.codes, ground_above, home, ground, crossed | beyond)
    elif nested or above is None:
        faults += _holes(layer.level, ground)
    return faults


def _overlaps(layer: Layer, ground: Objects) -> tuple[list[Fault], NDArray[np.bool_]]:
    """Polygons that share ground, and which."""
    crossed = np.zeros(len(ground), dtype=np.bool_)
    if shapely.coverage_is_valid(ground):
        return [], crossed
    one, other = shapely.STRtree(ground).query(ground, predicate="intersects")
    one, other = one[one < other], other[one < other]
    shared = shapely.intersection(ground[one], ground[other])
    areas, whole = shapely.area(shared), shapely.area(ground)
    real = np.flatnonzero(areas > DUST_M2)
    crossed[one[real]] = crossed[other[real]] = True
    smaller = np.minimum(whole[one], whole[other])
    return [
        _moved("overlap", layer, one[k], f"no overlap with {layer.codes[other[k]]}", shared[k], float(smaller[k]))
        for k in real
    ], crossed


def _strays(
    layer: Layer, ground: Objects, home: Indices, ground_above: Objects
) -> tuple[list[Fault], NDArray[np.bool_]]:
    """Children that reach beyond their parent, and which."""
    parents = objects([*ground_above, None])[home]
    known = np.flatnonzero(home >= 0)
    shapely.prepare(parents[known])
    reach = known[~shapely.covers(parents[known], ground[known])]
    rest = shapely.difference(ground[reach], parents[reach])
    areas, whole = shapely.area(rest), shapely.area(ground[reach])
    beyond = np.zeros(len(ground), dtype=np.bool_)
    beyond[reach[areas > DUST_M2]] = True
    return [
        _moved("outside_parent", layer, reach[k], f"ground inside its parent's ({layer.parents[reach[k]]})", rest[k],
               float(whole[k]))
        for k in np.flatnonzero(areas > DUST_M2)
    ], beyond  # fmt: skip


def _moved(kind: str, layer: Layer, row: int, what: str, spot: Any, whole: float) -> Fault:
    area = float(spot.area)
    return Fault(kind, area > SHARE * whole, layer.level, "", what, None, layer.codes[row], spot, area)


def _gaps(
    level: str, parent_codes: Objects, parents: Objects, home: Indices, ground: Objects, odd: NDArray[np.bool_]
) -> list[Fault]:
    """Ground of a parent that none of its children has; a parent without any child is no gap. `odd` are children that
    overlap or reach beyond: only where there are none do areas alone tell whether anything is missing."""
    mine = home >= 0
    filled = np.bincount(home[mine], shapely.area(ground[mine]), len(parents))
    missing = np.abs(shapely.area(parents) - filled) > DUST_M2
    missing[home[mine & odd]] = True
    has_children = np.bincount(home[mine], minlength=len(parents)) > 0
    order = np.argsort(home, kind="stable")
    faults = []
    for number in np.flatnonzero(missing & has_children):
        children = ground[order[np.searchsorted(home[order], number) : np.searchsorted(home[order], number + 1)]]
        rest = shapely.get_parts(shapely.difference(parents[number], shapely.union_all(children)))
        faults += [_gap(level, parent_codes[number], "its children to fill its ground", piece) for piece in rest]
    return [fault for fault in faults if (fault.area_m2 or 0) > DUST_M2]


def _holes(level: str, ground: Objects) -> list[Fault]:
    """Ground in the middle of the city that no polygon has. What lies round the city is nobody's."""
    whole = shapely.union_all(ground)
    filled = shapely.union_all(shapely.polygons(shapely.get_exterior_ring(shapely.get_parts(whole))))
    holes = shapely.get_parts(shapely.difference(filled, whole))
    return [_gap(level, "", "no hole in the middle of the city", hole) for hole in holes if hole.area > DUST_M2]


def _gap(level: str, code: str, what: str, piece: Any) -> Fault:
    return Fault("gap", False, level, "", what, None, code, piece, float(piece.area))


def _slivers(layer: Layer, ground: Objects) -> list[Fault]:
    """Pieces too narrow to be anything but a slip of the pen."""
    pieces, owner = shapely.get_parts(ground, return_index=True)
    areas = shapely.area(pieces)
    drawn = layer.sources[owner] == "generated"
    thin = np.flatnonzero(~drawn & (2 * areas < SLIVER_M * shapely.length(pieces)))
    return [
        Fault("sliver", False, layer.level, "", f"no piece narrower than {SLIVER_M:g} m", None, layer.codes[owner[k]],
              pieces[k], float(areas[k]))
        for k in thin
    ]  # fmt: skip
