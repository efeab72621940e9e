"""A delivery 推送 between claim and outcome: which are due, and what an attempt's outcome makes of them."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, exists, func, literal_column, select, update

from citybrain.dispatch.outbox import DISABLED, hold, hold_back
from citybrain.dispatch.sender import Outcome, Outgoing, backoff
from citybrain.dispatch.unmasking import Persons, persons_in, unmasked
from citybrain.store import claims
from citybrain.store.bulk import insert_rows
from citybrain.store.claims import Waiting
from citybrain.store.database import now_ms
from citybrain.store.dispatch_tables import STILL_PENDING, UNSENT, attempts, deliveries, endpoints
from citybrain.store.ids import new_id
from citybrain.store.ledger import Entry, append_to_city
from citybrain.store.locks import Lock, take

LEASE_MS = 25_000  # longer than the longest attempt, 15 s
# Written out, since a planner does not use a partial index for values that it does not see.
PENDING = deliveries.c.status == literal_column("'pending'")
WAITING: tuple[ColumnElement[str], ...] = (literal_column("'pending'"), literal_column("'held'"))


@dataclass(frozen=True, slots=True)
class Attempt:
    """A claimed delivery and how its attempt ended. `at` is when it began, in ms."""

    delivery: Any  # a row, or a `pouch.Claim`
    outcome: Outcome
    at: int


def _ready() -> ColumnElement[bool]:
    """Pending, and nothing but its time keeps it back: its endpoint is enabled, and nothing earlier of the same case
    still waits for the same endpoint."""
    # Asked of each that is due: a set of endpoints would tempt SQLite to go through all that they ever got.
    enabled = exists(
        select(endpoints.c.id).where(endpoints.c.id == deliveries.c.endpoint_id, endpoints.c.enabled.is_(True))
    )
    earlier = deliveries.alias("earlier")
    before = select(earlier.c.id).where(
        earlier.c.case_id == deliveries.c.case_id,
        earlier.c.endpoint_id == deliveries.c.endpoint_id,
        earlier.c.case_order < deliveries.c.case_order,
        earlier.c.status.in_(WAITING),
    )
    return PENDING & enabled & ~exists(before)


_GRAVEST_FIRST = (deliveries.c.grade, deliveries.c.due_at)
_BUSY = deliveries.c.endpoint_id.in_(bindparam("busy", expanding=True))
_READY = Waiting(deliveries, _ready(), _GRAVEST_FIRST)
_READY_ELSEWHERE = Waiting(deliveries, _ready() & ~_BUSY, _GRAVEST_FIRST)
_ADDRESSED = select(endpoints).where(endpoints.c.id.in_(bindparam("ids", expanding=True)))
_NOW = select(now_ms())


def claim_due(tx: Connection, busy: Collection[str], limit: int) -> list[tuple[Row[Any], Outgoing]]:
    """Claims what is due now and may go, the gravest first, but nothing for `busy` endpoints."""
    without = {"busy": sorted(busy)} if busy else {}
    rows = (_READY_ELSEWHERE if busy else _READY).claim(tx, limit, LEASE_MS, **without)
    if not rows:
        return []
    wanted = {row.endpoint_id for row in rows}
    known = {row.id: row for row in tx.execute(_ADDRESSED, {"ids": sorted(wanted)}).all()}
    now: int = tx.execute(_NOW).scalar_one()
    persons = persons_in(tx, (row.body for row in rows if known[row.endpoint_id].unmasked))
    return [(row, _outgoing(row, known[row.endpoint_id], persons, now)) for row in rows]


def give_back(tx: Connection, rows: Sequence[Row[Any]]) -> None:
    """What was claimed and not sent: as it was before."""
    claims.give_back(tx, deliveries, rows)


def anything_due(tx: Connection) -> bool:
    return _READY.any(tx)


# Their health too, as it was before the attempts.
_LOCKED = (
    select(endpoints.c.id, endpoints.c.failures, endpoints.c.succeeded_at)
    .where(endpoints.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(endpoints.c.id)
    .with_for_update(key_share=True)
)
_SUCCEEDED = update(endpoints).where(endpoints.c.id == bindparam("of")).values(failures=0, succeeded_at=bindparam("at"))


def settle(tx: Connection, ended: Sequence[Attempt], now: int, rng: random.Random) -> None:
    """Records the attempts and moves each delivery on. Raises ClaimLost when one was claimed again meanwhile."""
    late = [each.delivery for each in ended if each.outcome.kind == "late"]
    ended = [each for each in ended if each.outcome.kind != "late"]
    if any(each.outcome.kind == "gone" for each in ended):
        take(tx, Lock.ENDPOINTS)
    touched = sorted({each.delivery.endpoint_id for each in ended})
    before = {row.id: row for row in tx.execute(_LOCKED, {"ids": touched})}
    give_back(tx, late)
    if not ended:
        return
    moved = [_moved(attempt, now, rng) for attempt in ended]
    claims.complete(tx, deliveries, moved)
    rows = [
        {
            "id": new_id(),
            "delivery_id": each.delivery.id,
            "at": each.at,
            "duration_ms": round(each.outcome.duration_ms),
            "status": each.outcome.status,
            "error": each.outcome.error,
        }
        for each in ended
    ]
    insert_rows(tx, attempts, rows)
    for endpoint_id in touched:
        mine = [each for each in ended if each.delivery.endpoint_id == endpoint_id]
        if any(each.outcome.kind == "delivered" for each in mine):
            _praise(tx, before[endpoint_id], now)
        else:
            _blame(tx, endpoint_id, mine, now)
    hold_back(tx, [each["id"] for each in moved if each["status"] == "pending"])


def secrets_of(endpoint: Row[Any], now: int) -> list[str]:
    """The present one first, then the old ones that still sign."""
    return [each["secret"] for each in endpoint.secrets if each["until"] is None or each["until"] > now]


def _outgoing(row: Row[Any], endpoint: Row[Any], persons: Persons, now: int) -> Outgoing:
    body = unmasked(row.body, persons) if endpoint.unmasked else row.body.encode()
    return Outgoing(row.id, endpoint.url, secrets_of(endpoint, now), body)


def _moved(attempt: Attempt, now: int, rng: random.Random) -> dict[str, Any]:
    row, outcome = attempt.delivery, attempt.outcome
    moved: dict[str, Any] = {"id": row.id, "fence": row.fence, "status": "pending", "due_at": now}
    moved |= {"delivered_at": None, "held_because": None}
    if outcome.kind == "delivered":
        return moved | {"status": "delivered", "delivered_at": now}
    wait = backoff(row.tries, row.grade, rng)
    if wait is None:
        return moved | {"status": "failed"}
    return moved | {"due_at": now + int(1000 * max(wait, outcome.retry_after or 0))}


def _praise(tx: Connection, endpoint: Row[Any, Any, Any], now: int) -> None:
    """One that answered is well, whatever else failed beside."""
    tx.execute(_SUCCEEDED, {"of": endpoint.id, "at": now})
    if endpoint.failures:
        _recovered(tx, endpoint.id, endpoint.succeeded_at or 0, now)


def _blame(tx: Connection, endpoint_id: str, failed: Sequence[Attempt], now: int) -> None:
    mine = endpoints.c.id == endpoint_id
    error = failed[-1].outcome.error
    failures = endpoints.c.failures + len(failed)
    tx.execute(update(endpoints).where(mine).values(failures=failures, failed_at=now, last_error=error))
    if any(each.outcome.kind == "gone" for each in failed):
        enabled = tx.execute(
            update(endpoints).where(mine, endpoints.c.enabled.is_(True)).values(enabled=False, disabled_because="gone")
        )
        if enabled.rowcount:
            hold(tx, endpoint_id)
            append_to_city(tx, Entry("endpoint.disabled", "dispatch", {"endpoint": endpoint_id, "reason": "410"}), now)


def _recovered(tx: Connection, endpoint_id: str, last_success: int, now: int) -> None:
    """An outage is over: what failed only since the last success is due at once. What had failed before, while others
    arrived, has its own reasons and keeps its schedule, or it would use up its tries within seconds."""
    before = (attempts.c.delivery_id == deliveries.c.id) & (attempts.c.at <= last_success)
    victims = STILL_PENDING & (deliveries.c.endpoint_id == endpoint_id) & (deliveries.c.tries > 0)
    victims &= ~exists(select(attempts.c.id).where(before))
    tx.execute(update(deliveries).where(victims).values(due_at=now))


def held_count(tx: Connection) -> dict[str, int]:
    """How many deliveries wait for want of an endpoint, and for a disabled one."""
    counted = select(deliveries.c.held_because, func.count()).where(UNSENT, deliveries.c.status == "held")
    return {reason or DISABLED: number for reason, number in tx.execute(counted.group_by(deliveries.c.held_because))}
