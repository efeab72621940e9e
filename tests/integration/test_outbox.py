"""Messages between a decision and its arrival: to whom they go, in which order, and what an outcome makes of them."""

import json
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from desk import Desk
from sqlalchemy import Row, event, text

from citybrain.casework.writing import EVENTS_SHOWN
from citybrain.clock import now_ms
from citybrain.dispatch import endpoint as endpoint_
from citybrain.dispatch.delivery import Attempt, anything_due, claim_due, settle
from citybrain.dispatch.sender import Outcome, Outgoing
from citybrain.store.claims import ClaimLost
from citybrain.store.tables import attempts, cases, deliveries, endpoints, ledger
from workers.deliver import LANE, LEAST, PostRoom

FIRE = {"domain": "fire", "type": "fire.building_fire"}  # Ⅱ; leads: fire brigade; assist: police, health, power
OK = Outcome("delivered", 204, None, None, 12.0)
FAILED = Outcome("retry", 500, "status: answered 500", None, 12.0)
GONE = Outcome("gone", 410, "gone: the receiver wants no more messages", None, 12.0)
Sent = list[tuple[Row[Any], Outgoing]]


def new_endpoint(desk: Desk, name: str, **given: Any) -> str:
    change = {"name": name, "url": "http://127.0.0.1:9/hook"} | given
    with desk.here.store.write() as tx:
        return endpoint_.create(tx, change, desk.here.city, "liu", desk.now)


def claim(desk: Desk, busy: tuple[str, ...] = (), limit: int = 100) -> Sent:
    with desk.here.store.write() as tx:
        return claim_due(tx, busy, limit)


def end(desk: Desk, sent: Sent, *outcomes: Outcome) -> None:
    """Records what became of the attempts, the last outcome for all that are left."""
    ended = [Attempt(row, outcomes[min(i, len(outcomes) - 1)], desk.now) for i, (row, _) in enumerate(sent)]
    with desk.here.store.write() as tx:
        settle(tx, ended, desk.now, random.Random(1))


def end_leases(desk: Desk) -> None:
    desk.set(deliveries, deliveries.c.lease_until > 0, lease_until=0)


def in_the_present(desk: Desk) -> None:
    """So that what is due later is not due yet by the database's clock."""
    desk.now = now_ms() - 1000


def make_due(desk: Desk) -> None:
    desk.set(deliveries, deliveries.c.due_at > desk.now, due_at=desk.now)


def receivers(desk: Desk, case: Row[Any]) -> dict[str, set[str]]:
    """Which departments' messages each endpoint gets; under "" what is held for want of one."""
    names = {row.id: row.name for row in desk.rows(endpoints)} | {None: ""}
    found: dict[str, set[str]] = {}
    for row in desk.rows(deliveries, deliveries.c.case_id == case.id):
        found.setdefault(names[row.endpoint_id], set()).add(row.department)
    return found


# To whom


def test_an_endpoint_gets_the_orders_of_its_department_and_of_those_below(desk: Desk) -> None:
    new_endpoint(desk, "city fire", department="441400-xf")
    new_endpoint(desk, "county fire", department="441402-xf")
    new_endpoint(desk, "other county", department="441403-xf")
    new_endpoint(desk, "county police", department="441402-ga")
    assert receivers(desk, desk.open(**FIRE)) == {
        "city fire": {"441402-xf"},
        "county fire": {"441402-xf"},
        "county police": {"441402-ga"},
        "": {"441402-wj", "441402-gd"},
    }


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, True),
        ({"domains": ["fire", "grid"]}, True),
        ({"domains": ["water"]}, False),
        ({"divisions": ["441402"]}, True),
        ({"divisions": ["441403", "441402004"]}, True),
        ({"divisions": ["441400"]}, True),
        ({"divisions": ["441403"]}, False),
        ({"types": ["c01039"]}, True),
        ({"types": ["m06001"]}, False),
        ({"types": ["c01039"], "divisions": ["441403"]}, False),
        ({"department": "441402-zj"}, False),
    ],
)
def test_filters_let_through_only_what_passes_all_of_them(desk: Desk, filters: dict[str, Any], wanted: bool) -> None:
    new_endpoint(desk, "system", **filters)
    assert receivers(desk, desk.open()) == ({"system": {"441402-cg"}} if wanted else {"": {"441402-cg"}})


