"""Where an event is: the locator's answer, and what every later step routes by."""

from __future__ import annotations

from dataclasses import dataclass
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
    """One of several units a place may lie in; `share` (0 to 1) is its part of the accuracy circle or geometry."""

    level: str
    code: str
    name: str
    share: float

    def as_dict(self) -> dict[str, Any]:
        return {"level": self.level, "code": self.code, "name": self.name, "share": self.share}


@dataclass(frozen=True, slots=True)
class Place:
    """A place 位置: its units, how they were found (`method`), in which edition, and how surely.

    `candidates` names, level by level, the units it may lie in where that is not certain; `shares` what a line or
    polygon touches. `approximate` says that the polygon that decided is approximate or generated, not surveyed.
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
        }

    def _units(self) -> tuple[tuple[str, Unit | None], ...]:
        return (("county", self.county), ("town", self.town), ("village", self.village), ("cell", self.cell))
