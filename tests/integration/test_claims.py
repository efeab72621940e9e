"""Who works on what: a row has one holder at a time, and only its last holder's work counts."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from desk import Desk
from postgres import both_stores
from sqlalchemy import Row, insert, literal_column, select

from citybrain.clock import now_ms
from citybrain.store.claims import ClaimLost, complete
from citybrain.store.database import now_ms as database_now
from citybrain.store.ids import new_id
from citybrain.store.lanes import Lanes
from citybrain.store.ledger import Entry, append_to_city
from citybrain.store.ledger_tables import ledger
from citybrain.store.tables import counters, events

pytestmark = both_stores

LEASE_MS = 30_000
RECEIVED = Lanes(events, lambda event: event.state == literal_column("'received'"))


def take(desk: Desk, limit: int = 1_000, lease_ms: int = LEASE_MS) -> list[Row[Any]]:
    with desk.here.store.write() as tx:
        due = sorted(RECEIVED.due(tx), key=lambda found: found.due_at)
        return RECEIVED.claim_evenly(tx, [found.lane for found in due], limit, lease_ms)


def finish(desk: Desk, rows: list[Row[Any]], effect: str = "done") -> None:
    """Completes a claim and, in the same transaction, has an effect."""
    with desk.here.store.write() as tx:
        append_to_city(tx, Entry(effect, "worker", {}), desk.now)
        complete(tx, events, [{"id": row.id, "fence": row.fence, "state": "triage"} for row in rows])


def effects(desk: Desk) -> list[str]:
    return [row.action for row in desk.rows(ledger)]


def end_leases(desk: Desk) -> None:
    desk.set(events, events.c.lease_until > 0, lease_until=0)


def test_a_claimed_row_is_nobody_elses_until_its_lease_ends(desk: Desk) -> None:
    desk.report({}, {})
    mine = take(desk, limit=1)
    assert len(take(desk)) == 1
    assert take(desk) == []
    end_leases(desk)
    again = take(desk)
    assert len(again) == 2
    assert {row.fence for row in again} == {2}
    assert {row.tries for row in again} == {2}
    assert mine[0].fence == 1


def test_a_lease_runs_by_the_databases_clock(desk: Desk) -> None:
    desk.report({})
    before = now_ms()
    row = take(desk)[0]
    assert before + LEASE_MS - 1 <= row.lease_until <= now_ms() + LEASE_MS + 1
    end_leases(desk)
    with desk.here.store.read() as tx:
        assert abs(tx.execute(select(database_now())).scalar_one() - now_ms()) < 1_000
    take(desk, lease_ms=-1)  # a lease that is over as soon as it begins
    assert len(take(desk)) == 1


def test_the_oldest_that_is_due_goes_first(desk: Desk) -> None:
    first = desk.report({})[0]
    desk.pass_time(minutes=1)
    second, third = desk.report({}, {})
    desk.set(events, events.c.id == third, due_at=now_ms() + 60_000)
    assert [take(desk, limit=1)[0].id for _ in range(2)] == [first, second]
    assert take(desk) == []


def test_any_says_whether_a_claim_would_find_something(desk: Desk) -> None:
    def due() -> bool:
        with desk.here.store.read() as tx:
            return RECEIVED.any(tx)

    assert not due()
    desk.report({})
    assert due()
    rows = take(desk)
    assert not due()
    end_leases(desk)
    assert due()
    finish(desk, take(desk))
    assert not due()
    assert rows


def test_the_work_of_a_worker_whose_lease_ended_leaves_nothing_once_another_has_claimed(desk: Desk) -> None:
    desk.report({}, {})
    slow = take(desk)
    end_leases(desk)
    quick = take(desk)
    with pytest.raises(ClaimLost):
        finish(desk, slow, "slow")
    assert effects(desk) == []
    assert {row.state for row in desk.rows(events)} == {"received"}
    finish(desk, quick, "quick")
    with pytest.raises(ClaimLost):
        finish(desk, slow, "slow again")
    assert effects(desk) == ["quick"]
    assert {row.state for row in desk.rows(events)} == {"triage"}


def test_a_lease_that_ended_unnoticed_still_counts_while_nobody_has_claimed(desk: Desk) -> None:
    desk.report({})
    rows = take(desk)
    end_leases(desk)
    finish(desk, rows)
    assert effects(desk) == ["done"]


def test_one_lost_row_takes_its_whole_batch_back(desk: Desk) -> None:
    desk.report({}, {}, {})
    rows = take(desk)
    desk.set(events, events.c.id == rows[1].id, lease_until=0)
    take(desk)
    with pytest.raises(ClaimLost):
        finish(desk, rows)
    assert {row.state for row in desk.rows(events)} == {"received"}
    assert effects(desk) == []


def test_a_claim_ends_once_even_for_who_holds_it(desk: Desk) -> None:
    """Whoever is not sure whether his commit succeeded may try again."""
    desk.report({})
    rows = take(desk)
    finish(desk, rows)
    with pytest.raises(ClaimLost):
        finish(desk, rows)
    assert effects(desk) == ["done"]


def test_many_workers_at_once_do_everything_once(desk: Desk) -> None:
    """Some are slow and lose their lease: whatever they do, each event has one effect."""
    desk.report(*[{}] * 200)

    def worker(number: int) -> None:
        idle = 0
        while idle < 3:
            rows = take(desk, limit=7, lease_ms=-1 if number == 0 else LEASE_MS)
            if not rows:
                idle += 1
                continue
            try:
                with desk.here.store.write() as tx:
                    tx.execute(insert(counters), [{"name": f"{row.id} {new_id()}", "value": 1} for row in rows])
                    complete(tx, events, [{"id": row.id, "fence": row.fence, "state": "triage"} for row in rows])
            except ClaimLost:
                continue

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(worker, range(4)))

    done = Counter(row.name.split()[0] for row in desk.rows(counters) if " " in row.name)
    assert done == Counter(row.id for row in desk.rows(events))
    assert {row.state for row in desk.rows(events)} == {"triage"}


def test_writers_wait_for_each_other_and_none_overwrites_another(desk: Desk) -> None:
    """What a writer locks, reads and then writes is its own, and nobody is told that the store is locked."""
    with desk.here.store.write() as tx:
        tx.execute(insert(counters).values(name="n", value=0))

    def count(_: int) -> None:
        for _ in range(50):
            with desk.here.store.write() as tx:
                value = tx.execute(select(counters.c.value).with_for_update()).scalar_one()
                tx.execute(counters.update().values(value=value + 1))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(count, range(6)))
    assert desk.row(counters).value == 300


def test_a_reader_is_not_held_up_by_a_writer_and_sees_one_snapshot(desk: Desk) -> None:
    desk.report({})
    with desk.here.store.read() as reader:
        assert len(reader.execute(select(events.c.id)).all()) == 1
        written = threading.Event()

        def write() -> None:
            desk.report({})
            written.set()

        threading.Thread(target=write).start()
        assert written.wait(120)
        assert len(reader.execute(select(events.c.id)).all()) == 1
    assert len(desk.rows(events)) == 2
