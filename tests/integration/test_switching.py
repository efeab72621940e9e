"""What waits for an endpoint follows it when it is switched: batch by batch, all of it, whoever goes on."""

from collections import Counter

import pytest
from desk import ADMIN, Desk
from postgres import both_stores
from posting import OK, claim, end, in_the_present
from sqlalchemy import insert, select, update

from citybrain.dispatch.api import disable
from citybrain.dispatch.endpoint import set_enabled
from citybrain.dispatch.switching import BATCH, finish
from citybrain.store.dispatch_tables import attempts, deliveries, endpoints

pytestmark = both_stores
WAITING = 2 * BATCH + 3


@pytest.fixture
def light(desk: Desk) -> str:
    """An endpoint with more to receive than two batches."""
    in_the_present(desk)
    light = desk.endpoint("light")
    row = {
        "endpoint_id": light, "case_order": 0, "type": "endpoint.test", "grade": 4, "body": "{}", "status": "pending",
        "created_at": desk.now, "due_at": desk.now - 1, "lane": f"{light}.4..",
    }  # fmt: skip
    with desk.here.store.write() as tx:
        tx.execute(insert(deliveries), [row | {"id": f"msg_{number:032}"} for number in range(WAITING)])
    return light


def states(desk: Desk) -> Counter[str]:
    with desk.here.store.read() as tx:
        return Counter(tx.execute(select(deliveries.c.status)).scalars())


def switch_and_die(desk: Desk, light: str, enabled: bool) -> None:
    """The first transaction of a request that gets no further."""
    with desk.here.store.write() as tx:
        set_enabled(tx, light, enabled, "liu", desk.now)


def test_what_a_request_left_is_held_by_whoever_finds_it(desk: Desk, light: str) -> None:
    switch_and_die(desk, light, False)
    assert states(desk) == {"held": BATCH, "pending": WAITING - BATCH}
    assert claim(desk) == []  # a disabled endpoint gets nothing, held or not
    finish(desk.here.store, 30)
    assert states(desk) == {"held": WAITING}
    assert desk.row(endpoints, endpoints.c.id == light).switching is None


def test_what_is_switched_back_in_the_middle_is_neither_lost_nor_doubled(desk: Desk, light: str) -> None:
    switch_and_die(desk, light, False)
    switch_and_die(desk, light, True)
    finish(desk.here.store, 30)
    assert states(desk) == {"pending": WAITING}
    switch_and_die(desk, light, False)
    disable(light, ADMIN, desk.here)  # asking again finishes it
    assert states(desk) == {"held": WAITING}
    switch_and_die(desk, light, True)
    end(desk, claim(desk, limit=5), OK)  # what is out already stays so
    finish(desk.here.store, 30)
    assert states(desk) == {"pending": WAITING - 5, "delivered": 5}
    assert desk.broken() == []


def test_an_enabled_endpoint_is_tried_with_everything_at_once_and_with_nothing_twice(desk: Desk, light: str) -> None:
    hour = 3_600_000
    with desk.here.store.write() as tx:
        tx.execute(update(deliveries).values(tries=1, due_at=desk.now + hour))
    switch_and_die(desk, light, True)
    with desk.here.store.read() as tx:
        due = Counter(tx.execute(select(deliveries.c.due_at)).scalars())
    assert due == {desk.now: BATCH, desk.now + hour: WAITING - BATCH}
    with desk.here.store.write() as tx:
        first = tx.execute(select(deliveries.c.id).where(deliveries.c.due_at == desk.now).limit(1)).scalar_one()
        tx.execute(update(deliveries).where(deliveries.c.id == first).values(due_at=desk.now + 5))
        failed = {"delivery_id": first, "id": "0" * 32, "at": desk.now, "duration_ms": 1, "status": 500}
        tx.execute(insert(attempts).values(**failed))
    finish(desk.here.store, 30)
    with desk.here.store.read() as tx:
        due = Counter(tx.execute(select(deliveries.c.due_at)).scalars())
    assert due == {desk.now: WAITING - 1, desk.now + 5: 1}  # what has failed since keeps its schedule
