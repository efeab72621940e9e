"""Draws the ground nobody has mapped: villages and cells inside each town, from its polygon and its villages' names.

The town's sample points are clustered into villages (communities 居委会 round the town seat, villages over the rest)
and those into cells; one Voronoi diagram a town then gives the cells, and everything above is a union of cells. The
same input always gives the same ground, and all of it is marked `generated`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from geo.divisions import Division, Divisions

GENERATOR = "cells-1"
GRID = 1e-9  # degrees, 0.1 mm: every vertex is rounded to it, so that neighbours share theirs exactly
Floats = np.ndarray[Any, np.dtype[np.float64]]
Progress = Callable[[str, int, int], None]

_KM = 111.32  # kilometres a degree of latitude
_COMMUNITY_KM2 = 0.6
_URBAN_SHARE = 0.4  # the communities' disc takes at most this part of a town
_SAMPLES = 28  # sample points a cell
_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Town:
    code: str
    name: str
    polygon: Any
    seat: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Piece:
    """One generated cell."""

    code: str
    name: str
    village: str
    town: str
    polygon: Any


def generate(towns: Sequence[Town], divisions: Divisions, progress: Progress | None = None) -> list[Piece]:
    """All cells of all towns that have villages, by code; they fill the towns without gap or overlap."""
    towns = sorted(towns, key=lambda town: town.code)
    lines, seeds = [], []
    for done, town in enumerate(towns):
        planted = _plant(town, divisions.children(town.code))
        seeds.append(planted)
        lines += [shapely.boundary(town.polygon), _edges(town, planted)]
        if progress:
            progress("cells", done, len(towns))
    # All lines are noded together, so that a cell's corner on a town's border is a corner of the next town's cell too.
    noded = shapely.union_all(np.array(lines, dtype=object), grid_size=GRID)
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(noded)))
    pieces = _assign(faces, towns, seeds, divisions)
    if progress:
        progress("cells", len(towns), len(towns))
    return pieces


def is_community(division: Division) -> bool:
    return division.name.endswith(("居委会", "居民委员会", "社区", "生活区"))


@dataclass(frozen=True, slots=True)
class _Planted:
    """Cell seeds of a town in kilometres from its seat, and the village each belongs to."""

    points: Floats
    villages: list[str]


def _local(town: Town) -> tuple[Any, Callable[[Any], Any]]:
    """The town's polygon in kilometres round its seat, and the way back to degrees."""
    scale = np.array([_KM * math.cos(math.radians(town.seat[1])), _KM])
    seat = np.array(town.seat)
    polygon = shapely.transform(town.polygon, lambda xy: (xy - seat) * scale)
    return polygon, lambda geometry: shapely.transform(geometry, lambda xy: xy / scale + seat)


def _plant(town: Town, villages: Sequence[Division]) -> _Planted:
    polygon, _ = _local(town)
    shapely.prepare(polygon)
    area, street = float(polygon.area), town.name.endswith("街道")
    communities = [village for village in villages if is_community(village)]
    others = [village for village in villages if not is_community(village)]
    urban = min(len(communities) * _COMMUNITY_KM2, area * _URBAN_SHARE) if others else area
    radius = math.sqrt(urban / math.pi) if others else math.inf
    points: list[Floats] = []
    owners: list[str] = []
    for zone, group, size, inner in ((urban, communities, 0.0, True), (area - urban, others, 0.0, False)):
        if not group:
            continue
        size = zone / len(group)
        cells = _cell_count(size, street, inner)
        samples = _samples(town.code, polygon, radius, inner, cells * len(group) * _SAMPLES)
        home = _cluster(samples, len(group), group[0].code)
        for number, village in enumerate(sorted(group, key=lambda row: _key(row.code))):
            mine = samples[home == number]
            split = _cluster(mine, min(cells, len(mine)), village.code, centres=True)
            points.append(split)
            owners += [village.code] * len(split)
    return _Planted(np.concatenate(points) if points else np.empty((0, 2)), owners)


def _cell_count(km2: float, street: bool, community: bool) -> int:
    """Cells of one village: small ones where people live close, about 1.2 km2 in the mountains."""
    if community:
        return 20 if street else 12
    return 10 if street else min(max(round(km2 / 1.2), 4), 40)


