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
from sqlalchemy import Connection, Row, Select, and_, false, func, or_, select

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
    since -= scope.city.file.coverage.window_days * 24 * 3600 * 1000
    told = completed_feedback(since, until)
    mine = told.with_only_columns(work_orders.c.case_id)
    known = _cases(tx, scope, mine)
    number = {row.id: index for index, row in enumerate(known)}

    def of_these(query: Select[Any]) -> Sequence[Row[Any]]:
        return [row for row in tx.execute(query).all() if row.case_id in number]

    return Evidence(
        known,
        number,
        _moves(tx, number),
        of_these(delivered_messages(since, until).where(deliveries.c.case_id.in_(mine))),
        of_these(told),
        of_these(passed_verifications(since, until).where(ledger.c.chain.in_(mine))) if verified else (),
    )


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
