"""A delivery between claim and outcome: in which order messages go, and what becomes of those that do not arrive."""

from dataclasses import replace
from typing import Any

import pytest
from desk import Desk
from postgres import both_stores, only_sqlite
from posting import FAILED, GONE, LATE, OK, claim, end, end_leases, in_the_present, make_due, switch
from sqlalchemy import event
from steps import FIRE

from citybrain.dispatch import endpoint as endpoint_
from citybrain.dispatch.delivery import anything_due
from citybrain.dispatch.sender import Outcome
from citybrain.store.claims import ClaimLost
from citybrain.store.dispatch_tables import attempts, deliveries, endpoints
from citybrain.store.ledger_tables import ledger

pytestmark = both_stores

# In which order


def test_a_message_waits_for_the_earlier_one_of_its_case_and_for_no_other(desk: Desk) -> None:
    desk.endpoint("a")
    desk.endpoint("b", department="441402-cg")
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
    desk.endpoint("all")
    light = desk.open()
    desk.pass_time(minutes=1)
    later = desk.open()
    fire = desk.open(**FIRE)
    assert [claim(desk, limit=1)[0][0].case_id for _ in range(3)] == [fire.id, light.id, later.id]


def test_busy_endpoints_are_left_alone(desk: Desk) -> None:
    desk.endpoint("a")
    busy = desk.endpoint("b")
    desk.open()
    assert [row.endpoint_id for row, _ in claim(desk, busy=(busy,))] != [busy]


def test_a_failed_message_lets_the_next_of_its_case_go(desk: Desk) -> None:
    desk.endpoint("light")
    case = desk.open()
    desk.act(case.id, "supervise", reason="催办")
    for _ in range(10):
        end(desk, claim(desk), FAILED)
        make_due(desk)
    assert [row.status for row in desk.rows(deliveries)] == ["failed", "pending"]
    assert [row.type for row, _ in claim(desk)] == ["work_order.supervised"]


@only_sqlite  # the plans of PostgreSQL depend on how much there is
def test_the_backlog_of_a_case_is_looked_up_by_case_and_not_by_going_through_all_that_waits(desk: Desk) -> None:
    plans: list[str] = []

    @event.listens_for(desk.here.store.engine, "before_cursor_execute")
    def explain(_c: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "AS earlier" in statement:
            plans.extend(row[3] for row in cursor.execute("EXPLAIN QUERY PLAN " + statement, parameters).fetchall())

    claim(desk)
    with desk.here.store.read() as tx:
        anything_due(tx)
    looked_up = [plan for plan in plans if "earlier" in plan]
    assert looked_up
    assert all("deliveries_in_order (case_id=? AND endpoint_id=?" in plan for plan in looked_up)


# What an outcome makes of it


def test_each_attempt_is_on_record_and_the_id_is_the_same_on_every_one(desk: Desk) -> None:
    desk.endpoint("light")
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
    desk.endpoint("light")
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
    desk.endpoint("light")
    desk.open()
    end(desk, claim(desk), replace(FAILED, status=503, retry_after=600.0))
    assert desk.row(deliveries).due_at == desk.now + 600_000


def test_what_was_claimed_and_not_sent_is_as_it_was_before(desk: Desk) -> None:
    desk.endpoint("good")
    desk.report({}, {})
    desk.handle()
    end(desk, claim(desk), OK, LATE)
    assert sorted((row.status, row.tries, row.lease_until) for row in desk.rows(deliveries)) == [
        ("delivered", 1, 0),
        ("pending", 0, 0),
    ]
    assert len(desk.rows(attempts)) == 1
    assert len(claim(desk)) == 1


def test_an_answer_for_a_claim_that_was_lost_leaves_nothing(desk: Desk) -> None:
    light = desk.endpoint("light")
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
    light = desk.endpoint("light")
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
    light = desk.endpoint("light")
    arriving, failing = desk.open(), desk.open()
    sent = claim(desk)
    switch(desk, light, False)
    outcomes = {arriving.id: OK, failing.id: FAILED}
    end(desk, sent, *(outcomes[row.case_id] for row, _ in sent))
    make_due(desk)
    assert claim(desk) == []
    with desk.here.store.read() as tx:
        assert not anything_due(tx)
    states = {row.case_id: (row.status, row.held_because) for row in desk.rows(deliveries)}
    assert states == {arriving.id: ("delivered", None), failing.id: ("held", "disabled")}


def test_a_success_on_the_way_out_does_not_release_what_waits_for_a_disabled_endpoint(desk: Desk) -> None:
    in_the_present(desk)
    light = desk.endpoint("light")
    desk.open()
    end(desk, claim(desk), FAILED)
    desk.open()
    sent = claim(desk)
    switch(desk, light, False)
    end(desk, sent, OK)
    assert sorted(row.status for row in desk.rows(deliveries)) == ["delivered", "held"]


@pytest.mark.parametrize("outcome", [OK, FAILED])
def test_what_is_on_its_way_to_a_deleted_endpoint_waits_for_the_next_one(desk: Desk, outcome: Outcome) -> None:
    light = desk.endpoint("light", department="441402-cg")
    fire = desk.endpoint("fire", department="441402-xf")
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
    heir = desk.endpoint("heir", department="441402-cg")
    assert [(row.endpoint_id, row.tries) for row, _ in claim(desk)] == [(heir, 1)]


def test_a_message_put_back_to_pending_for_a_deleted_endpoint_goes_nowhere_and_stops_nobody(desk: Desk) -> None:
    light = desk.endpoint("light", department="441402-cg")
    desk.endpoint("fire", department="441402-xf")
    desk.open()
    desk.open(**FIRE)
    with desk.here.store.write() as tx:
        endpoint_.delete(tx, light, "liu", desk.now)
    desk.set(deliveries, deliveries.c.department == "441402-cg", status="pending", endpoint_id=light)
    assert [row.department for row, _ in claim(desk)] == ["441402-xf"]


def test_the_first_success_after_an_outage_makes_all_that_failed_in_it_due_at_once(desk: Desk) -> None:
    in_the_present(desk)
    desk.endpoint("light")
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
    light = desk.endpoint("light")
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