def _key(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _samples(code: str, polygon: Any, radius: float, inner: bool, count: int) -> Floats:
    """About `count` points spread evenly over the town, within `radius` of the seat or beyond it."""
    west, south, east, north = shapely.bounds(polygon)
    if inner:
        west, south, east, north = (
            max(west, -radius),
            max(south, -radius),
            min(east, radius),
            min(north, radius),
        )
    shift = _key(code) / 2**64
    tried = count
    while True:
        # Roberts' R2 sequence: evenly spread, never a lattice, and the same everywhere.
        order = np.arange(1, tried + 1)
        x = west + (east - west) * ((shift + order * 0.7548776662466927) % 1.0)
        y = south + (north - south) * ((shift + order * 0.5698402909980532) % 1.0)
        near = np.hypot(x, y) <= radius
        keep = shapely.contains_xy(polygon, x, y) & (near if inner else ~near)
        if keep.sum() >= count:
            return np.column_stack([x[keep], y[keep]])
        tried *= 2


def _cluster(points: Floats, k: int, code: str, centres: bool = False) -> Any:
    """Compact clusters of points (Lloyd): the cluster of each point, or the `k` points in the clusters' middle.

    A centre is always one of its cluster's own points, so it lies inside the town and no cluster is ever empty.
    """
    shuffled = np.arange(len(points), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(_key(code))
    chosen = np.argsort(shuffled)[:k]
    for _ in range(_ROUNDS):
        home = _nearest(points, points[chosen])
        size = np.maximum(np.bincount(home, minlength=k), 1)
        middle = np.column_stack([np.bincount(home, points[:, axis], k) / size for axis in (0, 1)])
        off = ((points - middle[home]) ** 2).sum(axis=1)
        order = np.lexsort((off, home))
        chosen = order[np.searchsorted(home[order], np.arange(k))]
    if centres:
        return points[chosen]
    return _nearest(points, points[chosen])


def _nearest(points: Floats, centres: Floats) -> Any:
    east = points[:, 0, None] - centres[None, :, 0]
    north = points[:, 1, None] - centres[None, :, 1]
    return (east * east + north * north).argmin(axis=1)


def _edges(town: Town, planted: _Planted) -> Any:
    """The lines between the town's cells, in degrees."""
    if len(planted.points) < 2:
        return shapely.MultiLineString()
    polygon, back = _local(town)
    diagram = shapely.voronoi_polygons(shapely.multipoints(planted.points), extend_to=polygon, only_edges=True)
    return back(shapely.intersection(diagram, polygon))


def _assign(faces: Any, towns: Sequence[Town], seeds: Sequence[_Planted], divisions: Divisions) -> list[Piece]:
    inside = shapely.point_on_surface(faces)
    tree = shapely.STRtree([town.polygon for town in towns])
    face, owner = tree.query(inside, predicate="intersects")
    pieces = []
    for number, town in enumerate(towns):
        planted = seeds[number]
        if not planted.villages:
            continue
        mine = faces[face[owner == number]]
        local = shapely.transform(inside[face[owner == number]], _to_km(town))
        at = shapely.get_coordinates(local)
        cell = _nearest(at, planted.points)
        polygons = _joined(mine, cell, len(planted.points))
        pieces += _numbered(town, polygons, planted.villages, divisions)
    return sorted(pieces, key=lambda piece: piece.code)


def _to_km(town: Town) -> Callable[[Floats], Floats]:
    scale = np.array([_KM * math.cos(math.radians(town.seat[1])), _KM])
    return lambda xy: (xy - np.array(town.seat)) * scale


def _joined(faces: Any, cell: Any, count: int) -> list[Any]:
    """One polygon a cell. A piece that the town's border cuts off its cell joins the neighbour it leans on."""
    areas = shapely.area(faces)
    main = np.full(count, -1)
    for face in np.argsort(areas, kind="stable"):
        main[cell[face]] = face
    loose = np.setdiff1d(np.arange(len(faces)), main)
    tree = shapely.STRtree(faces)
    for face in loose:
        beside = [other for other in tree.query(faces[face], predicate="touches") if other not in loose]
        shared = [shapely.length(shapely.intersection(faces[face], faces[other])) for other in beside]
        if shared and max(shared) > 0:
            cell[face] = cell[beside[int(np.argmax(shared))]]
    return [shapely.coverage_union_all(faces[cell == number]) for number in range(count)]


def _numbered(town: Town, polygons: Sequence[Any], villages: Sequence[str], divisions: Divisions) -> list[Piece]:
    pieces = []
    middles = shapely.get_coordinates(shapely.centroid(np.array(polygons, dtype=object)))
    for village in sorted(set(villages)):
        mine = np.array([number for number, owner in enumerate(villages) if owner == village])
        row = divisions.get(village)
        name = row.name if row else village
        for serial, place in enumerate(reading_order(middles[mine]), start=1):
            code, label = f"{village}{serial:03d}", f"{name}{serial:03d}网格"
            pieces.append(Piece(code, label, village, town.code, polygons[mine[place]]))
    return pieces


def reading_order(middles: Floats) -> list[int]:
    """Indices in rows from north to south, each from west to east, as cell serials run."""
    rows = max(round(math.sqrt(len(middles))), 1)
    southward = np.lexsort((middles[:, 0], -middles[:, 1]))
    order: list[int] = []
    for row in np.array_split(southward, rows):
        order += [int(place) for place in row[np.argsort(middles[row, 0], kind="stable")]]
    return order
