"""The campaign's checker believes nobody: each way in which four ledgers can disagree has its own finding."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from sqlalchemy import insert

from citybrain.store.dispatch_tables import attempts, deliveries
from citybrain.store.tables import events, work_orders
from faults.checker import Findings, check
from faults.settling import unsettled

NOW = 1_800_000_000_000


class Ledgers:
    """Two events, of which the second is delivered by hand, as the clients and the receivers wrote them down."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self.desk, self.folder = desk, folder
        desk.endpoint("all")
        self.first, self.second = (
            desk.open(source_event_id=f"bench-{number:08d}", location={"division_code": code})
            for number, code in ((1, "441402004"), (2, "441403"))
        )
        ids = [desk.rows(events, events.c.case_id == case.id)[0].id for case in (self.first, self.second)]
        self.clients = ["attempted 1 2 3", f"acknowledged 1 {ids[0]}", f"acknowledged 2 {ids[1]}"]
        self.receivers: list[str] = []
        for delivery in desk.rows(deliveries):
            self.hear(delivery.id, NOW)
            self.record(delivery.id)

    def hear(self, delivery: str, at: int, manner: str = "204", begun: int | None = None) -> None:
        self.receivers.append(f"{at} receiver0 {delivery} work_order.dispatched - 1 {(begun or at) // 1000} {manner}")

    def record(self, delivery: str) -> None:
        done = {"status": "delivered", "delivered_at": NOW + 100}
        self.desk.set(deliveries, deliveries.c.id == delivery, **done)
        self.attempt(delivery)

    def attempt(self, delivery: str) -> None:
        row = {"id": f"{time.monotonic_ns()}", "delivery_id": delivery, "at": NOW, "duration_ms": 1, "status": 204}
        with self.desk.here.store.write() as tx:
            tx.execute(insert(attempts).values(row))

    def message(self) -> str:
        return str(self.desk.rows(deliveries)[0].id)

    def check(self) -> Findings:
        clients, receivers = self.folder / "clients", self.folder / "receivers"
        clients.write_text("".join(f"{NOW} {line}\n" for line in self.clients))
        receivers.write_text("".join(f"{line}\n" for line in self.receivers))
        found = Findings()
        check(clients, receivers, self.desk.here.store, found, self.desk.key.name)
        return found


@pytest.fixture
def ledgers(desk: Desk, tmp_path: Path) -> Ledgers:
    return Ledgers(desk, tmp_path)


def test_ledgers_that_agree_have_nothing_wrong(ledgers: Ledgers) -> None:
    found = ledgers.check()
    assert found.wrong == {}
    assert (found.attempted, found.acknowledged, found.recovered, found.repeats) == (3, 2, 0, 0)


def test_what_was_attempted_and_kept_without_an_answer_is_recovered(ledgers: Ledgers) -> None:
    del ledgers.clients[-1]
    found = ledgers.check()
    assert (found.acknowledged, found.recovered, found.wrong) == (1, 1, {})


def _gone(it: Ledgers) -> None:
    it.clients.append("acknowledged 3 of-which-nothing-is-there")


def _never_posted(it: Ledgers) -> None:
    it.clients[0] = "attempted 1 3"


def _two_ids(it: Ledgers) -> None:
    it.clients.append(it.clients[1].replace("acknowledged 1", "acknowledged 2"))


def _two_orders(it: Ledgers) -> None:
    row = it.desk.rows(work_orders)[0]._asdict() | {"id": "another"}
    with it.desk.here.store.write() as tx:
        tx.execute(insert(work_orders).values(row))


def _two_events(it: Ledgers) -> None:
    it.desk.set(events, events.c.case_id == it.second.id, source_event_id="bench-00000001")


def _not_heard(it: Ledgers) -> None:
    it.receivers = [line for line in it.receivers if it.message() not in line]


def _refused(it: Ledgers) -> None:
    it.receivers = [line.replace("204", "500") for line in it.receivers]


def _given_up(it: Ledgers) -> None:
    it.desk.set(deliveries, deliveries.c.id == it.message(), status="failed")


def _of_nothing(it: Ledgers) -> None:
    it.hear("msg_unknown", NOW)


def _recorded_twice(it: Ledgers) -> None:
    it.attempt(it.message())


def _by_two_at_once(it: Ledgers) -> None:
    it.hear(it.message(), NOW + 500)


def _after_the_record(it: Ledgers) -> None:
    it.hear(it.message(), NOW + 40_000)


def _not_handled(it: Ledgers) -> None:
    it.desk.set(events, events.c.case_id == it.second.id, state="received")


def _answer_forgotten(it: Ledgers) -> None:
    it.clients.append("answered order-1 feedback-1")


@pytest.mark.parametrize(
    ("happens", "found_as"),
    [
        (_gone, "lost"), (_answer_forgotten, "lost"), (_never_posted, "unexpected"), (_of_nothing, "unexpected"),
        (_two_ids, "duplicated"), (_two_orders, "duplicated"), (_two_events, "duplicated"),
        (_recorded_twice, "duplicated"), (_by_two_at_once, "duplicated"), (_after_the_record, "duplicated"),
        (_not_heard, "undelivered"), (_refused, "undelivered"), (_given_up, "undelivered"),
        (_not_handled, "unsettled"),
    ],
)  # fmt: skip
def test_each_disagreement_is_found(ledgers: Ledgers, happens: Callable[[Ledgers], None], found_as: str) -> None:
    happens(ledgers)
    assert found_as in ledgers.check().wrong


def test_a_success_that_broke_off_is_taken_and_may_come_again(ledgers: Ledgers) -> None:
    ledgers.hear(ledgers.message(), NOW - 500, "reset-after")
    found = ledgers.check()
    assert (found.repeats, found.wrong) == (1, {})


def test_a_repeat_after_a_lease_whose_record_was_lost_is_allowed_and_counted(ledgers: Ledgers) -> None:
    ledgers.hear(ledgers.message(), NOW - 26_000)
    found = ledgers.check()
    assert (found.repeats, found.wrong) == (1, {})


def test_a_clock_that_the_campaign_set_wrong_is_no_finding(ledgers: Ledgers) -> None:
    message, wrong = ledgers.message(), NOW - 600_000
    ledgers.receivers = [line for line in ledgers.receivers if message not in line]
    ledgers.hear(message, NOW - 26_000, begun=wrong - 26_000)
    ledgers.hear(message, NOW, begun=NOW)
    ledgers.desk.set(deliveries, deliveries.c.id == message, delivered_at=wrong + 100)
    assert ledgers.check().wrong == {}


def test_an_event_is_settled_when_it_is_done_or_people_see_it(ledgers: Ledgers) -> None:
    desk, ids = ledgers.desk, ["bench-00000001", "bench-00000002", "bench-00000003"]

    def waits() -> dict[str, Any]:
        return unsettled(desk.here.store, desk.key.name, ids)

    assert waits() == {ids[2]: "is not in the store"}
    mine = deliveries.c.case_id == ledgers.first.id
    desk.set(deliveries, mine, status="pending", tries=0, due_at=NOW)
    assert waits()[ids[0]] == "has a message that was never tried"
    desk.set(deliveries, mine, tries=1, due_at=1)
    assert waits()[ids[0]] == "has a message that is due"
    desk.set(deliveries, mine, due_at=2**50)
    assert ids[0] not in waits()
    desk.set(events, events.c.case_id == ledgers.second.id, state="received")
    assert waits()[ids[1]] == "is received, not handled"
