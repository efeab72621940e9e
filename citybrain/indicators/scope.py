"""What a question about coverage is about: which divisions of a level, which industries of a basis, for whom."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from citybrain.city import City
from citybrain.indicators.days import DAY_MS
from citybrain.indicators.kinds import PLACED
from citybrain.industries import COVERED_LEVELS, BasisRow
from citybrain.keys import Key
from citybrain.problem import invalid, not_found
from geo.divisions import Division
from geo.mistake import did_you_mean


@dataclass(frozen=True)
class Scope:
    """`division` is the one that was asked for, if any; `divisions` are those of the level that count."""

    city: City
    level: str
    division: Division | None
    divisions: tuple[Division, ...]
    basis: BasisRow
    domains: frozenset[str] = frozenset()  # whose evidence may be shown; empty: all

    @cached_property
    def industries(self) -> tuple[str, ...]:
        """All of the registry; a basis counts some of them."""
        return tuple(self.city.registry.industries)

    @cached_property
    def position(self) -> Mapping[str, int]:
        return {division.code: index for index, division in enumerate(self.divisions)}

    @cached_property
    def all_of_level(self) -> bool:
        return len(self.divisions) == len(self.city.divisions.level(self.level))

    @property
    def asked(self) -> Division | None:
        """The division that all of them lie in, where cases are located as finely as that."""
        asked = self.division or (self.divisions[0] if self.single else None)
        return asked if asked and asked.level in PLACED else None

    @property
    def single(self) -> bool:
        return len(self.divisions) == 1

    @property
    def window(self) -> int:
        """How long evidence counts, in ms."""
        return self.city.file.coverage.window_days * DAY_MS

    @property
    def total(self) -> int:
        return len(self.divisions) * len(self.basis.industries)

    def basis_dict(self) -> dict[str, Any]:
        shown = self.basis.model_dump(include={"code", "name", "name_en", "source"})
        return shown | {"industries": len(self.basis.industries)}


def levels_of(city: City) -> list[str]:
    return [level for level in COVERED_LEVELS if level == "city" or level in city.levels]


def scope_of(city: City, key: Key, level: str | None, division: str | None, basis: str | None) -> Scope:
    """Raises Problem 422 for what the city does not know, 404 for a division outside the key's."""
    asked = _division(city, key, division) if division else None
    level = level or (asked.level if asked else "city")
    known = levels_of(city)
    if level not in known:
        remedy = "one of " + ", ".join(map(city.level_in_english, known))
        raise invalid("level", f"{level!r} is no level of this city", remedy)
    if asked and asked.level not in COVERED_LEVELS[: COVERED_LEVELS.index(level) + 1]:
        own, coarser = city.level_in_english(asked.level), city.level_in_english(level)
        raise invalid("level", f"{asked.code} is a {own}, below level {coarser}", f"leave level out, or name {own}")
    bases = city.registry.bases
    code = basis or city.registry.default
    if code not in bases:
        near = did_you_mean(code, bases)
        raise invalid("basis", f"{code!r} is no basis of the registry{near}", "one of " + ", ".join(bases))
    counted = tuple(
        each
        for each in city.divisions.level(level)
        if (asked is None or city.divisions.covers(asked.code, each.code)) and may_see(city, key, each.code)
    )
    return Scope(city, level, asked, counted, bases[code], key.domains)


def _division(city: City, key: Key, code: str) -> Division:
    division = city.divisions.get(code)
    if division is None or not may_see(city, key, code):
        raise not_found("division")
    return division


def may_see(city: City, key: Key, code: str) -> bool:
    """Whether a division lies in the key's."""
    return not key.divisions or any(city.divisions.covers(own, code) for own in key.divisions)
