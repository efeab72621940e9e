"""What the city's rules of retention erase, and when: of cases that ended and were left alone for so many days. Patrol
applies them a few steps at a time; each step is one transaction with its entry in the ledger, which has numbers and
never content. Events, cases, orders and the ledger itself stay.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from typing import Any

from sqlalchemy import Connection, and_, delete, exists, func, literal, or_, select, tuple_, update
from sqlalchemy.sql import ColumnElement

from citybrain.casework.case import Status
from citybrain.city import City
from citybrain.clock import rfc3339
from citybrain.keys import end_sessions
from citybrain.store.attachment_tables import attachments, blobs
from citybrain.store.database import Store
from citybrain.store.dispatch_tables import FAILED, attempts, deliveries
from citybrain.store.ledger import Entry, append_to_city
from citybrain.store.stream import forget_before
from citybrain.store.tables import cases, events, reporters, retention
from citybrain.store.upsert import insert_or

DAY_MS = 86_400_000
CASES_A_STEP = 200
STEPS = 10  # of each rule in one sweep: two thousand cases every ten minutes
ENDED = (Status.CLOSED, Status.VOID)


def apply(store: Store, city: City, now: int, steps: int = STEPS, at_once: int = CASES_A_STEP) -> None:
    rules = city.file.retention
    with store.write() as tx:
        forget_before(tx, now - rules.stream_days * DAY_MS)
        end_sessions(tx, now)
    for rule, erase in ERASERS.items():
        days = getattr(rules, f"{rule}_days")
        for _ in range(steps if days else 0):
            with store.write() as tx:
                if not _step(tx, rule, erase, now - days * DAY_MS, now, at_once):
                    break


def _step(tx: Connection, rule: str, erase: "Eraser", until: int, now: int, at_once: int) -> bool:
    """Whether there is more. A case that is touched again comes up again, at its new time."""
    passed = tx.execute(select(retention).where(retention.c.rule == rule)).first()
    order = tuple_(cases.c.updated_at, cases.c.id)
    query = select(cases.c.id, cases.c.updated_at, cases.c.status).where(cases.c.updated_at <= until)
    if passed:
        query = query.where(cases.c.updated_at >= passed.updated_at, order > tuple_(passed.updated_at, passed.case_id))
    found = tx.execute(query.order_by(cases.c.updated_at, cases.c.id).limit(at_once)).all()
    if not found:
        return False
    ended = [row.id for row in found if row.status in ENDED]
    if ended and (number := erase(tx, ended, until)):
        told = {"what": rule, "number": number, "until": rfc3339(until, UTC)}
        append_to_city(tx, Entry("retention.erased", "patrol", told), now)
    _pass(tx, rule, found[-1])
    return len(found) == at_once


def _pass(tx: Connection, rule: str, last: Any) -> None:
    place = {"updated_at": last.updated_at, "case_id": last.id}
    new = insert_or(tx.dialect, retention).values(rule=rule, **place)
    tx.execute(new.on_conflict_do_update(index_elements=[retention.c.rule], set_=place))


def _of(ended: Sequence[str]) -> ColumnElement[bool]:
    return events.c.case_id.in_(ended)


def _reporters(tx: Connection, ended: Sequence[str], _until: int) -> int:
    mine = reporters.c.event_id.in_(select(events.c.id).where(_of(ended)))
    return tx.execute(delete(reporters).where(mine)).rowcount


def _messages(tx: Connection, ended: Sequence[str], _until: int) -> int:
    mine = deliveries.c.case_id.in_(ended) & (deliveries.c.status == "delivered") & (deliveries.c.body != "")
    return tx.execute(update(deliveries).where(mine).values(body="")).rowcount


def _failed_attempts(tx: Connection, ended: Sequence[str], _until: int) -> int:
    mine = attempts.c.delivery_id.in_(select(deliveries.c.id).where(deliveries.c.case_id.in_(ended)))
    return tx.execute(delete(attempts).where(FAILED, mine)).rowcount


def _photos(tx: Connection, ended: Sequence[str], until: int) -> int:
    """Of a photo that was added to several cases the content goes with the last of them."""
    mine = or_(attachments.c.case_id.in_(ended), attachments.c.event_id.in_(select(events.c.id).where(_of(ended))))
    contents = tx.execute(select(attachments.c.sha256).where(mine).distinct()).scalars().all()
    other = attachments.alias()
    of_event = select(events.c.case_id).where(events.c.id == other.c.event_id).scalar_subquery()
    whose = func.coalesce(of_event, other.c.case_id)
    over = and_(cases.c.status.in_(ENDED), cases.c.updated_at <= until)
    needed = exists(
        select(literal(1))
        .select_from(other.outerjoin(cases, cases.c.id == whose))
        .where(other.c.sha256 == blobs.c.sha256, ~func.coalesce(over, False))
    )
    gone = blobs.c.sha256.in_(contents) & (func.length(blobs.c.content) > 0) & ~needed
    return tx.execute(update(blobs).where(gone).values(content=b"", thumbnail=b"")).rowcount


Eraser = Callable[[Connection, Sequence[str], int], int]
ERASERS: Mapping[str, Eraser] = {
    "reporters": _reporters,
    "photos": _photos,
    "messages": _messages,
    "failed_attempts": _failed_attempts,
}
