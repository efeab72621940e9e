"""The kinds of evidence that the record has of a case, each as a query: (case_id, at, demo, …) for every moment of it.

The record is read as it was at each moment: attempts, not deliveries, since a replay sets a delivery back.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, TextClause, and_, false, func, select, true

from citybrain.keys import Role
from citybrain.store.dispatch_tables import attempts, deliveries, endpoints
from citybrain.store.ledger_tables import MILESTONES, ledger
from citybrain.store.tables import cases, feedbacks, keys, work_orders

PLACED = ("county", "town", "village")
VERIFIED_LEVEL = "village"

AT_ONCE = 500  # cases whose evidence one statement reads
LONGEST_ATTEMPT_MS = 60_000  # the index has when an attempt began, evidence is when it was answered
ANSWERED_AT = attempts.c.at + attempts.c.duration_ms
DELIVERED = and_(attempts.c.status >= 200, attempts.c.status < 300)
COMPLETED = and_(feedbacks.c.status == "completed", feedbacks.c.effect.is_(True))
PASSED = and_(ledger.c.action == "verified", ledger.c.data.contains('"passed":true'))
MOVED = select(ledger.c.chain).where(MILESTONES, ledger.c.action == "relocated")

Of = Sequence[str] | Select[Any]  # which cases: their ids, or those of a query


def opened_cases(since: int, until: int, of: Of | None = None) -> Select[Any]:
    columns = (cases.c.id.label("case_id"), cases.c.opened_at.label("at"), false().label("demo"))
    mine = cases.c.updated_at > since if of is None else cases.c.id.in_(of)  # which an index has
    return select(*columns).where(mine, cases.c.opened_at > since, cases.c.opened_at <= until)


def completed_feedback(since: int, until: int, of: Of | None = None) -> Select[Any]:
    """Reports of completion that moved their order; one that came too late proves nothing."""
    actor = keys.alias("actor")
    columns = (feedbacks.c.work_order_id, feedbacks.c.feedback_id, feedbacks.c.actor)
    demo = func.coalesce(actor.c.demo, false()).label("demo")
    return (
        select(work_orders.c.case_id, feedbacks.c.received_at.label("at"), demo, *columns)
        .join(work_orders, work_orders.c.id == feedbacks.c.work_order_id)
        .join(actor, actor.c.name == feedbacks.c.actor, isouter=True)
        .where(COMPLETED, *_asked(feedbacks.c.received_at, since, until, work_orders.c.case_id, of))
    )


def completing(since: int, until: int) -> Select[Any]:
    """The cases that they are of."""
    return completed_feedback(since, until).with_only_columns(work_orders.c.case_id)


def delivered_messages(since: int, until: int, of: Of | None = None) -> Select[Any]:
    """Every attempt that the endpoint answered with success, of a message about a case; also some that were answered a
    little earlier or later."""
    columns = (deliveries.c.id, endpoints.c.name.label("endpoint"))
    return (
        select(deliveries.c.case_id, ANSWERED_AT.label("at"), endpoints.c.demo, *columns)
        .select_from(attempts)
        .join(deliveries, deliveries.c.id == attempts.c.delivery_id)
        .join(endpoints, endpoints.c.id == deliveries.c.endpoint_id, isouter=True)
        .where(DELIVERED, *_asked(attempts.c.at, since - LONGEST_ATTEMPT_MS, until, deliveries.c.case_id, of))
        .where(deliveries.c.case_id.isnot(None))
    )


def passed_verifications(since: int, until: int, of: Of | None = None) -> Select[Any]:
    return (
        select(ledger.c.chain.label("case_id"), ledger.c.at, keys.c.demo, ledger.c.actor)
        .join(keys, and_(keys.c.name == ledger.c.actor, keys.c.role == Role.WORKER))
        .where(PASSED, _milestones(of), *_asked(ledger.c.at, since, until, ledger.c.chain, of))
    )


def relocations_of(of: Of) -> Select[Any]:
    """The relocations of these cases, in order."""
    moved = select(ledger.c.chain, ledger.c.at, ledger.c.data).where(ledger.c.action == "relocated", _milestones(of))
    return moved.where(ledger.c.chain.in_(of)).order_by(ledger.c.at, ledger.c.seq)


def _asked(at: Any, since: int, until: int, case_id: Any, of: Of | None) -> Iterator[ColumnElement[bool]]:
    """Cases by their ids are looked up, however many rows a planner thinks they have: no index of times has a sum."""
    moment = at + 0 if _by_id(of) else at
    yield moment > since
    yield moment <= until
    if of is not None:
        yield case_id.in_(of)


def _milestones(of: Of | None) -> ColumnElement[bool] | TextClause:
    """Without this condition the index of milestones is none to a planner."""
    return true() if _by_id(of) else MILESTONES


def _by_id(of: Of | None) -> bool:
    return of is not None and not isinstance(of, Select)


def relocations(since: int, until: int) -> Select[Any]:
    """The cases that were moved then."""
    return MOVED.where(ledger.c.at > since, ledger.c.at <= until)


def record_begins(tx: Connection) -> int | None:
    """When the record's first entry was made, None while there is none."""
    first = select(func.min(ledger.c.at)).where(ledger.c.chain == "city", ledger.c.seq == 1)
    opened = select(cases.c.opened_at).order_by(cases.c.id).limit(1)
    found = [at for at in (tx.execute(first).scalar(), tx.execute(opened).scalar()) if at is not None]
    return min(found, default=None)
