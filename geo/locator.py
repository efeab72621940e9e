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
from geo.extent import MOST_SHARES, Extents
from geo.ground import Ground
from geo.layer import UNSURE, Objects, objects
from geo.nearby import MOST_CANDIDATES, Nearby
from geo.place import PLACE_LEVELS, Candidate, Place, Unit
from geo.ranking import Ranked, rank
from geo.trace import trace

WIDEST_M = 10_000.0  # an accuracy circle larger than this says no more than this one
_NOWHERE = 1e9
_FEW = 8  # points at once, up to which plain Python is faster than numpy


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
        self._grounds = {level: Ground(layer, edition.rasters[level], crs) for level, layer in edition.layers.items()}
        self._nearby = Nearby(self._grounds, edition.nested)
        self._extents = Extents(self._grounds, crs)
        self._index = {level: _numbers(layer.codes) for level, layer in edition.layers.items()}
        # One None at the end of each, for the index of no polygon.
        self._codes = {level: objects([*layer.codes, None]) for level, layer in edition.layers.items()}
        self._units = {level: _units(layer.codes, layer.names) for level, layer in edition.layers.items()}
        self._unsure = {
            level: np.append([source in UNSURE for source in layer.sources], False)
            for level, layer in edition.layers.items()
        }
        self._addresses = AddressIndex(divisions)
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

    def indices(self, level: str, lng: Floats, lat: Floats) -> Indices:
        """For each finite WGS-84 point the number of its polygon in the level's layer, NONE for none."""
        return self._grounds[level].contains(lng, lat)

    def touching(self, level: str, west: float, south: float, east: float, north: float) -> Indices:
        """The polygons of a level, by number, that have a part in a WGS-84 box."""
        return self._grounds[level].touching(shapely.box(west, south, east, north))

    def locate(self, lng: ArrayLike, lat: ArrayLike, accuracy_m: ArrayLike | None = None) -> list[Place]:
        """A place for each finite WGS-84 point; `accuracy_m` is one radius in metres or one a point, NaN if unknown."""
        x, y = _pair(lng, lat)
        radius = self._radius(accuracy_m, len(x))
        if len(x) > _FEW:
            return self._located(x, y, radius)
        places = [self._at_once(*row) for row in zip(x.tolist(), y.tolist(), radius.tolist(), strict=True)]
        rest = [number for number, place in enumerate(places) if place is None]
        if rest:
            for number, place in zip(rest, self._located(x[rest], y[rest], radius[rest]), strict=True):
                places[number] = place
        return [place for place in places if place is not None]

    def explain(self, lng: float, lat: float, accuracy_m: float | None = None) -> dict[str, Any]:
        """The place of one finite WGS-84 point, and level by level every polygon that was tried and why."""
        (place,) = self.locate([lng], [lat], accuracy_m)
        radius = float(self._radius(accuracy_m, 1)[0])
        point = self._project(lng, lat)
        reach = self.snap_m if place.method in ("snapped", "outside") else radius
        levels = [trace(ground, lng, lat, point, reach) for ground in self._grounds.values()]
        settings = {"near_m": self.near_m, "snap_m": self.snap_m, "radius_m": radius, "crs": self.crs}
        return {"place": place.as_dict(), "levels": levels, **settings}

    def locate_geometry(self, geometry: Any) -> Place:
        """The place of a valid WGS-84 geometry: every polygon it touches with its share, the largest first."""
        middle = shapely.get_coordinates(shapely.point_on_surface(geometry))[0]
        at = (float(middle[0]), float(middle[1]))
        if shapely.get_dimensions(geometry) == 0:
            return self._of_points(shapely.get_coordinates(geometry), at)
        return self._of_shares(self._extents.shares(geometry), at)

    def locate_division(self, *codes: str) -> Place:
        """The place of a division or polygon code, with everything above it; of several where levels do not nest."""
        path: dict[str, str] = {}
        for code in codes:
            path |= self.path_of(code)
        if not any(level in path for level in PLACE_LEVELS):
            return Place("none", self.edition.id)
        return self._place("division", path)

    def locate_address(self, text: str) -> Place:
        """The place of the one division an address names, of one a level where levels do not nest; several that fit
        equally well become candidates."""
        found = [self._addresses.read(text)] if self.edition.nested else self._addresses.read_levels(text)
        path: dict[str, str] = {}
        for rows, _ in found:
            path |= self.divisions.path(rows[0].code) if len(rows) == 1 else {}
        candidates = tuple(
            Candidate(row.level, row.code, row.name, round(1.0 / len(rows), 4))
            for rows, _ in found
            if len(rows) > 1
            for row in rows[:MOST_CANDIDATES]
        )
        place = self._place("address", path) if path else Place("none", self.edition.id)
        matched = tuple(word for each in found for word in each.words)[:MOST_CANDIDATES]
        return _with(place, candidates=candidates, matched=matched)

    def _at_once(self, lng: float, lat: float, radius: float) -> Place | None:
        """The place of a point with nothing uncertain about it, else None."""
        grounds = list(self._grounds.items())
        found = [ground.find(lng, lat) for _, ground in grounds]
        depth = self._nearby.depth(found, radius)
        if depth == NONE:
            return None
        point: Any = None
        for each in self._nearby.asked(depth):
            ground = grounds[each][1]
            if found[each] != NONE and ground.clear(lng, lat) <= radius:
                point = self._project(lng, lat) if point is None else point
                if ground.near_edge(found[each], point, radius):
                    return None
        units: dict[str, Any] = dict.fromkeys(PLACE_LEVELS)
        unsure = False
        for (level, _), index in zip(grounds, found, strict=True):
            if index != NONE:
                units[level], unsure = self._units[level][index], bool(self._unsure[level][index])
        return Place("contains", self.edition.id, **units, wgs84=(lng, lat), approximate=unsure)

    def _located(self, x: Floats, y: Floats, radius: Floats) -> list[Place]:
        found = {level: ground.contains(x, y) for level, ground in self._grounds.items()}
        places = self._contained(found, x, y)
        lost = np.all([indices == NONE for indices in found.values()], axis=0)
        perhaps = self._nearby.perhaps(found, self._nearby.depths(found, radius), radius, x, y)
        asked = np.flatnonzero(lost | perhaps)
        here = {level: indices[asked] for level, indices in found.items()}
        for number, place in zip(asked.tolist(), self._uncertain(here, x[asked], y[asked], radius[asked]), strict=True):
            places[number] = place
        return places

    def _contained(self, found: Mapping[str, Indices], x: Floats, y: Floats) -> list[Place]:
        units = [self._units[level][found[level]] if level in found else [None] * len(x) for level in PLACE_LEVELS]
        rows = zip(*units, x.tolist(), y.tolist(), self._approximate(found).tolist(), strict=True)
        edition = self.edition.id
        return [
            Place("contains", edition, county, town, village, cell, (lng, lat), approximate=rough)
            for county, town, village, cell, lng, lat, rough in rows
        ]

    def _uncertain(self, found: dict[str, Indices], x: Floats, y: Floats, radius: Floats) -> list[Place]:
        """The places of points outside all polygons or perhaps near an edge; moves what is snapped in `found`."""
        points = self._project(x, y)
        method, moved = self._snap(found, points)
        depths = self._nearby.depths(found, radius)
        near = self._nearby.edges(found, depths, points, radius) | (method == "snapped")
        told = np.flatnonzero(near)
        reach = np.fmax(radius, moved + self.near_m)
        candidates = self._nearby.candidates(depths[told], x[told], y[told], points[told], radius[told], reach[told])
        places = self._contained(found, x, y)
        for number in np.flatnonzero(method != "contains").tolist():
            metres = None if np.isnan(moved[number]) else round(float(moved[number]), 2)
            places[number] = _with(places[number], method=method[number], snapped_m=metres)
        for number, ranked in zip(told.tolist(), candidates, strict=True):
            places[number] = _with(places[number], near_edge=True, **_told(ranked))
        return places

    def _project(self, lng: ArrayLike, lat: ArrayLike) -> Any:
        x, y = project(lng, lat, "epsg:4326", self.crs)
        far = ~(
            np.isfinite(x) & np.isfinite(y)
        )  # the other side of the earth has no coordinates in a city's projection
        return shapely.points(np.where(far, _NOWHERE, x), np.where(far, _NOWHERE, y))

    def _radius(self, accuracy_m: ArrayLike | None, count: int) -> Floats:
        radius = np.full(count, self.near_m)
        if accuracy_m is not None:
            known = np.broadcast_to(np.asarray(accuracy_m, dtype=np.float64), (count,))
            radius = np.fmin(np.fmax(radius, known), WIDEST_M)
        return radius

    def _snap(self, found: Mapping[str, Indices], points: Any) -> tuple[NDArray[np.object_], Floats]:
        """Gives points that no polygon contains the nearest within reach. All methods, and metres of the snapped."""
        method, metres = np.full(len(points), "contains", dtype=object), np.full(len(points), np.nan)
        lost = np.flatnonzero(np.all([indices == NONE for indices in found.values()], axis=0))
        method[lost] = "outside"
        if self.edition.nested and len(lost):  # what is far from the coarsest level is far from all that lies in it
            lost = lost[self._grounds[self.levels[0]].nearest(points[lost], self.snap_m)[0] != NONE]
        for level in reversed(self.levels) if len(lost) else ():
            nearest, far = self._grounds[level].nearest(points[lost], self.snap_m)
            taken = nearest != NONE
            for place, index in zip(lost[taken], nearest[taken], strict=True):
                if self.edition.nested:
                    for above, code in self.path_of(self._codes[level][index]).items():
                        if above in found:
                            found[above][place] = self._index[above].get(code, NONE)
                else:
                    found[level][place] = index
            method[lost[taken]] = "snapped"
            metres[lost[taken]] = np.fmin(metres[lost[taken]], far[taken])
            if self.edition.nested:
                lost = lost[~taken]
        return method, metres

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
        shares: dict[str, Ranked] = {}
        for level in self.levels:
            codes = [code for place in places if (code := place.codes[level])]
            if codes and len(set(codes)) <= MOST_SHARES:
                kinds, counts = np.unique(np.array(codes), return_counts=True)
                indices = np.array([self._index[level][code] for code in kinds.tolist()])
                shares[level] = rank(self.edition.layers[level], indices, counts / len(places))
        return self._of_shares(shares, at)

    def _of_shares(self, shares: Mapping[str, Ranked], at: tuple[float, float]) -> Place:
        if not shares:
            return Place("outside", self.edition.id, wgs84=at)
        finest = [level for level in self.levels if level in shares][-1]
        path = {level: ranked.candidates[0].code for level, ranked in shares.items()}
        if self.edition.nested:
            path = {**path, **self.path_of(path[finest])}
        coarser = {
            level: ranked._replace(candidates=ranked.candidates[:MOST_CANDIDATES] if len(ranked.candidates) > 1 else ())
            for level, ranked in shares.items()
            if level != finest
        }
        told = _told({**coarser, finest: shares[finest]._replace(candidates=())})
        unsure = bool(self._unsure[finest][self._index[finest][path[finest]]])
        place = self._place("geometry", path)
        return _with(place, wgs84=at, shares=shares[finest].candidates, approximate=unsure, **told)

    def path_of(self, code: str) -> dict[str, str]:
        """`{level: code}` of a division, or of a polygon that is no division and everything above it."""
        if code in self.divisions:
            return dict(self.divisions.path(code))
        for level in reversed(self.levels):
            index = self._index[level].get(code)
            if index is not None:
                parent = self.edition.layers[level].parents[index]
                return {**(self.path_of(parent) if parent else {}), level: code}
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


def _told(ranked: Mapping[str, Ranked]) -> dict[str, Any]:
    """What a place tells of the ranked polygons of several levels."""
    candidates = tuple(candidate for each in ranked.values() for candidate in each.candidates)
    return {"candidates": candidates, "uncovered": {level: r.uncovered for level, r in ranked.items() if r.uncovered}}
