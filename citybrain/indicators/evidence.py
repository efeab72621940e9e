"""Earned coverage, the evidence: delivered messages, reports of completion, verifications, and where their cases were.
`proofs` joins them.

The record is read as it was at each moment: attempts, not deliveries, since a replay sets a delivery back; a case
counts where it was located then, not where it was moved to later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, Row, Select, and_, case, false, func, or_, select

from citybrain.indicators.scope import Scope
from citybrain.keys import Role
from citybrain.store.dispatch_tables import attempts, deliveries, endpoints
from citybrain.store.ledger_tables import MILESTONES, ledger
from citybrain.store.tables import cases, feedbacks, keys, work_orders

PLACED = ("county", "town", "village")
VERIFIED_LEVEL = "village"

LONGEST_ATTEMPT_MS = 60_000  # the index has when an attempt began, evidence is when it was answered
ANSWERED_AT = attempts.c.at + attempts.c.duration_ms
DELIVERED = and_(attempts.c.status >= 200, attempts.c.status < 300)
COMPLETED = and_(feedbacks.c.status == "completed", feedbacks.c.effect.is_(True))
PASSED = and_(MILESTONES, ledger.c.action == "verified", ledger.c.data.contains('"passed":true'))


_MOVED = select(ledger.c.chain).where(MILESTONES, ledger.c.action == "relocated")
AT_ONCE = 5_000  # cases whose evidence one statement reads


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


@dataclass(frozen=True)
class Evidence:
    """What the record has about the cases that completed something; read once, it proves for every level."""

    cases: Sequence[Row[Any]]
    number: Mapping[str, int]  # of each case
    moves: Mapping[int, list[tuple[int, dict[str, Any], dict[str, Any]]]]  # by case: when, from where, to where
    deliveries: Sequence[Row[Any]]
    feedbacks: Sequence[Row[Any]]
    verifications: Sequence[Row[Any]]


def read_evidence(tx: Connection, scope: Scope, since: int, until: int, verified: bool = True) -> Evidence:
    """Of the cases that are or were in the scope's division, all that counts at some moment from `since` to `until`;
    `verified`: with what only villages need."""
    since -= _window(scope)
    return _read(tx, scope, since, until, [_completing(since, until)], verified)


def evidence_at(tx: Connection, scope: Scope, at: int) -> Evidence:
    """What decides at one moment: for each domain and division the case whose evidence holds longest, with and without
    that of the demonstration, and whatever was moved. The rest, most of a month's record, would change nothing."""
    since, verified = at - _window(scope), scope.level == VERIFIED_LEVEL
    moved = [row.case_id for row in tx.execute(_completing(since, at).where(work_orders.c.case_id.in_(_MOVED)))]
    chosen = sorted({*moved, *tx.execute(_longest(scope, since, at, verified)).scalars()})
    parts = [chosen[start : start + AT_ONCE] for start in range(0, len(chosen), AT_ONCE)]
    return _read(tx, scope, since, at, parts, verified)


def _read(tx: Connection, scope: Scope, since: int, until: int, mine: Sequence[Any], verified: bool) -> Evidence:
    """The evidence of the cases whose ids the parts of `mine` have."""

    def rows(query: Select[Any], id_: Any) -> list[Row[Any]]:
        return [row for part in mine for row in tx.execute(query.where(id_.in_(part)))]

    known = rows(_cases(scope), cases.c.id)
    number = {row.id: index for index, row in enumerate(known)}

    def of_these(query: Select[Any], id_: Any) -> Sequence[Row[Any]]:
        return [row for row in rows(query, id_) if row.case_id in number]

    return Evidence(
        known,
        number,
        _moves(tx, number),
        of_these(delivered_messages(since, until), deliveries.c.case_id),
        of_these(completed_feedback(since, until), work_orders.c.case_id),
        of_these(passed_verifications(since, until), ledger.c.chain) if verified else (),
    )


