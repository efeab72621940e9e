"""Earned coverage: what the record proves. A proof is one case with a delivered message and a report of completion, for
a village also a verification passed by a worker; it holds while all of them lie in the window.

The record is read as it was at each moment: attempts, not deliveries, since a replay sets a delivery back; a case
counts where it was located then, not where it was moved to later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from sqlalchemy import Connection, Row, Select, and_, false, func, or_, select

from citybrain.indicators.activity import as_columns
from citybrain.indicators.scope import Scope
from citybrain.indicators.spans import FOREVER, Ints, Spans, pairs
from citybrain.keys import Role
from citybrain.store.tables import (
    MILESTONES,
    attempts,
    cases,
    deliveries,
    endpoints,
    feedbacks,
    keys,
    ledger,
    work_orders,
)

PLACED = ("county", "town", "village")
VERIFIED_LEVEL = "village"

LONGEST_ATTEMPT_MS = 60_000  # the index has when an attempt began, evidence is when it was answered
ANSWERED_AT = attempts.c.at + attempts.c.duration_ms
DELIVERED = and_(attempts.c.status >= 200, attempts.c.status < 300)
COMPLETED = and_(feedbacks.c.status == "completed", feedbacks.c.effect.is_(True))
PASSED = and_(MILESTONES, ledger.c.action == "verified", ledger.c.data.contains('"passed":true'))


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
    cases: Sequence[Row[Any]]
    deliveries: Sequence[Row[Any]]
    feedbacks: Sequence[Row[Any]]
    verifications: Sequence[Row[Any]]

    def spans(self, include_demo: bool) -> Spans:
        real = np.ones(len(self.unit), bool) if include_demo else ~self.demo
        return Spans(self.unit, self.start, self.end).only(real)


def completed_feedback(since: int, until: int) -> Select[Any]:
    """Reports of completion that moved their order; one that came too late proves nothing."""
    actor = keys.alias("actor")
    columns = (feedbacks.c.work_order_id, feedbacks.c.feedback_id, feedbacks.c.actor)
    return (
        select(work_orders.c.case_id, feedbacks.c.received_at.label("at"), _demo(actor), *columns)
        .join(work_orders, work_orders.c.id == feedbacks.c.work_order_id)
        .join(actor, actor.c.name == feedbacks.c.actor, isouter=True)
        .where(COMPLETED, feedbacks.c.received_at > since, feedbacks.c.received_at <= until)
    )


def delivered_messages(since: int, until: int) -> Select[Any]:
    """Every attempt that the endpoint answered with success, of a message about a case."""
    columns = (deliveries.c.id, endpoints.c.name.label("endpoint"))
    return (
        select(deliveries.c.case_id, ANSWERED_AT.label("at"), endpoints.c.demo, *columns)
        .select_from(attempts)
        .join(deliveries, deliveries.c.id == attempts.c.delivery_id)
        .join(endpoints, endpoints.c.id == deliveries.c.endpoint_id, isouter=True)
        .where(DELIVERED, attempts.c.at > since - LONGEST_ATTEMPT_MS, attempts.c.at <= until)
        .where(deliveries.c.case_id.isnot(None))
    )


def passed_verifications(since: int, until: int) -> Select[Any]:
    return (
        select(ledger.c.chain.label("case_id"), ledger.c.at, keys.c.demo, ledger.c.actor)
        .join(keys, and_(keys.c.name == ledger.c.actor, keys.c.role == Role.WORKER))
        .where(PASSED, ledger.c.at > since, ledger.c.at <= until)
    )


def read_proofs(
    tx: Connection, scope: Scope, active: Mapping[str, list[tuple[int, int]]], since: int, until: int
) -> Proofs:
    """Every proof in the scope that holds at some moment from `since` to `until`."""
    window = scope.city.file.coverage.window_days * 24 * 3600 * 1000
    since -= window
    told = completed_feedback(since, until)
    mine = told.with_only_columns(work_orders.c.case_id)

    def of_these(query: Select[Any], case_id: Any) -> Sequence[Row[Any]]:
        return tx.execute(query.where(case_id.in_(mine))).all()

    known = _cases(tx, scope, mine)
    number = {row.id: index for index, row in enumerate(known)}
    feedback = [row for row in tx.execute(told).all() if row.case_id in number]
    sent = [row for row in of_these(delivered_messages(since, until), deliveries.c.case_id) if row.case_id in number]
    passed: Sequence[Row[Any]] = ()
    if scope.level == VERIFIED_LEVEL:
        passed = [row for row in of_these(passed_verifications(since, until), ledger.c.chain) if row.case_id in number]
    joined = _Joined.of(_Column.of(feedback, number), _Column.of(sent, number), window)
    if scope.level == VERIFIED_LEVEL:
        joined = joined.also(_Column.of(passed, number), window)
    joined = joined.marked(np.fromiter((row.demo for row in known), bool, len(known)))
    placed = joined.narrowed(joined.case, *_located(tx, scope, known, number))
    return placed.for_industries(scope, known, active).as_proofs(known, sent, feedback, passed)


def _demo(key: Any) -> Any:
    return func.coalesce(key.c.demo, false()).label("demo")


def _cases(tx: Connection, scope: Scope, mine: Select[Any]) -> Sequence[Row[Any]]:
    """The cases that completed something; of one division only those that are or once were there."""
    columns = (cases.c.id, cases.c.number, cases.c.domain, cases.c.demo, *(cases.c[level] for level in PLACED))
    query = select(*columns).where(cases.c.id.in_(mine))
    if scope.division and scope.division.level in PLACED:
        moved = select(ledger.c.chain).where(MILESTONES, ledger.c.action == "relocated")
        query = query.where(or_(cases.c[scope.division.level] == scope.division.code, cases.c.id.in_(moved)))
    return tx.execute(query).all()


def _located(
    tx: Connection, scope: Scope, known: Sequence[Row[Any]], number: Mapping[str, int]
) -> tuple[Ints, Ints, Ints, Ints]:
    """(case, start, end, division) for every stretch of time that a case was located in the scope."""
    place = _placing(scope)
    moves: dict[int, list[tuple[int, dict[str, Any], dict[str, Any]]]] = {}
    moved = select(ledger.c.chain, ledger.c.at, ledger.c.data).where(MILESTONES, ledger.c.action == "relocated")
    for row in tx.execute(moved.order_by(ledger.c.at, ledger.c.seq)):
        if row.chain in number:
            data = orjson.loads(row.data)
            after = {level: (data["place"].get(level) or {}).get("code") for level in PLACED}
            moves.setdefault(number[row.chain], []).append((row.at, data["before"], after))
    rows: list[tuple[int, int, int, int]] = []
    for index, case in enumerate(known):
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

    def as_proofs(self, known: Any, sent: Any, feedback: Any, passed: Any) -> Proofs:
        return Proofs(
            self.place, self.start, self.end, self.demo, self.case, self.delivery, self.feedback, self.verification,
            known, sent, feedback, passed,
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


def record_begins(tx: Connection) -> int | None:
    """When the record's first entry was made, None while there is none."""
    first = select(func.min(ledger.c.at)).where(ledger.c.chain == "city", ledger.c.seq == 1)
    opened = select(cases.c.opened_at).order_by(cases.c.id).limit(1)
    found = [at for at in (tx.execute(first).scalar(), tx.execute(opened).scalar()) if at is not None]
    return min(found, default=None)
