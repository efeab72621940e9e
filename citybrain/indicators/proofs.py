"""What the record proves: one case with a delivered message and a report of completion, for a village also a
verification passed by a worker. A proof holds while all of them lie in the window, where the case was located then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Row

from citybrain.indicators.activity import as_columns
from citybrain.indicators.evidence import Evidence
from citybrain.indicators.kinds import PLACED, VERIFIED_LEVEL
from citybrain.indicators.scope import Scope
from citybrain.indicators.spans import FOREVER, Ints, Spans, pairs


@dataclass(frozen=True)
class Proofs:
    """Parallel arrays, a proof many times where it counts for several units or was interrupted; rows by their index."""

    unit: Ints
    start: Ints
    end: Ints
    demo: np.ndarray[Any, np.dtype[np.bool_]]
    case: Ints
    delivery: Ints
    feedback: Ints
    verification: Ints  # -1 where none is needed
    of: Evidence

    def spans(self, include_demo: bool) -> Spans:
        real = np.ones(len(self.unit), bool) if include_demo else ~self.demo
        return Spans(self.unit, self.start, self.end).only(real)


def proofs_of(evidence: Evidence, scope: Scope, active: Mapping[str, list[tuple[int, int]]]) -> Proofs:
    """Every proof in the scope that the evidence gives."""
    window = scope.window
    known, number = evidence.cases, evidence.number
    feedback, sent = (_Column.of(rows, number) for rows in (evidence.feedbacks, evidence.deliveries))
    joined = _Joined.of(feedback, sent, window)
    if scope.level == VERIFIED_LEVEL:
        joined = joined.also(_Column.of(evidence.verifications, number), window)
    joined = joined.marked(np.fromiter((row.demo for row in known), bool, len(known)))
    placed = joined.narrowed(joined.case, *_located(evidence, scope))
    return placed.for_industries(scope, known, active).as_proofs(evidence)


def _located(evidence: Evidence, scope: Scope) -> tuple[Ints, Ints, Ints, Ints]:
    """(case, start, end, division) for every stretch of time that a case was located in the scope."""
    place = _placing(scope)
    moves = evidence.moves
    rows: list[tuple[int, int, int, int]] = []
    for index, case in enumerate(evidence.cases):
        if index not in moves:
            rows.append((index, 0, FOREVER, place(case._mapping)))
            continue
        start, codes = 0, dict(moves[index][0][1])
        for at, _, after in moves[index]:
            rows.append((index, start, at, place(codes)))
            start, codes = at, after
        rows.append((index, start, FOREVER, place(codes)))
    columns = np.array([row for row in rows if row[3] >= 0], np.int64).reshape(-1, 4)
    return columns[:, 0], columns[:, 1], columns[:, 2], columns[:, 3]


def _placing(scope: Scope) -> Callable[[Any], int]:
    """The scope's division for a case's codes by level, or -1; whatever has a division lies in the city."""
    position, level = scope.position, scope.level
    if level != "city":
        return lambda codes: position.get(codes[level] or "", -1)
    return lambda codes: 0 if position and any(codes[each] for each in PLACED) else -1


@dataclass(frozen=True)
class _Column:
    """One kind of evidence: of which case, when, whether of the demonstration."""

    case: Ints
    at: Ints
    demo: np.ndarray[Any, np.dtype[np.bool_]]

    @classmethod
    def of(cls, rows: Sequence[Row[Any]], number: Mapping[str, int]) -> _Column:
        size = len(rows)
        return cls(
            np.fromiter((number[row.case_id] for row in rows), np.int64, size),
            np.fromiter((row.at for row in rows), np.int64, size),
            np.fromiter((bool(row.demo) for row in rows), bool, size),
        )


@dataclass(frozen=True)
class _Joined:
    """Evidence of one case taken together: it holds from its last part until its first part leaves the window."""

    case: Ints
    start: Ints
    end: Ints
    demo: np.ndarray[Any, np.dtype[np.bool_]]
    feedback: Ints
    delivery: Ints
    verification: Ints
    place: Ints

    @classmethod
    def of(cls, feedback: _Column, delivery: _Column, window: int) -> _Joined:
        left, right = pairs(feedback.case, delivery.case)
        first, last = feedback.at[left], delivery.at[right]
        none = np.full(len(left), -1, np.int64)
        return cls(
            feedback.case[left], np.maximum(first, last), np.minimum(first, last) + window,
            feedback.demo[left] | delivery.demo[right], left, right, none, none,
        )._real()  # fmt: skip

    def also(self, verified: _Column, window: int) -> _Joined:
        left, right = pairs(self.case, verified.case)
        at = verified.at[right]
        return self._taken(
            left, np.maximum(self.start[left], at), np.minimum(self.end[left], at + window),
            demo=self.demo[left] | verified.demo[right], verification=right,
        )  # fmt: skip

    def marked(self, demo: np.ndarray[Any, np.dtype[np.bool_]]) -> _Joined:
        return self._taken(np.arange(len(self.case)), self.start, self.end, demo=self.demo | demo[self.case])

    def narrowed(self, by: Ints, key: Ints, start: Ints, end: Ints, place: Ints | None = None) -> _Joined:
        """Only while a row with this key holds as well; `place` is taken from there."""
        left, right = pairs(by, key)
        also = {} if place is None else {"place": place[right]}
        first, last = np.maximum(self.start[left], start[right]), np.minimum(self.end[left], end[right])
        return self._taken(left, first, last, **also)

    def for_industries(
        self, scope: Scope, known: Sequence[Row[Any]], active: Mapping[str, list[tuple[int, int]]]
    ) -> _Joined:
        """While the case's domain was active, for each industry that it covers; `place` becomes the unit."""
        codes = {code: index for index, code in enumerate(sorted({row.domain for row in known}))}
        domain_of = np.fromiter((codes[row.domain] for row in known), np.int64, len(known))
        working = self.narrowed(domain_of[self.case], *as_columns(active, codes))
        covering = [
            (codes[domain], number)
            for number, industry in enumerate(scope.city.registry.industries.values())
            for domain in industry.domains
            if domain in codes
        ]
        columns = np.array(covering, np.int64).reshape(-1, 2)
        left, right = pairs(domain_of[working.case], columns[:, 0])
        unit = working.place[left] * len(scope.industries) + columns[right, 1]
        return working._taken(left, working.start[left], working.end[left], place=unit)

    def as_proofs(self, evidence: Evidence) -> Proofs:
        return Proofs(
            self.place, self.start, self.end, self.demo, self.case, self.delivery, self.feedback, self.verification,
            evidence,
        )  # fmt: skip

    def _taken(self, rows: Ints, start: Ints, end: Ints, **changed: Any) -> _Joined:
        kept = {
            name: getattr(self, name)[rows]
            for name in ("case", "demo", "feedback", "delivery", "verification", "place")
            if name not in changed
        }
        return _Joined(start=start, end=end, **kept, **changed)._real()

    def _real(self) -> _Joined:
        real = self.start < self.end
        if real.all():
            return self
        return _Joined(**{name: getattr(self, name)[real] for name in self.__dataclass_fields__})


def newest(proofs: Proofs, at: int, demo: bool) -> dict[int, int]:
    """For each unit covered at that moment the proof that holds longest, among those of the demonstration or not."""
    held = np.flatnonzero((proofs.start <= at) & (at < proofs.end) & (proofs.demo == demo))
    order = held[np.argsort(proofs.end[held], kind="stable")]
    return {int(unit): int(index) for unit, index in zip(proofs.unit[order], order, strict=True)}