def _longest(scope: Scope, since: int, at: int, verified: bool) -> Select[Any]:
    """Ids of the cases whose evidence leaves the window last, of each domain and division of the scope's level. The
    latest of each kind decides, since all of it is there already; moved cases are left out."""
    kinds = [completed_feedback(since, at), delivered_messages(since, at)]
    kinds += [passed_verifications(since, at)] if verified else []
    latest = [_latest(kind, since, at) for kind in kinds]
    chosen = cases.join(latest[0], latest[0].c.case_id == cases.c.id)
    for each in latest[1:]:
        chosen = chosen.join(each, each.c.case_id == cases.c.id)
    place = [cases.c[scope.level]] if scope.level in PLACED else []
    located = or_(*(column.isnot(None) for column in place or [cases.c[level] for level in PLACED]))
    within = [~_MOVED.where(ledger.c.chain == cases.c.id).exists(), located]
    if scope.division and scope.division.level in PLACED:
        within.append(cases.c[scope.division.level] == scope.division.code)
    ranks = []
    for name in ("at", "real_at"):
        ends = _earliest([each.c[name] for each in latest])
        holds = case((cases.c.demo.is_(True), None), else_=ends) if name == "real_at" else ends
        order = (holds.is_(None), holds.desc(), cases.c.id)
        ranks.append(func.row_number().over(partition_by=[cases.c.domain, *place], order_by=order).label(name))
    ranked = select(cases.c.id, *ranks).select_from(chosen).where(*within).subquery()
    return select(ranked.c.id).where(or_(ranked.c.at == 1, ranked.c.real_at == 1))


def _latest(kind: Select[Any], since: int, at: int) -> Any:
    """By case; of messages also those are asked for that were answered a little earlier or later."""
    told = kind.subquery()
    real = func.max(case((told.c.demo.is_(True), None), else_=told.c.at))
    return (
        select(told.c.case_id, func.max(told.c.at).label("at"), real.label("real_at"))
        .where(told.c.at > since, told.c.at <= at)
        .group_by(told.c.case_id)
        .subquery()
    )


def _earliest(moments: Sequence[Any]) -> Any:
    """Of two or three; nothing where one of them is not there."""
    first = moments[0]
    for other in moments[1:]:
        first = case((first <= other, first), (first > other, other))
    return first


def _completing(since: int, until: int) -> Select[Any]:
    return completed_feedback(since, until).with_only_columns(work_orders.c.case_id)


def _window(scope: Scope) -> int:
    return scope.city.file.coverage.window_days * 24 * 3600 * 1000


def _demo(key: Any) -> Any:
    return func.coalesce(key.c.demo, false()).label("demo")


def _cases(scope: Scope) -> Select[Any]:
    """Of one division only those that are or once were there."""
    columns = (cases.c.id, cases.c.number, cases.c.domain, cases.c.demo, *(cases.c[level] for level in PLACED))
    query = select(*columns)
    if scope.division and scope.division.level in PLACED:
        query = query.where(or_(cases.c[scope.division.level] == scope.division.code, cases.c.id.in_(_MOVED)))
    return query


def _moves(tx: Connection, number: Mapping[str, int]) -> dict[int, list[tuple[int, dict[str, Any], dict[str, Any]]]]:
    moves: dict[int, list[tuple[int, dict[str, Any], dict[str, Any]]]] = {}
    moved = select(ledger.c.chain, ledger.c.at, ledger.c.data).where(MILESTONES, ledger.c.action == "relocated")
    for row in tx.execute(moved.order_by(ledger.c.at, ledger.c.seq)):
        if row.chain in number:
            data = orjson.loads(row.data)
            after = {level: (data["place"].get(level) or {}).get("code") for level in PLACED}
            moves.setdefault(number[row.chain], []).append((row.at, data["before"], after))
    return moves


def record_begins(tx: Connection) -> int | None:
    """When the record's first entry was made, None while there is none."""
    first = select(func.min(ledger.c.at)).where(ledger.c.chain == "city", ledger.c.seq == 1)
    opened = select(cases.c.opened_at).order_by(cases.c.id).limit(1)
    found = [at for at in (tx.execute(first).scalar(), tx.execute(opened).scalar()) if at is not None]
    return min(found, default=None)
