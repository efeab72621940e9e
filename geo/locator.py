"""Finds the place of coordinates, geometries, division codes and addresses in one edition, and says how sure it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from geo.address import AddressIndex
from geo.covering import NONE, Floats, Indices
from geo.datum import project
from geo.divisions import Divisions
from geo.edition import Edition
from geo.ground import Ground
from geo.layer import UNSURE, Objects, objects
from geo.place import PLACE_LEVELS, Candidate, Place, Unit

MOST_CANDIDATES = 32  # a level; the largest shares
MOST_SHARES = 500  # a geometry that touches more polygons than this is told at the next coarser level
WIDEST_M = 10_000.0  # an accuracy circle larger than this says no more than this one
_NOWHERE = 1e9
_BEYOND = 1.0  # degrees round the city; what a geometry has farther out does not count in its shares
_CIRCLE_HOLDS = 24.0  # polygons of median size a circle may hold before candidates are told a level coarser


class Locator:
    """Safe to share between threads once made.

    `snap_m` is how far outside the city a point may lie and still be taken in; a point within `near_m` metres (or its
    own accuracy) of an edge is flagged and gets candidates.
    """

    def __init__(
        self, edition: Edition, divisions: Divisions, crs: str = "EPSG:4548", snap_m: float = 50.0, near_m: float = 10.0
    ) -> None:
        if crs.lower() != edition.crs.lower():
            raise ValueError(f"the edition was compiled for {edition.crs}, not {crs}")
        self.edition, self.divisions = edition, divisions
        self.crs, self.snap_m, self.near_m = crs, snap_m, near_m
        self._grounds = {level: Ground(layer, edition.rasters[level]) for level, layer in edition.layers.items()}
        self._index = {level: _numbers(layer.codes) for level, layer in edition.layers.items()}
        # One None at the end of each, for the index of no polygon.
        self._codes = {level: objects([*layer.codes, None]) for level, layer in edition.layers.items()}
        self._units = {level: _units(layer.codes, layer.names) for level, layer in edition.layers.items()}
        self._unsure = {
            level: np.append([source in UNSURE for source in layer.sources], False)
            for level, layer in edition.layers.items()
        }
        self._addresses = AddressIndex(divisions)
        west, south, east, north = shapely.total_bounds(next(iter(edition.layers.values())).polygons)
        self._bounds = (west - _BEYOND, south - _BEYOND, east + _BEYOND, north + _BEYOND)
        self._project(np.array([0.0]), np.array([0.0]))

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels with ground, coarse to fine."""
        return tuple(self._grounds)

    def codes(
        self, lng: ArrayLike, lat: ArrayLike, levels: Sequence[str] | None = None
    ) -> dict[str, NDArray[np.object_]]:
        """For each level an array of the code (or None) at each finite WGS-84 point. No snapping, no edges."""
        x, y = _pair(lng, lat)
        wanted = PLACE_LEVELS if levels is None else levels
        nothing = np.full(len(x), None, dtype=object)
        return {
            level: self._codes[level][self._grounds[level].contains(x, y)] if level in self._grounds else nothing
            for level in wanted
        }

    def locate(self, lng: ArrayLike, lat: ArrayLike, accuracy_m: ArrayLike | None = None) -> list[Place]:
        """A place for each finite WGS-84 point; `accuracy_m` is one radius in metres or one a point, NaN if unknown."""
        x, y = _pair(lng, lat)
        found = {level: ground.contains(x, y) for level, ground in self._grounds.items()}
        method = np.full(len(x), "contains", dtype=object)
        points = self._project(x, y)
        self._snap(found, method, points)
        near, candidates = self._edges(found, points, self._radius(accuracy_m, len(x)))
        near |= method == "snapped"
        units = [self._units[level][found[level]] if level in found else [None] * len(x) for level in PLACE_LEVELS]
        unsure = self._approximate(found)
        rows = zip(method, *units, x.tolist(), y.tolist(), near.tolist(), unsure.tolist(), strict=True)
        edition = self.edition.id
        return [
            Place(how, edition, county, town, village, cell, (east, north), edge, candidates.get(number, ()), (), rough)
            for number, (how, county, town, village, cell, east, north, edge, rough) in enumerate(rows)
        ]

    def locate_geometry(self, geometry: Any) -> Place:
        """The place of a valid WGS-84 geometry: every polygon it touches with its share, the largest first."""
        middle = shapely.get_coordinates(shapely.point_on_surface(geometry))[0]
        at = (float(middle[0]), float(middle[1]))
        if shapely.get_dimensions(geometry) == 0:
            return self._of_points(shapely.get_coordinates(geometry), at)
        shares: dict[str, tuple[Candidate, ...]] = {}
        near = self._near(geometry)
        measure = shapely.area if shapely.get_dimensions(near) == 2 else shapely.length
        whole = float(measure(self._turned(near)))
        for level, ground in self._grounds.items():
            touched = ground.touched(geometry)
            if 0 < len(touched) <= MOST_SHARES:
                measures = measure(self._turned(ground.parts(near, touched)))
                # A line along a border counts on both sides, so the parts may be more than the whole.
                total = max(whole, measures.sum(), 1e-9)
                shares[level] = self._ranked(level, touched, measures / total)
        return self._of_shares(shares, at)

    def locate_division(self, *codes: str) -> Place:
        """The place of a division or polygon code, with everything above it; of several where levels do not nest."""
        path: dict[str, str] = {}
        for code in codes:
            path |= self._path_of(code)
        if not any(level in path for level in PLACE_LEVELS):
            return Place("none", self.edition.id)
        return self._place("division", path)

    def locate_address(self, text: str) -> Place:
        """The place of the one division an address names, of one a level where levels do not nest; several that fit
        equally well become candidates."""
        found = [self._addresses.match(text)] if self.edition.nested else self._addresses.match_levels(text)
        path: dict[str, str] = {}
        for rows in found:
            path |= self.divisions.path(rows[0].code) if len(rows) == 1 else {}
        candidates = tuple(
            Candidate(row.level, row.code, row.name, round(1.0 / len(rows), 4))
            for rows in found
            if len(rows) > 1
            for row in rows[:MOST_CANDIDATES]
        )
        place = self._place("address", path) if path else Place("none", self.edition.id)
        return _with(place, candidates=candidates) if candidates else place

    def _project(self, lng: Floats, lat: Floats) -> Any:
        x, y = project(lng, lat, "epsg:4326", self.crs)
        far = ~(
            np.isfinite(x) & np.isfinite(y)
        )  # the other side of the earth has no coordinates in a city's projection
        return shapely.points(np.where(far, _NOWHERE, x), np.where(far, _NOWHERE, y))

    def _near(self, geometry: Any) -> Any:
        """The geometry's thickest parts, without what lies far from the city; of lines their single segments."""
        geometry, box = _thickest(geometry), shapely.box(*self._bounds)
        if shapely.get_dimensions(geometry) == 1:
            near = shapely.intersection(box, _segments(geometry))
            return shapely.multilinestrings(near[shapely.get_type_id(near) == shapely.GeometryType.LINESTRING])
        return geometry if shapely.covers(box, geometry) else shapely.intersection(box, geometry)

    def _turned(self, geometry: Any) -> Any:
        def turn(xy: Floats) -> Floats:
            return np.column_stack(project(xy[:, 0], xy[:, 1], "epsg:4326", self.crs))

        return shapely.transform(geometry, turn)

    def _radius(self, accuracy_m: ArrayLike | None, count: int) -> Floats:
        radius = np.full(count, self.near_m)
        if accuracy_m is not None:
            known = np.broadcast_to(np.asarray(accuracy_m, dtype=np.float64), (count,))
            radius = np.fmin(np.fmax(radius, known), WIDEST_M)
        return radius

    def _snap(self, found: Mapping[str, Indices], method: NDArray[np.object_], points: Any) -> None:
        """Gives points that no polygon contains the nearest within reach, and marks those that stay outside."""
        lost = np.flatnonzero(np.all([indices == NONE for indices in found.values()], axis=0))
        if not len(lost):
            return
        method[lost] = "outside"
        if self.edition.nested:  # what is far from the coarsest level is far from all that lies in it
            lost = lost[self._grounds[self.levels[0]].nearest(points[lost], self.snap_m) != NONE]
        for level in reversed(self.levels):
            nearest = self._grounds[level].nearest(points[lost], self.snap_m)
            for place, index in zip(lost[nearest != NONE], nearest[nearest != NONE], strict=True):
                if self.edition.nested:
                    for above, code in self._path_of(self._codes[level][index]).items():
                        if above in found:
                            found[above][place] = self._index[above].get(code, NONE)
                else:
                    found[level][place] = index
                method[place] = "snapped"
            if self.edition.nested:
                lost = lost[nearest == NONE]

    def _edges(
        self, found: Mapping[str, Indices], points: Any, radius: Floats
    ) -> tuple[NDArray[np.bool_], dict[int, tuple[Candidate, ...]]]:
        near = np.zeros(len(points), dtype=np.bool_)
        candidates: dict[int, tuple[Candidate, ...]] = {}
        start = self._start(found, radius)
        for depth, level in enumerate(self.levels):
            # Where levels nest, a coarser edge is an edge of the finest level too, so asking that one is enough.
            asked = start == depth if self.edition.nested else start >= depth
            asked = np.flatnonzero(asked & (found[level] != NONE))
            close = self._grounds[level].near_edge(found[level][asked], points[asked], radius[asked])
            near[asked[close]] = True
        for depth, level in enumerate(self.levels):
            asked = np.flatnonzero(near & (start >= depth))
            self._add_candidates(candidates, level, asked, points, radius)
        return near, candidates

    def _start(self, found: Mapping[str, Indices], radius: Floats) -> Indices:
        """The depth of each point's finest level whose polygons are not far smaller than its circle."""
        start = np.full(len(radius), NONE, dtype=np.int64)
        for depth, (level, ground) in enumerate(self._grounds.items()):
            fits = np.pi * radius**2 <= ground.median_m2 * _CIRCLE_HOLDS if depth else True
            start[(found[level] != NONE) & fits] = depth
        return start

    def _add_candidates(
        self, candidates: dict[int, tuple[Candidate, ...]], level: str, asked: Indices, points: Any, radius: Floats
    ) -> None:
        if not len(asked):
            return
        point, polygon, share = self._grounds[level].shares_of_circles(points[asked], radius[asked])
        order = np.argsort(point, kind="stable")
        starts = np.searchsorted(point[order], np.arange(len(asked) + 1))
        for number, place in enumerate(asked.tolist()):
            mine = order[starts[number] : starts[number + 1]]
            if len(mine) > 1 or (len(mine) == 1 and share[mine[0]] < 1.0):
                ranked = self._ranked(level, polygon[mine], share[mine])
                candidates[place] = candidates.get(place, ()) + ranked[:MOST_CANDIDATES]

    def _ranked(self, level: str, polygons: Indices, shares: Floats) -> tuple[Candidate, ...]:
        """Largest share first, then lowest code."""
        layer = self.edition.layers[level]
        return tuple(
            Candidate(level, layer.codes[index], layer.names[index], round(float(share), 4))
            for share, index in sorted(zip((-shares).tolist(), polygons.tolist(), strict=True))
            for share in (-share,)
        )

    def _approximate(self, found: Mapping[str, Indices]) -> NDArray[np.bool_]:
        unsure = np.zeros(len(next(iter(found.values()))), dtype=np.bool_)
        for level, indices in found.items():
            unsure = np.where(indices != NONE, self._unsure[level][indices], unsure)
        return unsure

    def _of_points(self, xy: Floats, at: tuple[float, float]) -> Place:
        places = self.locate(xy[:, 0], xy[:, 1])
        if len(places) == 1:
            only = places[0]
            return _with(only, method="geometry" if only.method == "contains" else only.method)
        shares: dict[str, tuple[Candidate, ...]] = {}
        for level in self.levels:
            codes = [code for place in places if (code := place.codes[level])]
            if codes and len(set(codes)) <= MOST_SHARES:
                kinds, counts = np.unique(np.array(codes), return_counts=True)
                indices = np.array([self._index[level][code] for code in kinds.tolist()])
                shares[level] = self._ranked(level, indices, counts / len(places))
        return self._of_shares(shares, at)

    def _of_shares(self, shares: Mapping[str, tuple[Candidate, ...]], at: tuple[float, float]) -> Place:
        if not shares:
            return Place("outside", self.edition.id, wgs84=at)
        finest = [level for level in self.levels if level in shares][-1]
        path = {level: ranked[0].code for level, ranked in shares.items()}
        if self.edition.nested:
            path = {**path, **self._path_of(path[finest])}
        several = tuple(
            candidate
            for level, ranked in shares.items()
            if level != finest and len(ranked) > 1
            for candidate in ranked[:MOST_CANDIDATES]
        )
        place = self._place("geometry", path)
        unsure = bool(self._unsure[finest][self._index[finest][path[finest]]])
        return _with(place, wgs84=at, candidates=several, shares=shares[finest], approximate=unsure)

    def _path_of(self, code: str) -> dict[str, str]:
        """`{level: code}` of a division, or of a polygon that is no division and everything above it."""
        if code in self.divisions:
            return dict(self.divisions.path(code))
        for level in reversed(self.levels):
            index = self._index[level].get(code)
            if index is not None:
                parent = self.edition.layers[level].parents[index]
                return {**(self._path_of(parent) if parent else {}), level: code}
        return {}

    def _place(self, method: str, path: Mapping[str, str]) -> Place:
        county, town, village, cell = (
            self._unit(level, path[level]) if level in path else None for level in PLACE_LEVELS
        )
        return Place(method, self.edition.id, county, town, village, cell)

    def _unit(self, level: str, code: str) -> Unit:
        division = self.divisions.get(code)
        if division is not None:
            return Unit(code, division.name)
        found: Unit = self._units[level][self._index[level][code]]
        return found


def _pair(lng: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    x, y = np.atleast_1d(np.asarray(lng, dtype=np.float64)), np.atleast_1d(np.asarray(lat, dtype=np.float64))
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError("lng and lat must be two lists of the same length")
    return x, y


def _numbers(codes: Objects) -> dict[str, int]:
    return {code: number for number, code in enumerate(codes.tolist())}


def _units(codes: Objects, names: Objects) -> Objects:
    return objects([*(Unit(code, name) for code, name in zip(codes, names, strict=True)), None])


def _with(place: Place, **changes: Any) -> Place:
    return dataclasses.replace(place, **changes)


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
