"""An endpoint that does not answer is unreachable: it costs no message its tries, is tried now and then, and gets
everything when it is back. One that asks for time, or has a limit, gets its messages by measure."""

import random
from dataclasses import replace
from typing import Any

import pytest
from desk import Desk
from postgres import both_stores
from posting import FAILED, OK, claim, end, end_leases, in_the_present, make_due
from sqlalchemy import Row
from steps import FIRE

from citybrain.cityfile import BreakerTable
from citybrain.dispatch.breaker import _next_probe
from citybrain.dispatch.delivery import anything_due
from citybrain.store.dispatch_tables import attempts, deliveries, endpoints
from citybrain.store.ledger_tables import ledger

pytestmark = both_stores
SILENT = replace(FAILED, status=None, error="timeout: no answer in time")
BUSY = replace(FAILED, status=429, error="status: answered 429")
NEVER = 2**52
TOLD = ("endpoint.unreachable", "endpoint.reachable")


@pytest.fixture
def light(desk: Desk) -> str:
    in_the_present(desk)
    return desk.endpoint("light")


def state(desk: Desk, endpoint_id: str) -> Row[Any]:
    return desk.row(endpoints, endpoints.c.id == endpoint_id)


def told(desk: Desk) -> list[str]:
    return [row.action for row in desk.rows(ledger, ledger.c.chain == "city") if row.action in TOLD]


def open_breaker(desk: Desk, waiting: int = 10) -> None:
    """Five attempts in a row have failed, and more waits; however slow this machine is, no probe is due."""
    for _ in range(waiting):
        desk.open()
    end(desk, claim(desk, limit=5), SILENT)
    desk.set(endpoints, endpoints.c.opened_at > 0, probe_at=NEVER, grave_probe_at=NEVER)


def probe_now(desk: Desk, endpoint_id: str) -> None:
    desk.set(endpoints, endpoints.c.id == endpoint_id, probe_at=0, grave_probe_at=0)


def test_after_five_failures_in_a_row_nothing_goes_and_no_tries_are_used_up(desk: Desk, light: str) -> None:
    open_breaker(desk)
    row = state(desk, light)
    assert (row.opened_at, row.failures, row.state_since) == (desk.now, 5, desk.now)
    assert claim(desk) == []
    with desk.here.store.read() as tx:
        assert not anything_due(tx)
    assert sorted(row.tries for row in desk.rows(deliveries)) == [0] * 5 + [1] * 5
    assert told(desk) == ["endpoint.unreachable"]


def test_one_message_is_the_probe_and_while_it_is_on_its_way_there_is_no_other(desk: Desk, light: str) -> None:
    open_breaker(desk)
    probe_now(desk, light)
    assert len(claim(desk)) == 1
    assert claim(desk) == []
    end_leases(desk)  # its worker died
    assert len(claim(desk)) == 1


def test_each_probe_that_fails_makes_the_next_one_come_twice_as_late(desk: Desk, light: str) -> None:
    rules = BreakerTable()
    waits = [_next_probe(number, 0, rules, random.Random(1)) for number in range(40)]
    for number, wait in enumerate(waits):
        distance = min(5 * 2**number, 600) * 1000
        assert 0.8 * distance <= wait["probe_at"] <= 1.2 * distance
        assert wait["grave_probe_at"] <= 30_000  # what is grave is tried every half minute
    open_breaker(desk)
    probe_now(desk, light)
    desk.pass_time(milliseconds=10)
    end(desk, claim(desk), SILENT)
    row = state(desk, light)
    assert row.probes == 1
    assert 8_000 <= row.probe_at - desk.now <= 12_000
    assert told(desk) == ["endpoint.unreachable"]


def test_what_comes_late_from_before_makes_no_probe_later(desk: Desk, light: str) -> None:
    for _ in range(8):
        desk.open()
    sent = claim(desk)
    end(desk, sent[:5], SILENT)
    before = state(desk, light)
    assert before.opened_at == desk.now
    desk.now -= 1  # they began earlier
    end(desk, sent[5:], SILENT)
    assert (state(desk, light).probes, state(desk, light).probe_at) == (0, before.probe_at)


def test_the_first_success_releases_all_that_waits(desk: Desk, light: str) -> None:
    open_breaker(desk)
    probe_now(desk, light)
    desk.pass_time(milliseconds=10)
    end(desk, claim(desk), OK)
    row = state(desk, light)
    assert (row.opened_at, row.failures, row.probes, row.state_since) == (None, 0, 0, desk.now)
    assert len(claim(desk)) == 9
    assert told(desk) == ["endpoint.unreachable", "endpoint.reachable"]


def test_a_grave_message_probes_although_the_ordinary_probe_is_not_due(desk: Desk, light: str) -> None:
    open_breaker(desk)
    desk.set(endpoints, endpoints.c.id == light, grave_probe_at=0)
    assert claim(desk) == []
    fire = desk.open(**FIRE)
    assert [row.case_id for row, _ in claim(desk)] == [fire.id]


def test_one_message_that_fails_through_the_hours_opens_nothing(desk: Desk, light: str) -> None:
    desk.open()
    for _ in range(9):
        end(desk, claim(desk), FAILED)
        make_due(desk)
        desk.pass_time(minutes=11)
    assert (state(desk, light).opened_at, state(desk, light).failures) == (None, 1)


def test_who_says_that_it_is_too_much_is_not_unreachable(desk: Desk, light: str) -> None:
    for _ in range(10):
        desk.open()
    end(desk, claim(desk), BUSY)
    assert state(desk, light).opened_at is None


def test_retry_after_holds_for_the_whole_endpoint_and_for_no_other(desk: Desk, light: str) -> None:
    other = desk.endpoint("other")
    for _ in range(3):
        desk.open()
    first = [each for each in claim(desk, limit=2) if each[0].endpoint_id == light][:1]
    end_leases(desk)
    end(desk, first, replace(BUSY, retry_after=600.0))
    assert state(desk, light).not_before == desk.now + 600_000
    assert {row.endpoint_id for row, _ in claim(desk)} == {other}
    desk.set(endpoints, endpoints.c.id == light, not_before=0)
    assert {row.endpoint_id for row, _ in claim(desk)} == {light}


def test_no_more_are_on_their_way_than_an_endpoint_allows_over_all_workers(desk: Desk, light: str) -> None:
    desk.set(endpoints, endpoints.c.id == light, concurrency=3)
    for _ in range(5):
        desk.open()
    first, second = claim(desk, limit=2), claim(desk)
    assert (len(first), len(second), claim(desk)) == (2, 1, [])
    end(desk, first, OK)
    assert len(claim(desk)) == 2


def test_an_endpoint_with_a_rate_gets_what_it_may_in_a_second_and_then_waits(desk: Desk, light: str) -> None:
    desk.set(endpoints, endpoints.c.id == light, per_minute=120)
    for _ in range(5):
        desk.open()
    assert len(claim(desk)) == 2
    assert state(desk, light).not_before > desk.now
    desk.set(endpoints, endpoints.c.id == light, not_before=NEVER)
    assert claim(desk) == []
    desk.set(endpoints, endpoints.c.id == light, not_before=0)
    assert len(claim(desk)) == 2
    assert desk.rows(attempts) == []
