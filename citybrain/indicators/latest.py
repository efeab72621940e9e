"""The latest evidence of each kind, by domain and place: kept by patrol, so that a question about the present reads
what decides and what came since, and not a month of the record. It has nothing that the record has not: it may be late
or lost, and is made again.

A kind that is several things together is as late as the earliest of them: so long it stays in the window.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, delete, func, or_, select, tuple_

from citybrain.indicators.days import DAY_MS
from citybrain.indicators.kinds import (
    AT_ONCE,
    COMPLETED,
    PLACED,
    VERIFIED_LEVEL,
    completed_feedback,
    completing,
    delivered_messages,
    opened_cases,
    passed_verifications,
    record_begins,
    relocations,
)
from citybrain.indicators.scope import Scope
from citybrain.store.bulk import insert_or_renew
from citybrain.store.coverage_tables import latest_evidence
from citybrain.store.database import Store
from citybrain.store.dispatch_tables import deliveries
from citybrain.store.ledger_tables import ledger
from citybrain.store.tables import cases, feedbacks, work_orders

SETTLED_MS = 5_000  # what was recorded longer ago is committed
LATE_MS = 15_000  # if it was not, it is found within so long; at every sweep within much longer
LATER_MS = 3_600_000
STALE_MS = 600_000  # then the record itself is read
SLICE_MS = 3_600_000  # of the record, taken at once
LOOKED_BACK_MS = 366 * DAY_MS
PATIENCE_SECONDS = 0.5


class Kind(StrEnum):
    THROUGH = "through"  # no evidence: until when it was looked for, and cases that were opened
    OPENED_THROUGH = "opened_through"
    OPENED = "opened"
    DELIVERED = "delivered"
    COMPLETED = "completed"
    PASSED = "passed"
    HANDLED = "handled"  # delivered and completed
    CHECKED = "checked"  # and passed


# How each is asked for.
ALONE: Mapping[Kind, Callable[..., Select[Any]]] = {
    Kind.OPENED: opened_cases,
    Kind.DELIVERED: delivered_messages,
    Kind.COMPLETED: completed_feedback,
    Kind.PASSED: passed_verifications,
}
TOGETHER = {
    Kind.HANDLED: (Kind.DELIVERED, Kind.COMPLETED),
    Kind.CHECKED: (Kind.DELIVERED, Kind.COMPLETED, Kind.PASSED),
}


class Where(NamedTuple):
    """The codes are empty where a case was not located so finely."""

    domain: str
    county: str
    town: str
    village: str


class What(NamedTuple):
    kind: Kind
    real: bool  # without the demonstration's
    where: Where


class Last(NamedTuple):
    at: int
    case_id: str


Found = dict[What, Last]
kept = latest_evidence.c
_PLACED = or_(*(cases.c[level].isnot(None) for level in PLACED))
_KEPT_WHERE = tuple_(*(kept[name] for name in Where._fields))


@dataclass(frozen=True)
class Latest:
    """What is kept, and the record since, up to a moment."""

    tx: Connection
    through: int
    until: int

    @classmethod
    def at(cls, tx: Connection, at: int, now: int) -> Latest | None:
        """Nothing where the record itself must be asked: about the past, or because nobody kept it for a while."""
        through = min(_through(tx, kind) or 0 for kind in (Kind.THROUGH, Kind.OPENED_THROUGH))
        return cls(tx, through, at) if through <= at and now - through <= STALE_MS else None

    @cached_property
    def _moved(self) -> set[str]:
        return _moved(self.tx, self.through - LATE_MS, self.until)

    @cached_property
    def _anew(self) -> set[str]:
        """The cases of which what is kept may not be true any more."""
        return self._moved | _cases_in(self.tx, _left(self.tx, self._moved))

    def deciding(self, scopes: Sequence[Scope], since: int) -> set[str]:
        """The cases whose evidence after `since` stays longest, of each domain and division of the scopes."""
        looked_at = self._anew | _touched(self.tx, self.through, self.until)
        new = {last.case_id for last in _together(self.tx, looked_at, self.until).values()}
        staying = (self.tx.execute(_staying(scope, since, self._moved)).scalars() for scope in scopes)
        return new.union(*staying)

    def last(self, scope: Scope, kind: Kind, since: int, real: bool) -> dict[tuple[str, str], int]:
        """When there was one after `since`, by division and domain."""
        place = [kept[scope.level]] if scope.level in PLACED else []
        within = [kept.kind == kind, kept.real.is_(real), *_within(scope, since, self._moved)]
        query = select(func.max(kept.at), kept.domain, *place).where(*within).group_by(kept.domain, *place)
        city, asked = scope.city.file.city.code, scope.asked
        found = {(row[2] if place else city, row[1]): row[0] for row in self.tx.execute(query)}
        new = _alone(self.tx, kind, max(since, self.through), self.until)
        for what, last in [*new.items(), *_alone(self.tx, kind, since, self.until, self._anew).items()]:
            codes = what.where._asdict()
            if what.real == real and (asked is None or codes[asked.level] == asked.code):
                key = codes[scope.level] if place else city, what.where.domain
                found[key] = max(last.at, found.get(key, 0))
        return found


def keep(store: Store, now: int, late: int = LATE_MS, patience: float = PATIENCE_SECONDS) -> bool:
    """Adds what was recorded since, and looks once more for what was committed `late`. Whether nothing is left: after a
    long pause it stops when `patience` is over, and the next call goes on."""
    with store.read() as tx:
        begun, through, opened = record_begins(tx), _through(tx, Kind.THROUGH), _through(tx, Kind.OPENED_THROUGH)
    until = now - SETTLED_MS
    begins = until if begun is None else max(begun - 1, until - LOOKED_BACK_MS)
    upto, opened_since = (begins if each is None else each - late for each in (through, opened))
    if upto >= until:
        return True
    found: Found = {}
    left: set[Where] = set()
    end = time.monotonic() + patience
    while upto < until:
        since, upto = upto, min(upto + SLICE_MS, until)
        begins_of = dict.fromkeys(ALONE, since) | {Kind.OPENED: opened_since}
        if upto < until:  # no index has when cases were opened, only which were touched since: that is asked once
            del begins_of[Kind.OPENED]
        with store.read() as tx:
            left |= _add_recorded(tx, begins_of, since, upto, found)
        if time.monotonic() > end:
            break
    return _write(store, through, upto, upto == until, found, left) and upto == until


def _add_recorded(tx: Connection, begins_of: Mapping[Kind, int], since: int, until: int, found: Found) -> set[Where]:
    """Adds what was found in a slice. Returns where what is kept must go before that is written."""
    moved = _moved(tx, since, until)
    left = _left(tx, moved)
    anew = moved | _cases_in(tx, left)
    parts = [_alone(tx, kind, begins, until) for kind, begins in begins_of.items()]
    parts += [_alone(tx, kind, until - LOOKED_BACK_MS, until, anew) for kind in ALONE if anew]
    parts.append(_together(tx, anew | _touched(tx, since, until), until))
    for part in parts:
        for what, last in part.items():
            _take(found, what, last)
    return left


def _write(store: Store, known: int | None, until: int, with_opened: bool, found: Found, left: set[Where]) -> bool:
    """Nothing, and false, if somebody else kept or emptied it meanwhile: `known` is until when it was kept."""
    nowhere = Where("", "", "", "")
    through = [Kind.THROUGH, Kind.OPENED_THROUGH] if with_opened else [Kind.THROUGH]
    told = found | {What(kind, True, nowhere): Last(until, "") for kind in through}
    rows = [
        {"kind": kind, "real": real, **where._asdict(), **last._asdict()} for (kind, real, where), last in told.items()
    ]
    with store.write() as tx:
        if _through(tx, Kind.THROUGH) != known:
            return False
        for part in _parts(left):
            tx.execute(delete(latest_evidence).where(_KEPT_WHERE.in_(part)))
        insert_or_renew(tx, latest_evidence, rows, by="at")
    return True


def _through(tx: Connection, kind: Kind) -> int | None:
    through: int | None = tx.execute(select(kept.at).where(kept.kind == kind)).scalar()
    return through


def _staying(scope: Scope, since: int, moved: Collection[str]) -> Select[Any]:
    place = [kept[scope.level]] if scope.level in PLACED else []
    rank = func.row_number().over(
        partition_by=[kept.real, kept.domain, *place], order_by=(kept.at.desc(), kept.case_id)
    )
    kind = Kind.CHECKED if scope.level == VERIFIED_LEVEL else Kind.HANDLED
    within = [kept.kind == kind, *_within(scope, since, moved)]
    ranked = select(kept.case_id, rank.label("rank")).where(*within).subquery()
    return select(ranked.c.case_id).where(ranked.c.rank == 1)


def _within(scope: Scope, since: int, moved: Collection[str]) -> Iterator[ColumnElement[bool]]:
    yield kept.at > since
    if moved:  # where a case was moved away from, another may be the latest now
        yield kept.case_id.not_in(moved)
    if scope.level in PLACED:
        yield kept[scope.level] != ""
    if scope.asked:
        yield kept[scope.asked.level] == scope.asked.code


def _moved(tx: Connection, since: int, until: int) -> set[str]:
    return set(tx.execute(relocations(since, until)).scalars())


def _left(tx: Connection, moved: set[str]) -> set[Where]:
    """Where cases were the latest that are elsewhere now."""
    elsewhere = or_(*(kept[level] != func.coalesce(cases.c[level], "") for level in PLACED))
    columns = [kept[name] for name in Where._fields]
    query = select(*columns).join(cases, cases.c.id == kept.case_id).where(elsewhere).distinct()
    return {Where(*row) for part in _parts(moved) for row in tx.execute(query.where(kept.case_id.in_(part)))}


def _cases_in(tx: Connection, places: set[Where]) -> set[str]:
    found: set[str] = set()
    for part in _parts(places):
        here = or_(*(_is_in(where) for where in part))
        found.update(tx.execute(select(cases.c.id).where(here)).scalars())
    return found


def _is_in(where: Where) -> ColumnElement[bool]:
    place = (cases.c[level] == (getattr(where, level) or None) for level in PLACED)
    return and_(cases.c.domain == where.domain, *place)


def _touched(tx: Connection, since: int, until: int) -> set[str]:
    """The cases with new evidence, if anything was completed in them."""
    reports = select(work_orders.c.id).join(feedbacks, feedbacks.c.work_order_id == work_orders.c.id)
    done = reports.where(COMPLETED, work_orders.c.case_id == deliveries.c.case_id).exists()
    queries = (
        completing(since, until),
        passed_verifications(since, until).with_only_columns(ledger.c.chain),
        delivered_messages(since, until).with_only_columns(deliveries.c.case_id).where(done),
    )
    return {id_ for query in queries for id_ in tx.execute(query.distinct()).scalars()}


def _alone(tx: Connection, kind: Kind, since: int, until: int, of: Collection[str] | None = None) -> Found:
    """The latest of one kind in that time; `of` these cases only."""
    found: Found = {}
    for part in [None] if of is None else _parts(of):
        told = ALONE[kind](since, until, part).subquery()
        for row in tx.execute(_latest_by_place(told, since, until)):
            for real in (False, True) if row.real else (False,):
                _take(found, What(kind, real, _where(row)), Last(row.at, row.id))
    return found


def _latest_by_place(told: Any, since: int, until: int) -> Select[Any]:
    """With and without what is of the demonstration: one row or two."""
    real = case((or_(told.c.demo.is_(True), cases.c.demo.is_(True)), False), else_=True)
    place = [cases.c.domain, *(cases.c[level] for level in PLACED)]
    rank = func.row_number().over(partition_by=[*place, real], order_by=(told.c.at.desc(), cases.c.id)).label("rank")
    within = (_PLACED, told.c.at > since, told.c.at <= until)
    joined = select(cases.c.id, told.c.at, *place, real.label("real"), rank)
    ranked = joined.join(told, told.c.case_id == cases.c.id).where(*within).subquery()
    return select(ranked).where(ranked.c.rank == 1)


def _together(tx: Connection, of: Collection[str], until: int) -> Found:
    """Of these cases' kinds that are several things together, the latest of each place."""
    found: Found = {}
    columns = (cases.c.id, cases.c.demo, cases.c.domain, *(cases.c[level] for level in PLACED))
    for part in _parts(of):
        rows = tx.execute(select(*columns).where(cases.c.id.in_(part), _PLACED)).all()
        ends = {kind: _ends(tx, kind, part, until) for kind in TOGETHER[Kind.CHECKED]}
        for row in rows:
            for kind, needed in TOGETHER.items():
                for place, real in enumerate((False, True)):
                    each = [ends[one].get(row.id, (None, None))[place] for one in needed]
                    if all(each) and not (real and row.demo):
                        _take(found, What(kind, real, _where(row)), Last(min(each), row.id))
    return found


def _ends(tx: Connection, kind: Kind, of: Sequence[str], until: int) -> dict[str, tuple[Any, Any]]:
    """By case the latest of all, and of those that are not of the demonstration."""
    told = ALONE[kind](0, until, of).subquery()
    real = func.max(case((told.c.demo.is_(True), None), else_=told.c.at))
    query = select(told.c.case_id, func.max(told.c.at), real).where(told.c.at <= until).group_by(told.c.case_id)
    return {row[0]: (row[1], row[2]) for row in tx.execute(query)}


def _take(found: Found, what: What, last: Last) -> None:
    if what not in found or found[what].at < last.at:
        found[what] = last


def _where(row: Row[Any]) -> Where:
    return Where(row.domain, row.county or "", row.town or "", row.village or "")


def _parts(of: Collection[Any]) -> list[list[Any]]:
    rows = sorted(of)
    return [rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE)]
