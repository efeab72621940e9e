"""Under load nobody starves: told by who comes in which place, never by how long it took."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from desk import Desk
from postgres import both_stores
from posting import claim
from sqlalchemy import text
from steps import FIRE

from citybrain.dispatch import outbox
from citybrain.intake import filing
from citybrain.queue import queue_name
from citybrain.routing.decision import Decision
from citybrain.store.dispatch_tables import deliveries
from citybrain.store.tables import events
from workers.handle import FRESH, claim_some, handle, handle_batch
from workers.patrol import waiting_queues

pytestmark = both_stores
XINGNING = {"location": {"division_code": "441481"}}


@pytest.fixture
def at_work(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """This process is a worker; which queues it has rung."""
    rung: list[str] = []
    monkeypatch.setattr("workers.handle.installation", lambda: desk.here)
    monkeypatch.setattr(desk.here, "ringer", SimpleNamespace(ring=rung.append))
    return rung


def claimed(desk: Desk, number: int, domain: str = "grid") -> list[str]:
    with desk.here.store.write() as tx:
        return [row.id for row in claim_some(tx, FRESH, domain, number)]


def test_a_county_that_floods_a_domain_leaves_another_its_place_in_the_next_batch(desk: Desk) -> None:
    desk.report(*[{}] * 300)
    desk.pass_time(seconds=1)
    late = desk.report(XINGNING, XINGNING)
    first = claimed(desk, 100)
    assert len(first) == 100
    assert set(late) <= set(first)


def test_what_one_county_does_not_use_of_a_batch_goes_to_the_others(desk: Desk) -> None:
    desk.report(*[{}] * 120, XINGNING)
    assert len(claimed(desk, 100)) == 100
    assert len(claimed(desk, 100)) == 21


def test_a_grave_event_overtakes_all_others_of_its_domain(desk: Desk) -> None:
    desk.report(*[{}] * 50)
    grave = desk.report({"grade": 1})[0]
    assert claimed(desk, 1) == [grave]


def test_a_domain_gives_way_to_the_others_after_each_batch(desk: Desk, at_work: list[str]) -> None:
    desk.report(*[{}] * 1_002)
    at_work.clear()
    handle("grid")
    assert len(desk.rows(events, events.c.state == "received")) == 2
    assert at_work == [queue_name("grid")]  # behind the others
    handle("grid")
    assert desk.rows(events, events.c.state == "received") == []
    assert at_work == [queue_name("grid")]


def test_what_failed_once_has_its_turn_beside_what_is_fresh(desk: Desk, at_work: list[str]) -> None:
    failed = desk.report({})
    claimed(desk, 1)
    desk.set(events, events.c.id == failed[0], lease_until=0)
    fresh = desk.report({}, {})
    handle("grid")
    assert {desk.event(each).state for each in [*failed, *fresh]} == {"cased"}


def test_at_an_endpoint_that_all_share_a_flood_of_one_county_goes_beside_the_few_of_another(desk: Desk) -> None:
    desk.endpoint("all")
    desk.report(*[{}] * 200)
    desk.handle()
    desk.pass_time(seconds=1)
    few = [desk.open(**XINGNING).id for _ in range(2)]
    fire = desk.open(**FIRE).id
    sent = [row.case_id for row, _ in claim(desk, limit=20)]
    assert sent[0] == fire
    assert set(few) <= set(sent)


def test_a_batch_that_fails_is_halved_until_what_is_wrong_is_alone(desk: Desk) -> None:
    ids = desk.report(*[{}] * 63, {"title": "毒"})
    sound = desk.here.domains["grid"].decide
    calls: list[int] = []

    def decide(given: Any, context: Any) -> list[Decision]:
        calls.append(len(given))
        if any(each.title == "毒" for each in given):
            raise ZeroDivisionError
        return sound(given, context)

    desk.here.domains = {"grid": replace(desk.here.domains["grid"], decide=decide)}
    handle_batch(desk.here, "grid")
    assert sorted(calls, reverse=True) == [64, 32, 32, 16, 16, 8, 8, 4, 4, 2, 2, 1, 1]
    assert [desk.event(each).state for each in ids].count("cased") == 63


def test_what_an_older_version_wrote_without_a_lane_is_lined_up(desk: Desk) -> None:
    desk.endpoint("all")
    desk.open()
    event = desk.report({"grade": 1})[0]
    with desk.here.store.write() as tx:
        before = tx.execute(text("SELECT lane FROM deliveries")).scalars().all()
        tx.execute(text("UPDATE deliveries SET lane = ''"))
        tx.execute(text("UPDATE events SET lane = ''"))
    assert (claim(desk), claimed(desk, 9), waiting_queues(desk.here)) == ([], [], [])
    with desk.here.store.write() as tx:
        filing.line_up(tx)
        outbox.line_up(tx)
    assert [row.lane for row in desk.rows(deliveries)] == before
    assert desk.row(events, events.c.id == event).lane == "grid.1.441402"
    assert waiting_queues(desk.here) == ["events.grid", "dispatch"]