def test_an_unlocated_case_passes_no_filter_on_divisions_but_the_citys(desk: Desk) -> None:
    new_endpoint(desk, "county", divisions=["441402"])
    new_endpoint(desk, "city", divisions=["441400"])
    case = desk.open(location={"lng": 113.2, "lat": 23.1, "datum": "wgs84"})
    desk.act(case.id, "dispatch", department="441402-cg", type="c01039")
    assert receivers(desk, case) == {"city": {"441402-cg"}}


def test_without_an_endpoint_a_message_is_visibly_held_and_adopted_by_the_next_that_fits(desk: Desk) -> None:
    case = desk.open()
    desk.act(case.id, "supervise", reason="催办")
    assert [(row.status, row.held_because) for row in desk.rows(deliveries)] == [("held", "no_endpoint")] * 2
    assert claim(desk) == []
    new_endpoint(desk, "other", department="441402-zj")
    assert receivers(desk, case) == {"": {"441402-cg"}}

    new_endpoint(desk, "light", department="441402-cg")

    assert receivers(desk, case) == {"light": {"441402-cg"}}
    first = claim(desk)
    assert [row.type for row, _ in first] == ["work_order.dispatched"]
    end(desk, first, OK)
    assert [row.type for row, _ in claim(desk)] == ["work_order.supervised"]
    assert desk.broken() == []


def test_what_is_for_a_disabled_endpoint_is_held_and_released_in_order(desk: Desk) -> None:
    light = new_endpoint(desk, "light")
    case = desk.open()
    switch(desk, light, False)
    desk.act(case.id, "supervise", reason="催办")
    assert [row.held_because for row in desk.rows(deliveries)] == ["disabled", "disabled"]
    assert claim(desk) == []
    switch(desk, light, True)
    sent = claim(desk)
    assert [row.type for row, _ in sent] == ["work_order.dispatched"]


def switch(desk: Desk, endpoint_id: str, enabled: bool) -> None:
    with desk.here.store.write() as tx:
        endpoint_.set_enabled(tx, endpoint_id, enabled, "liu", desk.now)


# In which order


def test_a_message_waits_for_the_earlier_one_of_its_case_and_for_no_other(desk: Desk) -> None:
    new_endpoint(desk, "a")
    new_endpoint(desk, "b", department="441402-cg")
    first, second = desk.open(), desk.open()
    desk.act(first.id, "supervise", reason="催办")
    sent = claim(desk)
    assert [row.type for row, _ in sent] == ["work_order.dispatched"] * 4
    assert claim(desk) == []
    of_a = [(row, out) for row, out in sent if row.case_id == first.id][:1]

    end(desk, of_a, OK)

    freed = claim(desk)
    assert [(row.case_id, row.type, row.endpoint_id) for row, _ in freed] == [
        (first.id, "work_order.supervised", of_a[0][0].endpoint_id)
    ]
    assert second.id not in [row.case_id for row, _ in freed]


def test_the_gravest_goes_first_then_the_oldest(desk: Desk) -> None:
    new_endpoint(desk, "all")
    light = desk.open()
    desk.pass_time(minutes=1)
    later = desk.open()
    fire = desk.open(**FIRE)
    assert [claim(desk, limit=1)[0][0].case_id for _ in range(3)] == [fire.id, light.id, later.id]


def test_busy_endpoints_are_left_alone(desk: Desk) -> None:
    new_endpoint(desk, "a")
    busy = new_endpoint(desk, "b")
    desk.open()
    assert [row.endpoint_id for row, _ in claim(desk, busy=(busy,))] != [busy]


def test_a_failed_message_lets_the_next_of_its_case_go(desk: Desk) -> None:
    new_endpoint(desk, "light")
    case = desk.open()
    desk.act(case.id, "supervise", reason="催办")
    for _ in range(10):
        end(desk, claim(desk), FAILED)
        make_due(desk)
    assert [row.status for row in desk.rows(deliveries)] == ["failed", "pending"]
    assert [row.type for row, _ in claim(desk)] == ["work_order.supervised"]


