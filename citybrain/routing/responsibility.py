"""Which department answers for a duty at a place: the one at the level asked for, else at the next level up.

Built from the city's departments before routing; there is no default department, so the answer may be none.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from citybrain.routing.departments import Department
from geo.divisions import LEVELS, Division, Divisions

Codes = Mapping[str, str | None] | Mapping[str, str]


class EventTypes(Protocol):
    """The part of a catalogue that says what duties there are: `unassigned` asks no more of it."""

    @property
    def domain(self) -> str: ...
    @property
    def types(self) -> Mapping[str, Any]: ...


class Found(NamedTuple):
    department: str | None
    tried: list[dict[str, str | None]]


@dataclass(frozen=True, slots=True)
class Assignment:
    lead: str | None
    assist: tuple[str, ...]
    explanation: dict[str, Any]


class Responsibility:
    """Departments by (duty, department's level, division); one look-up an event."""

    def __init__(self, departments: Iterable[Department]) -> None:
        self._claims: dict[tuple[str, str, str], str] = {}
        self._named: set[str] = set()
        known = list(departments)
        for department in known:
            self._named.update(department.duties)
            self._claim(department, department.divisions)
        for department in known:
            self._claim(department, department.below)

    def _claim(self, department: Department, divisions: Iterable[str]) -> None:
        for duty in department.duties:
            for division in divisions:
                self._claims.setdefault((duty, department.level, division), department.code)

    def assign(self, duty: str, assist: Sequence[str], domain: str, level: str, codes: Codes) -> Assignment:
        found = self.find(duty, level, codes)
        tried = found.tried
        if found.department is None and duty != domain and duty not in self._named:
            # A city that only says which domains a department works in means all of the domain's duties.
            found = self.find(domain, level, codes)
            tried = tried + found.tried
        helpers: dict[str, str | None] = {one: self.find(one, level, codes).department for one in assist}
        names = dict.fromkeys(code for code in helpers.values() if code and code != found.department)
        explanation = {"duty": duty, "level": level, "lead": found.department, "tried": tried, "assist": helpers}
        return Assignment(found.department, tuple(names), explanation)

    def telling(self, duties: Collection[str], level: str) -> Collection[str]:
        """The divisions that make a difference to `assign` with these duties at this level."""
        asked = LEVELS[: LEVELS.index(level) + 1]
        return {division for duty, one, division in self._claims if duty in duties and one in asked}

    def find(self, duty: str, level: str, codes: Codes) -> Found:
        """From `level` upward; at each level the finest division that a department names."""
        tried: list[dict[str, str | None]] = []
        for one in reversed(LEVELS[: LEVELS.index(level) + 1]):
            department = next(
                (code for place in _finest_first(codes) if (code := self._claims.get((duty, one, place)))), None
            )
            tried.append({"duty": duty, "level": one, "division": codes.get(one), "department": department})
            if department is not None:
                return Found(department, tried)
        return Found(None, tried)


def _finest_first(codes: Codes) -> Iterator[str]:
    for level in reversed(LEVELS):
        if code := codes.get(level):
            yield code


def unassigned(
    catalogues: Iterable[EventTypes], responsibility: Responsibility, divisions: Divisions
) -> list[tuple[str, str]]:
    """(type, division) wherever an event of that type, located as far as its own level asks, finds no department."""
    missing: list[tuple[str, str]] = []
    answers: dict[tuple[str, str, str, str], bool] = {}
    for catalogue in catalogues:
        for code, kind in catalogue.types.items():
            level = kind.row.level
            for division in _as_fine_as(level, divisions):
                question = (kind.duty, catalogue.domain, level, division.code)
                if question not in answers:
                    path = divisions.path(division.code)
                    answers[question] = bool(responsibility.assign(kind.duty, (), catalogue.domain, level, path).lead)
                if not answers[question]:
                    missing.append((code, division.code))
    return missing


def _as_fine_as(level: str, divisions: Divisions) -> Sequence[Division]:
    """The divisions of the level, or of the next one above that the city has."""
    levels = LEVELS[LEVELS.index(level) :: -1]
    return next((rows for one in levels if (rows := divisions.level(one))), ())
