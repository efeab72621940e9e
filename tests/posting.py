"""Messages claimed at a desk, and what became of them."""

import random
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from desk import Desk
from sqlalchemy import Row

from citybrain.clock import now_ms
from citybrain.dispatch import endpoint as endpoint_
from citybrain.dispatch.delivery import Attempt, claim_due, settle
from citybrain.dispatch.sender import Outcome, Outgoing
from citybrain.dispatch.turns import Turns
from citybrain.store.dispatch_tables import deliveries
from workers.deliver import PostRoom

OK = Outcome("delivered", 204, None, None, 12.0)
FAILED = Outcome("retry", 500, "status: answered 500", None, 12.0)
GONE = Outcome("gone", 410, "gone: the receiver wants no more messages", None, 12.0)
LATE = Outcome("late", None, None, None, 0.0)
Sent = list[tuple[Row[Any], Outgoing]]


def claim(desk: Desk, busy: tuple[str, ...] = (), limit: int = 100) -> Sent:
    with desk.here.store.write() as tx:
        return claim_due(tx, Turns(), lambda endpoint_id, _grave: 0 if endpoint_id in busy else limit, limit)


def end(desk: Desk, sent: Sent, *outcomes: Outcome) -> None:
    """Records what became of the attempts, the last outcome for all that are left."""
    ended = [Attempt(row, outcomes[min(i, len(outcomes) - 1)], desk.now) for i, (row, _) in enumerate(sent)]
    with desk.here.store.write() as tx:
        settle(tx, ended, desk.now, random.Random(1))


def until(holds: Any, seconds: float = 120) -> None:
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.02)


def end_leases(desk: Desk) -> None:
    desk.set(deliveries, deliveries.c.lease_until > 0, lease_until=0)


def in_the_present(desk: Desk) -> None:
    """So that what is due later is not due yet by the database's clock."""
    desk.now = now_ms() - 1000


def make_due(desk: Desk) -> None:
    desk.set(deliveries, deliveries.c.due_at > desk.now, due_at=desk.now)


def switch(desk: Desk, endpoint_id: str, enabled: bool) -> None:
    with desk.here.store.write() as tx:
        endpoint_.set_enabled(tx, endpoint_id, enabled, "liu", desk.now)


@pytest.fixture
def room(desk: Desk) -> Iterator[PostRoom]:
    """The desk's own post room, which has recorded everything before the desk is cleared."""
    desk.here.config = replace(desk.here.config, webhook_allow=("127.0.0.0/8",))
    made = PostRoom(desk.here)
    yield made
    until(lambda: not made.size())
    made.close()