def test_the_backlog_of_a_case_is_looked_up_by_case_and_not_by_going_through_all_that_waits(desk: Desk) -> None:
    plans: list[str] = []

    @event.listens_for(desk.here.store.engine, "before_cursor_execute")
    def explain(_c: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "NOT (EXISTS" in statement:
            plans.extend(row[3] for row in cursor.execute("EXPLAIN QUERY PLAN " + statement, parameters).fetchall())

    claim(desk)
    with desk.here.store.read() as tx:
        anything_due(tx)
    looked_up = [plan for plan in plans if "earlier" in plan]
    assert len(looked_up) == 2
    assert all("deliveries_in_order (case_id=? AND endpoint_id=?" in plan for plan in looked_up)


# What an outcome makes of it


def test_each_attempt_is_on_record_and_the_id_is_the_same_on_every_one(desk: Desk) -> None:
    new_endpoint(desk, "light")
    desk.open()
    ids = []
    for outcome in (FAILED, FAILED, OK):
        sent = claim(desk)
        ids.append(sent[0][1].id)
        end(desk, sent, outcome)
        make_due(desk)
    assert len(set(ids)) == 1
    assert [(row.delivery_id, row.status, row.error) for row in desk.rows(attempts)] == [
        (ids[0], 500, "status: answered 500"),
        (ids[0], 500, "status: answered 500"),
        (ids[0], 204, None),
    ]
    delivery = desk.row(deliveries)
    assert (delivery.status, delivery.delivered_at, delivery.lease_until) == ("delivered", desk.now, 0)


@pytest.mark.parametrize(
    ("grade", "waits"),
    [(4, [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400, None]), (2, [1, 2, 5, 10, 30, 60, 60, 60])],
)
def test_waits_grow_by_schedule_and_end_in_failed(desk: Desk, grade: int, waits: list[float | None]) -> None:
    new_endpoint(desk, "light")
    desk.open(grade=grade)
    for wait in waits:
        end(desk, claim(desk), FAILED)
        delivery = desk.row(deliveries)
        if wait is None:
            assert delivery.status == "failed"
            return
        assert delivery.status == "pending"
        assert 0.8 * wait * 1000 <= delivery.due_at - desk.now <= 1.2 * wait * 1000 + 1
        make_due(desk)


def test_retry_after_is_obeyed_when_it_is_longer(desk: Desk) -> None:
    new_endpoint(desk, "light")
    desk.open()
    end(desk, claim(desk), replace(FAILED, status=503, retry_after=600.0))
    assert desk.row(deliveries).due_at == desk.now + 600_000


def test_an_answer_for_a_claim_that_was_lost_leaves_nothing(desk: Desk) -> None:
    light = new_endpoint(desk, "light")
    desk.open()
    slow = claim(desk)
    end_leases(desk)
    quick = claim(desk)
    with pytest.raises(ClaimLost):
        end(desk, slow, FAILED)
    assert desk.rows(attempts) == []
    assert desk.row(endpoints, endpoints.c.id == light).failures == 0
    end(desk, quick, OK)
    assert desk.row(deliveries).status == "delivered"


def test_410_disables_the_endpoint_on_record_and_holds_what_it_should_get(desk: Desk) -> None:
    light = new_endpoint(desk, "light")
    desk.open()
    desk.open()
    end(desk, claim(desk), GONE)
    row = desk.row(endpoints, endpoints.c.id == light)
    assert (row.enabled, row.disabled_because) == (False, "gone")
    assert [(d.status, d.held_because) for d in desk.rows(deliveries)] == [("held", "disabled")] * 2
    assert [(e.actor, e.action) for e in desk.rows(ledger, ledger.c.chain == "city")][-1] == (
        "dispatch",
        "endpoint.disabled",
    )
    assert claim(desk) == []


def test_what_comes_back_from_an_endpoint_that_was_disabled_meanwhile_is_held_with_the_rest(desk: Desk) -> None:
    light = new_endpoint(desk, "light")
    arriving, failing = desk.open(), desk.open()
    sent = claim(desk)
    switch(desk, light, False)
    end(desk, sent, OK, FAILED)
    make_due(desk)
    assert claim(desk) == []
    with desk.here.store.read() as tx:
        assert not anything_due(tx)
    states = {row.case_id: (row.status, row.held_because) for row in desk.rows(deliveries)}
    assert states == {arriving.id: ("delivered", None), failing.id: ("held", "disabled")}


def test_a_success_on_the_way_out_does_not_release_what_waits_for_a_disabled_endpoint(desk: Desk) -> None:
    in_the_present(desk)
    light = new_endpoint(desk, "light")
    desk.open()
    end(desk, claim(desk), FAILED)
    desk.open()
    sent = claim(desk)
    switch(desk, light, False)
    end(desk, sent, OK)
    assert sorted(row.status for row in desk.rows(deliveries)) == ["delivered", "held"]


@pytest.mark.parametrize("outcome", [OK, FAILED])
def test_what_is_on_its_way_to_a_deleted_endpoint_waits_for_the_next_one(desk: Desk, outcome: Outcome) -> None:
    light = new_endpoint(desk, "light", department="441402-cg")
    fire = new_endpoint(desk, "fire", department="441402-xf")
    desk.open()
    sent = claim(desk)
    with desk.here.store.write() as tx:
        endpoint_.delete(tx, light, "liu", desk.now)
    with pytest.raises(ClaimLost):  # it was promised to a department, and nobody knows whether it arrived
        end(desk, sent, outcome)
    assert [(row.status, row.held_because) for row in desk.rows(deliveries)] == [("held", "no_endpoint")]
    assert desk.broken() == []
    desk.open(**FIRE)
    assert [row.endpoint_id for row, _ in claim(desk)] == [fire]
    heir = new_endpoint(desk, "heir", department="441402-cg")
    assert [(row.endpoint_id, row.tries) for row, _ in claim(desk)] == [(heir, 1)]


def test_a_message_put_back_to_pending_for_a_deleted_endpoint_goes_nowhere_and_stops_nobody(desk: Desk) -> None:
    light = new_endpoint(desk, "light", department="441402-cg")
    new_endpoint(desk, "fire", department="441402-xf")
    desk.open()
    desk.open(**FIRE)
    with desk.here.store.write() as tx:
        endpoint_.delete(tx, light, "liu", desk.now)
    desk.set(deliveries, deliveries.c.department == "441402-cg", status="pending", endpoint_id=light)
    assert [row.department for row, _ in claim(desk)] == ["441402-xf"]


def test_the_first_success_after_an_outage_makes_all_that_failed_in_it_due_at_once(desk: Desk) -> None:
    in_the_present(desk)
    new_endpoint(desk, "light")
    for _ in range(3):
        desk.open()
    end(desk, claim(desk), FAILED)
    assert claim(desk) == []
    desk.pass_time(milliseconds=10)
    desk.open()
    end(desk, claim(desk), OK)
    assert len(claim(desk)) == 3


def test_a_message_that_fails_while_others_arrive_keeps_its_own_schedule(desk: Desk) -> None:
    """Or the receiver's one poisonous message would use up its three days within seconds."""
    in_the_present(desk)
    light = new_endpoint(desk, "light")
    desk.open()
    end(desk, claim(desk), FAILED)
    for _ in range(20):
        desk.pass_time(milliseconds=10)
        desk.open()
        for each in sorted(claim(desk), key=lambda each: -each[0].tries):
            end(desk, [each], FAILED if each[0].tries > 1 else OK)
    poison = desk.rows(deliveries)[0]
    assert poison.tries <= 2
    assert poison.status == "pending"
    assert desk.row(endpoints, endpoints.c.id == light).failures == 0


# The message


def test_a_message_says_what_the_contract_says(desk: Desk) -> None:
    new_endpoint(desk, "fire", department="441402-xf")
    person = {"name": "陈小明", "phone": "13812340000"}
    case = desk.open(title="三楼起火", reporter=person, **FIRE)
    row, outgoing = claim(desk)[0]
    message = json.loads(outgoing.body)
    order = desk.lead(case.id)
    assert message["type"] == "work_order.dispatched"
    assert message["timestamp"] == "2025-03-03T09:00:00+08:00"
    data = message["data"]
    assert set(data) == {"work_order", "case", "place", "deadline", "events"}
    assert {name: data["work_order"][name] for name in ("id", "role", "department")} == {
        "id": order.id,
        "role": "lead",
        "department": "441402-xf",
    }
    assert data["work_order"]["feedback_url"].endswith(f"/api/v1/work-orders/{order.id}/feedback")
    assert data["case"] == {
        "id": case.id,
        "number": case.number,
        "domain": "fire",
        "type": "fire.building_fire",
        "title": "三楼起火",
        "grade": 2,
        "status": "dispatched",
    }
    assert data["place"]["county"]["code"] == "441402"
    assert {name: data["deadline"][name] for name in ("due_at", "clock")} == {
        "due_at": "2025-03-03T09:15:00+08:00",
        "clock": "urgent",
    }
    assert data["events"][0]["reporter"] == {"name": "陈**", "phone": "138****0000"}
    assert row.id.startswith("msg_")


def test_a_storm_of_reports_makes_no_webhook_of_megabytes(desk: Desk) -> None:
    alarm = {"domain": "fire", "attributes": {"device_id": "d1", "states": ["fire"], "component_type": 40}}
    desk.report(*[alarm] * (EVENTS_SHOWN + 5))
    desk.handle("fire")
    case = desk.row(cases)
    desk.act(case.id, "supervise", reason="催办")
    assert case.event_count == EVENTS_SHOWN + 5
    for delivery in desk.rows(deliveries):
        shown = json.loads(delivery.body)["data"]["events"]
        assert len(shown) == EVENTS_SHOWN
        assert shown == sorted(shown, key=lambda each: each["id"])


# On the way


@pytest.fixture
def hanging() -> Iterator[str]:
    """A receiver that takes a request and never answers."""
    release = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            release.wait(30)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook"
    release.set()
    server.shutdown()


def post_room(desk: Desk) -> PostRoom:
    desk.here.config = replace(desk.here.config, webhook_allow=("127.0.0.0/8",))
    return PostRoom(desk.here)


def until(holds: Any, seconds: float = 10) -> None:
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_a_hanging_and_a_dead_endpoint_delay_no_other(desk: Desk, receiver: Any, hanging: str) -> None:
    new_endpoint(desk, "hanging", url=hanging)
    new_endpoint(desk, "dead")
    good = new_endpoint(desk, "good", url=receiver.url)
    desk.report(*[{}] * 150)
    desk.handle()
    room = post_room(desk)

    def all_arrived() -> bool:
        room.claim()
        found = desk.rows(deliveries, deliveries.c.endpoint_id == good, deliveries.c.status == "delivered")
        return len(found) == 150

    until(all_arrived, 30)  # behind the hanging one they would take five times its fifteen seconds
    assert len(receiver.messages) == 150
    assert "dispatch" in desk.bells.rung


def test_a_hanging_host_has_one_lane_however_many_endpoints_it_serves(desk: Desk, hanging: str) -> None:
    """What waits for a slow host longer than its lease would be sent by another worker at the same time."""
    for number in range(3):
        new_endpoint(desk, f"gateway {number}", url=f"{hanging}/{number}")
    desk.report(*[{}] * 40)
    desk.handle()
    room = post_room(desk)
    for _ in range(3):
        room.claim()
    assert LANE - LEAST < room.size() <= LANE


def test_attempts_that_cannot_be_recorded_give_their_places_back_and_are_sent_again(desk: Desk, receiver: Any) -> None:
    new_endpoint(desk, "good", url=receiver.url)
    desk.open()
    room = post_room(desk)
    rename(desk, "attempts", "elsewhere")
    room.claim()
    until(lambda: receiver.messages and not room.size())
    rename(desk, "elsewhere", "attempts")
    assert desk.row(deliveries).status == "pending"
    end_leases(desk)
    room.claim()
    until(lambda: desk.row(deliveries).status == "delivered")
    assert len({message.headers["webhook-id"] for message in receiver.messages}) == 1


def test_an_unforeseen_error_while_recording_gives_the_places_back_too(desk: Desk, receiver: Any) -> None:
    new_endpoint(desk, "good", url=receiver.url)
    desk.open()
    room = post_room(desk)
    with desk.here.store.write() as tx:
        tx.execute(text("CREATE TRIGGER broken BEFORE INSERT ON attempts BEGIN SELECT RAISE(ABORT, 'no'); END"))
    room.claim()
    until(lambda: receiver.messages and not room.size())
    assert desk.rows(attempts) == []


def rename(desk: Desk, table: str, name: str) -> None:
    with desk.here.store.write() as tx:
        tx.execute(text(f"ALTER TABLE {table} RENAME TO {name}"))
