"""Which endpoints a message goes to, what waits for one, and what the message says."""

import json
from typing import Any

import pytest
from desk import Desk
from postgres import both_stores
from posting import OK, claim, end, switch
from sqlalchemy import Row
from steps import FIRE

from citybrain.casework.writing import EVENTS_SHOWN
from citybrain.store.dispatch_tables import deliveries, endpoints
from citybrain.store.tables import cases

pytestmark = both_stores


def receivers(desk: Desk, case: Row[Any]) -> dict[str, set[str]]:
    """Which departments' messages each endpoint gets; under "" what is held for want of one."""
    names = {row.id: row.name for row in desk.rows(endpoints)} | {None: ""}
    found: dict[str, set[str]] = {}
    for row in desk.rows(deliveries, deliveries.c.case_id == case.id):
        found.setdefault(names[row.endpoint_id], set()).add(row.department)
    return found


# To whom


def test_an_endpoint_gets_the_orders_of_its_department_and_of_those_below(desk: Desk) -> None:
    desk.endpoint("city fire", department="441400-xf")
    desk.endpoint("county fire", department="441402-xf")
    desk.endpoint("other county", department="441403-xf")
    desk.endpoint("county police", department="441402-ga")
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
    desk.endpoint("system", **filters)
    assert receivers(desk, desk.open()) == ({"system": {"441402-cg"}} if wanted else {"": {"441402-cg"}})


def test_an_unlocated_case_passes_no_filter_on_divisions_but_the_citys(desk: Desk) -> None:
    desk.endpoint("county", divisions=["441402"])
    desk.endpoint("city", divisions=["441400"])
    case = desk.open(location={"lng": 113.2, "lat": 23.1, "datum": "wgs84"})
    desk.act(case.id, "dispatch", department="441402-cg", type="c01039")
    assert receivers(desk, case) == {"city": {"441402-cg"}}


def test_without_an_endpoint_a_message_is_visibly_held_and_adopted_by_the_next_that_fits(desk: Desk) -> None:
    case = desk.open()
    desk.act(case.id, "supervise", reason="催办")
    assert [(row.status, row.held_because) for row in desk.rows(deliveries)] == [("held", "no_endpoint")] * 2
    assert claim(desk) == []
    desk.endpoint("other", department="441402-zj")
    assert receivers(desk, case) == {"": {"441402-cg"}}

    desk.endpoint("light", department="441402-cg")

    assert receivers(desk, case) == {"light": {"441402-cg"}}
    first = claim(desk)
    assert [row.type for row, _ in first] == ["work_order.dispatched"]
    end(desk, first, OK)
    assert [row.type for row, _ in claim(desk)] == ["work_order.supervised"]
    assert desk.broken() == []


def test_what_is_for_a_disabled_endpoint_is_held_and_released_in_order(desk: Desk) -> None:
    light = desk.endpoint("light")
    case = desk.open()
    switch(desk, light, False)
    desk.act(case.id, "supervise", reason="催办")
    assert [row.held_because for row in desk.rows(deliveries)] == ["disabled", "disabled"]
    assert claim(desk) == []
    switch(desk, light, True)
    sent = claim(desk)
    assert [row.type for row, _ in sent] == ["work_order.dispatched"]


# The message


def test_a_message_says_what_the_contract_says(desk: Desk) -> None:
    desk.endpoint("fire", department="441402-xf")
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
        "event_count": 1,
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
