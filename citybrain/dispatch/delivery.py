"""A delivery 推送 between claim and outcome: which are due, and what an attempt's outcome makes of them."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, func, literal_column, select

from citybrain.cityfile import BreakerTable
from citybrain.dispatch.breaker import lock_health, record_health
from citybrain.dispatch.gates import Gates
from citybrain.dispatch.outbox import DISABLED, hold_back
from citybrain.dispatch.sender import Outcome, Outgoing, backoff
from citybrain.dispatch.turns import BEYOND, Room, Turns, is_grave
from citybrain.dispatch.unmasking import Persons, persons_in, unmasked
from citybrain.store import claims
from citybrain.store.bulk import insert_rows
from citybrain.store.database import now_ms
from citybrain.store.dispatch_tables import UNSENT, attempts, deliveries, endpoints
from citybrain.store.ids import new_id
from citybrain.store.lanes import Lanes
from citybrain.store.locks import Lock, take

LEASE_MS = 25_000  # longer than the longest attempt, 15 s
# Written out, since a planner does not use a partial index for values that it does not see.
WAITING: tuple[ColumnElement[str], ...] = (literal_column("'pending'"), literal_column("'held'"))


@dataclass(frozen=True, slots=True)
class Attempt:
    """A claimed delivery and how its attempt ended. `at` is when it began, in ms."""

    delivery: Any  # a row, or a `pouch.Claim`
    outcome: Outcome
    at: int


def _ready(mine: Any) -> ColumnElement[bool]:
    """Nothing earlier of the same case still waits for the same endpoint. A plain question for each row in its order:
    a planner that joined them would go through all that waits."""
    earlier = deliveries.alias("earlier")
    before = select(earlier.c.id).where(
        earlier.c.case_id == mine.case_id,
        earlier.c.endpoint_id == mine.endpoint_id,
        earlier.c.case_order < mine.case_order,
        earlier.c.status.in_(WAITING),
    )
    return before.limit(1).scalar_subquery().is_(None)


LANES = Lanes(deliveries, lambda mine: mine.status == literal_column("'pending'"), _ready)
_ADDRESSED = select(endpoints).where(endpoints.c.id.in_(bindparam("ids", expanding=True)))
_NOW = select(now_ms())


def claim_due(tx: Connection, turns: Turns, room: Room, total: int) -> list[tuple[Row[Any], Outgoing]]:
    """Claims what is due now and may go: of each endpoint as much as there is room for, `total` at most but for the
    grave ones. In the order in which it is to go."""
    gates = Gates(tx, to_claim=True)
    due, room = LANES.due(tx, closed=gates.closed), gates.narrowed(room)
    turns.forget(due)
    rows: list[Row[Any]] = []
    numbers: Counter[str] = Counter()
    for grave, left in ((True, total + BEYOND), (False, total)):
        lanes = [found for found in due if is_grave(found.lane) is grave]
        takes = turns.choose(lanes, partial(_left, room, grave, numbers), left - len(rows))
        rows += LANES.claim(tx, takes, LEASE_MS)
        numbers = Counter(row.endpoint_id for row in rows)
    if not rows:
        return []
    rows.sort(key=lambda row: (row.grade, row.due_at, row.id))
    gates.passed(tx, numbers)
    known = {row.id: row for row in tx.execute(_ADDRESSED, {"ids": sorted(numbers)}).all()}
    now: int = tx.execute(_NOW).scalar_one()
    persons = persons_in(tx, (row.body for row in rows if known[row.endpoint_id].unmasked))
    return [(row, _addressed(row, known[row.endpoint_id], persons, now)) for row in rows]


def _left(room: Room, grave: bool, taken: Counter[str], endpoint_id: str) -> int:
    return room(endpoint_id, grave) - taken[endpoint_id]


def give_back(tx: Connection, rows: Sequence[Row[Any]]) -> None:
    """What was claimed and not sent: as it was before."""
    claims.give_back(tx, deliveries, rows)


def anything_due(tx: Connection) -> bool:
    return LANES.any(tx, closed=Gates(tx).closed)


def settle(
    tx: Connection, ended: Sequence[Attempt], now: int, rng: random.Random, rules: BreakerTable | None = None
) -> None:
    """Records the attempts and moves each delivery on. Raises ClaimLost when one was claimed again meanwhile."""
    late = [each.delivery for each in ended if each.outcome.kind == "late"]
    ended = [each for each in ended if each.outcome.kind != "late"]
    if any(each.outcome.kind == "gone" for each in ended):
        take(tx, Lock.ENDPOINTS)
    mine: dict[str, list[Attempt]] = {}
    for each in ended:
        mine.setdefault(each.delivery.endpoint_id, []).append(each)
    before = lock_health(tx, sorted(mine))
    give_back(tx, late)
    if not ended:
        return
    moved = [_moved(attempt, now, rng) for attempt in ended]
    claims.complete(tx, deliveries, moved)
    insert_rows(tx, attempts, [_recorded(each) for each in ended])
    for endpoint_id, its in sorted(mine.items()):
        record_health(tx, before[endpoint_id], its, now, rules or BreakerTable(), rng)
    hold_back(tx, [each["id"] for each in moved if each["status"] == "pending"])


def _recorded(ended: Attempt) -> dict[str, Any]:
    return {
        "id": new_id(),
        "delivery_id": ended.delivery.id,
        "at": ended.at,
        "duration_ms": round(ended.outcome.duration_ms),
        "status": ended.outcome.status,
        "error": ended.outcome.error,
    }


def outgoing(delivery_id: str, endpoint: Row[Any], body: bytes, now: int) -> Outgoing:
    """Signed with the present secret first, then with the old ones that still sign."""
    secrets = [each["secret"] for each in endpoint.secrets if each["until"] is None or each["until"] > now]
    return Outgoing(delivery_id, endpoint.url, secrets, body, endpoint.signatures)


def _addressed(row: Row[Any], endpoint: Row[Any], persons: Persons, now: int) -> Outgoing:
    body = unmasked(row.body, persons) if endpoint.unmasked else row.body.encode()
    return outgoing(row.id, endpoint, body, now)


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


def held_count(tx: Connection) -> dict[str, int]:
    """How many deliveries wait for want of an endpoint, and for a disabled one."""
    counted = select(deliveries.c.held_because, func.count()).where(UNSENT, deliveries.c.status == "held")
    return {reason or DISABLED: number for reason, number in tx.execute(counted.group_by(deliveries.c.held_because))}
