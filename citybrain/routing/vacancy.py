"""Which event types find no department where, for every place in the city, before an event falls there: the
responsibility map 责任地图. It asks `responsibility` what routing will ask, and `geo` what places there are."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from citybrain.routing.responsibility import EventTypes, Responsibility
from geo.divisions import LEVELS

Mask = NDArray[np.bool_]
Codes = Mapping[str, str | None]


class Question(NamedTuple):
    """What routing asks; many types ask the same."""

    duty: str
    domain: str
    level: str


@dataclass(frozen=True, slots=True)
class Vacancy:
    """A division in which no place has a department for a type, told as coarsely as it can be: not the places in it."""

    type: str
    question: Question
    level: str
    division: str
    places: int


class ResponsibilityMap:
    """`places` are codes by level, each the smallest piece of ground that there is, or a division without any."""

    def __init__(
        self, catalogues: Iterable[EventTypes], responsibility: Responsibility, places: Sequence[Mapping[str, str]]
    ) -> None:
        self.places = places
        self.types: dict[str, Question] = {
            code: Question(kind.duty, catalogue.domain, kind.row.level)
            for catalogue in catalogues
            for code, kind in catalogue.types.items()
        }
        self._levels = {level: _numbered([place.get(level) for place in places]) for level in LEVELS}
        self._missing: dict[Question, Mask] = {}
        for question in dict.fromkeys(self.types.values()):
            telling = frozenset(responsibility.telling((question.duty, question.domain), question.level))
            kinds, asked = self._alike(telling)
            nobody = [responsibility.assign(question.duty, (), question.domain, question.level, each).lead is None
                      for each in asked]  # fmt: skip
            self._missing[question] = np.array(nobody, dtype=np.bool_)[kinds]

    def _alike(self, telling: frozenset[str]) -> tuple[NDArray[np.int64], list[Codes]]:
        """For each place the number of the first one that has the same telling codes, and those first ones: all others
        have the same department."""
        kinds = np.zeros(len(self.places), dtype=np.int64)
        for codes, number in self._levels.values():
            named = np.append([code in telling for code in codes], False)[number].astype(np.bool_)
            kinds = np.unique(kinds * (len(codes) + 1) + np.where(named, number + 1, 0), return_inverse=True)[1]
        first = np.unique(kinds, return_index=True)[1]
        return kinds, [self.places[number] for number in first.tolist()]

    def places_in(self, divisions: Collection[str] | None) -> Mask:
        """Which places lie in any of these divisions; all of them without any."""
        if divisions is None:
            return np.ones(len(self.places), dtype=np.bool_)
        wanted = set(divisions)
        return np.array([not wanted.isdisjoint(place.values()) for place in self.places], dtype=np.bool_)

    def pairs(self, types: Collection[str], mine: Mask) -> int:
        """How many pairs of these types and places there are without a department."""
        return sum(int((self._missing[self.types[type_]] & mine).sum()) for type_ in types)

    def vacancies(self, types: Collection[str], mine: Mask) -> Iterator[Vacancy]:
        """By type, coarse divisions first; no division of which some place is not among `mine`."""
        known: dict[Question, list[tuple[str, str, int]]] = {}
        for type_ in types:
            question = self.types[type_]
            if question not in known:
                known[question] = self._group(self._missing[question] & mine)
            for level, division, places in known[question]:
                yield Vacancy(type_, question, level, division, places)

    def each(self, types: Collection[str], mine: Mask) -> Iterator[tuple[str, Question, Mapping[str, str]]]:
        """Every pair: type, what it asks, place."""
        for type_ in types:
            question = self.types[type_]
            for number in np.flatnonzero(self._missing[question] & mine).tolist():
                yield type_, question, self.places[number]

    def _group(self, missing: Mask) -> list[tuple[str, str, int]]:
        """The coarsest divisions in which all places are missing, and how many places that are in no coarser one."""
        told: list[tuple[str, str, int]] = []
        left = missing.copy()
        for level, (codes, number) in self._levels.items():
            if not left.any() or not codes:
                continue
            known = number >= 0
            size = len(codes)
            everywhere = np.bincount(number[known], minlength=size) == np.bincount(
                number[known & missing], minlength=size
            )
            mine = known & left & everywhere[np.maximum(number, 0)]
            counts = np.bincount(number[mine], minlength=size)
            told += [(level, codes[each], int(counts[each])) for each in np.flatnonzero(counts)]
            left &= ~mine
        return told


def _numbered(codes: Sequence[str | None]) -> tuple[list[str], NDArray[np.int64]]:
    """The codes that there are, ascending, and for each place the number of its own, -1 for none."""
    there = sorted({code for code in codes if code is not None})
    index: dict[str | None, int] = {code: number for number, code in enumerate(there)}
    return there, np.array([index.get(code, -1) for code in codes], dtype=np.int64)
