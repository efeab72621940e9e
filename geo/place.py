"""Where an event is: the locator's answer, and what every later step routes by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from geo.divisions import LEVELS

PLACE_LEVELS = LEVELS[1:]
METHODS = ("contains", "geometry", "snapped", "division", "address", "outside", "none")


@dataclass(frozen=True, slots=True)
class Unit:
    """One polygon or division, by code and name."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of several units a place may lie in; `share` (0 to 1) is its part of the accuracy circle or geometry,
    `distance_m` how far it is from the point, 0 if it contains it."""

    level: str
    code: str
    name: str
    share: float
    distance_m: float | None = None

    def as_dict(self) -> dict[str, Any]:
        told = {"level": self.level, "code": self.code, "name": self.name, "share": self.share}
        return told if self.distance_m is None else {**told, "distance_m": self.distance_m}


@dataclass(frozen=True, slots=True)
class Match:
    """The words of an address that were taken for a division's name."""

    level: str
    code: str
    text: str

    def as_dict(self) -> dict[str, Any]:
        return {"level": self.level, "code": self.code, "text": self.text}


@dataclass(frozen=True, slots=True)
class Place:
    """A place 位置: its units, how they were found (`method`), in which edition, and how surely.

    `candidates` names, level by level, the units it may lie in where that is not certain; `shares` what a line or
    polygon touches; `uncovered` is by level the share that lies in no polygon, where some does: with it they add up to
    one. `approximate` says that the polygon that decided is approximate or generated, not surveyed. `snapped_m` is how
    far outside its polygon a snapped point lies, `matched` what an address was read from.
    """

    method: str
    edition: str
    county: Unit | None = None
    town: Unit | None = None
    village: Unit | None = None
    cell: Unit | None = None
    wgs84: tuple[float, float] | None = None
    near_edge: bool = False
    candidates: tuple[Candidate, ...] = ()
    shares: tuple[Candidate, ...] = ()
    approximate: bool = False
    uncovered: Mapping[str, float] = field(default_factory=dict)
    snapped_m: float | None = None
    matched: tuple[Match, ...] = ()

    @property
    def codes(self) -> dict[str, str | None]:
        """`{level: code}` from county to cell, None where unknown."""
        return {level: unit.code if unit else None for level, unit in self._units()}

    def as_dict(self) -> dict[str, Any]:
        """The `place` of the API."""
        units = {level: {"code": unit.code, "name": unit.name} if unit else None for level, unit in self._units()}
        return {
            **units,
            "method": self.method,
            "edition": self.edition,
            "wgs84": {"lng": self.wgs84[0], "lat": self.wgs84[1]} if self.wgs84 else None,
            "near_edge": self.near_edge,
            "candidates": [candidate.as_dict() for candidate in self.candidates],
            "shares": [share.as_dict() for share in self.shares],
            "approximate": self.approximate,
            **({"uncovered": dict(self.uncovered)} if self.uncovered else {}),
            **({"snapped_m": self.snapped_m} if self.snapped_m is not None else {}),
            **({"matched": [match.as_dict() for match in self.matched]} if self.matched else {}),
        }

    def _units(self) -> tuple[tuple[str, Unit | None], ...]:
        return (("county", self.county), ("town", self.town), ("village", self.village), ("cell", self.cell))
