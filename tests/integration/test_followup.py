"""What only the passing of time brings about, and what patrol finds lying: each thing once, whoever dies meanwhile."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from desk import Desk
from postgres import both_stores
from sqlalchemy import Connection, Row, select, text

from citybrain.casework.followup import follow_up
from citybrain.store.database import Store
from citybrain.store.dispatch_tables import deliveries
from citybrain.store.stream import Change, forget_before, number_committed, record_changes
from citybrain.store.tables import cases, events, stream
from workers.patrol import patrol, waiting_queues, walk_round

pytestmark = both_stores

FIRE = {"domain": "fire", "type": "fire.building_fire"}  # fifteen minutes; one lead, three assistants
SUSPENSION = {"until": "2025-03-10T09:00:00+08:00", "reason": "等待拆迁"}


def look(desk: Desk, store: Store | None = None) -> int:
    return follow_up(store or desk.here.store, desk.here.city, desk.now)


def supervisions(desk: Desk, case: Row[Any]) -> int:
    """Those that were raised because the case is overdue."""
    return [entry.get("reason") for entry in desk.entries(case.id, "supervised")].count("overdue")


# Deadlines


def test_an_overdue_case_is_supervised_once_also_after_a_restart(desk: Desk) -> None:
    case = desk.open(**FIRE)
    desk.pass_time(minutes=15)
    look(desk)
    assert supervisions(desk, case) == 0  # on time to the last moment
    desk.pass_time(seconds=1)
    look(desk)
    again = Store(desk.here.config.database_url)
    look(desk, again)
    again.close()
    desk.pass_time(days=1)
    look(desk)
    assert supervisions(desk, case) == 1
    raised = [(entry["reason"], entry["level"]) for entry in desk.entries(case.id, "supervised")]
    assert raised == [("quarter_left", 1), ("due", 2), ("overdue", 3), ("overdue_twice", 4)]
    urged = [department for type_, department in desk.told(case.id) if type_ == "work_order.supervised"]
    assert urged == ["441402-xf", "441402-ga", "441402-wj", "441402-gd"] * 3  # the first two at one look
    assert desk.broken() == []


def test_a_new_deadline_is_supervised_anew(desk: Desk) -> None:
    case = desk.open(**FIRE)
    desk.pass_time(minutes=12)
    look(desk)
    desk.act(case.id, "extend", until="2025-03-03T09:30:00+08:00", reason="火势未控")
    look(desk)
    assert [entry["reason"] for entry in desk.entries(case.id, "supervised")] == ["quarter_left"]
    desk.pass_time(minutes=15)
    look(desk)
    desk.pass_time(minutes=4)
    look(desk)
    reasons = ["quarter_left", "quarter_left", "due", "overdue"]
    assert [entry["reason"] for entry in desk.entries(case.id, "supervised")] == reasons


@pytest.mark.parametrize("status", ["completed", "returned", "suspended"])
def test_what_nobody_has_in_hand_is_not_supervised(desk: Desk, status: str) -> None:
    case = desk.open()
    if status == "suspended":
        desk.act(case.id, "suspend", until="2025-04-30T09:00:00+08:00", reason="等")
    else:
        desk.answer(desk.lead(case.id).id, status)
    desk.pass_time(days=9)
    look(desk)
    assert desk.case(case.id).status == status
    assert supervisions(desk, case) == 0


class Meanwhile(Store):
    """The same store, in which something happens right after each look at it."""

    def __init__(self, url: str, happens: Any) -> None:
        super().__init__(url)
        self.happens = happens

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with super().read() as tx:
            yield tx
        self.happens()


def test_a_case_that_is_completed_between_the_look_and_the_act_is_not_supervised(desk: Desk) -> None:
    case = desk.open()
    desk.pass_time(days=9)
    store = Meanwhile(
        desk.here.config.database_url, lambda: desk.answer(desk.lead(case.id).id, "completed", "the same")
    )
    look(desk, store)
    store.close()
    assert desk.case(case.id).status == "completed"
    assert supervisions(desk, case) == 0


def test_many_overdue_cases_are_all_supervised_in_turn(desk: Desk) -> None:
    desk.report(*[{}] * 230)
    desk.handle()
    desk.pass_time(days=9)
    for _ in range(2):
        look(desk)
    assert all(case.supervision == 4 for case in desk.rows(cases))
    assert all(case.version == 2 for case in desk.rows(cases))


# Suspensions


def test_a_suspension_ends_by_itself_and_not_before(desk: Desk) -> None:
    case = desk.open()  # two working days from Monday 09:00
    desk.act(case.id, "suspend", **SUSPENSION)
    desk.pass_time(days=6, hours=23)
    look(desk)
    assert desk.case(case.id).status == "suspended"
    desk.pass_time(hours=1)
    look(desk)
    look(desk)
    again = desk.case(case.id)
    assert (again.status, again.due_at) == ("dispatched", desk.now + 2 * 24 * 3_600_000)
    assert desk.story(case.id)[-1] == ("clock", "resumed")
    assert desk.story(case.id).count(("clock", "resumed")) == 1


def test_a_suspension_that_was_prolonged_meanwhile_goes_on(desk: Desk) -> None:
    case = desk.open()
    desk.act(case.id, "suspend", **SUSPENSION)
    desk.pass_time(days=8)

    def prolong() -> None:
        if desk.case(case.id).suspended_until < desk.now:
            desk.act(case.id, "resume")
            desk.act(case.id, "suspend", until="2025-04-30T09:00:00+08:00", reason="等")

    store = Meanwhile(desk.here.config.database_url, prolong)
    look(desk, store)
    store.close()
    assert desk.case(case.id).status == "suspended"


def test_a_case_whose_clock_cannot_be_reckoned_holds_up_no_other(desk: Desk) -> None:
    """Whatever is wrong with one case: the others are supervised and resumed, and patrol does the rest of its round."""
    odd, paused, late = desk.open(), desk.open(), desk.open(**FIRE)
    for case in (odd, paused):
        desk.act(case.id, "suspend", **SUSPENSION)
    desk.set(cases, cases.c.id == odd.id, left_seconds=10**14)
    desk.pass_time(days=8)
    desk.report({})
    walk_round(desk.here, desk.here.store)
    assert [desk.case(case.id).status for case in (odd, paused)] == ["suspended", "dispatched"]
    assert supervisions(desk, late) == 1
    assert "events.grid" in desk.bells.rung
    assert desk.rows(stream, stream.c.position.is_(None)) == []


# Bells


def test_patrol_rings_for_what_is_due_and_nobody_holds(desk: Desk) -> None:
    walk_round(desk.here, desk.here.store)
    assert desk.bells.rung == []
    desk.report({}, FIRE)
    desk.bells.rung.clear()  # both bells are lost
    walk_round(desk.here, desk.here.store)
    assert sorted(desk.bells.rung) == ["events.fire", "events.grid"]
    desk.bells.rung.clear()
    desk.set(events, events.c.domain == "grid", lease_until=2**53)  # a worker has it in hand
    desk.set(events, events.c.domain == "fire", due_at=2**53)  # to be tried again later
    walk_round(desk.here, desk.here.store)
    assert desk.bells.rung == []
    desk.set(events, events.c.domain == "grid", lease_until=1)  # the worker died
    assert waiting_queues(desk.here) == ["events.grid"]


def test_patrol_rings_dispatch_for_messages_that_may_go(desk: Desk) -> None:
    case = desk.open()
    assert waiting_queues(desk.here) == []  # held for want of an endpoint
    desk.endpoint("a")
    assert waiting_queues(desk.here) == ["dispatch"]
    desk.set(deliveries, deliveries.c.case_id == case.id, lease_until=2**53)
    assert waiting_queues(desk.here) == []


def test_what_a_round_makes_due_is_rung_in_the_same_round(desk: Desk) -> None:
    desk.endpoint("a")
    desk.open(**FIRE)
    desk.set(deliveries, deliveries.c.status == "pending", status="delivered")
    desk.pass_time(hours=1)
    desk.bells.rung.clear()
    walk_round(desk.here, desk.here.store)
    assert desk.bells.rung == ["dispatch"]


def test_patrol_outlives_a_store_that_fails_for_a_while(desk: Desk) -> None:
    def rename(table: str, name: str) -> None:
        with desk.here.store.write() as tx:
            tx.execute(text(f"ALTER TABLE {table} RENAME TO {name}"))

    case = desk.open(**FIRE)
    desk.pass_time(hours=1)
    rename("cases", "elsewhere")
    stop = threading.Event()
    walking = threading.Thread(target=patrol, args=(desk.here, stop))
    walking.start()
    time.sleep(1.3)
    rename("elsewhere", "cases")
    ends = time.monotonic() + 120
    while not supervisions(desk, case) and time.monotonic() < ends:
        time.sleep(0.05)
    stop.set()
    walking.join(120)
    assert supervisions(desk, case) == 1
    assert not walking.is_alive()


# The stream


def test_positions_follow_commits_and_a_reader_sees_no_gap_whoever_writes(desk: Desk) -> None:
    writers, each = 4, 60
    ended = threading.Event()
    seen: list[int] = []
    order: dict[str, list[int]] = {}

    def write(writer: int) -> None:
        for number in range(each):
            with desk.here.store.write() as tx:
                mine = Change("case.noted", f"w{writer}", {}, data={"n": number})
                record_changes(tx, [*[Change("case.noted", "grid", {})] * writer, mine], desk.now)

    def number_all() -> None:
        while not ended.is_set():
            with desk.here.store.write() as tx:
                number_committed(tx)
            time.sleep(0.002)

    def read() -> None:
        while not ended.is_set() or look_once():
            look_once()

    def look_once() -> int:
        last = seen[-1] if seen else 0
        with desk.here.store.read() as tx:
            rows = tx.execute(select(stream).where(stream.c.position > last).order_by(stream.c.position)).all()
        for row in rows:
            seen.append(row.position)
            if row.domain != "grid":
                order.setdefault(row.domain, []).append(row.data["n"])
        return len(rows)

    sequencers = [threading.Thread(target=number_all) for _ in range(2)]
    reader = threading.Thread(target=read)
    for thread in (*sequencers, reader):
        thread.start()
    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))
    with desk.here.store.write() as tx:
        last = number_committed(tx)
    ended.set()
    for thread in (*sequencers, reader):
        thread.join(120)

    assert last == each * (1 + 2 + 3 + 4)
    assert seen == list(range(1, last + 1))
    assert order == {f"w{writer}": list(range(each)) for writer in range(writers)}


def test_what_is_not_committed_has_no_position(desk: Desk) -> None:
    with desk.here.store.write() as tx:
        record_changes(tx, [Change("case.noted", "grid", {})], desk.now)
        tx.rollback()
    with desk.here.store.write() as tx:
        assert number_committed(tx) == 0


def test_forgetting_leaves_the_newest_so_that_positions_go_on(desk: Desk) -> None:
    def record(at: int) -> int:
        with desk.here.store.write() as tx:
            record_changes(tx, [Change("case.noted", "grid", {})], at)
            return number_committed(tx)

    for number in range(3):
        record(desk.now + number)
    with desk.here.store.write() as tx:
        record_changes(tx, [Change("case.noted", "grid", {})], desk.now)  # not numbered yet, so nobody has seen it
        forget_before(tx, desk.now + 1_000)
    assert [row.position for row in desk.rows(stream)] == [3, None]
    assert record(desk.now) == 5
