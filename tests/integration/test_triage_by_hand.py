"""What no rule decides, a person decides in one step; what no handler can take, a person takes in or refuses."""

import pytest
from desk import Desk
from postgres import both_stores

from citybrain.casework.taking_in import Refusal, refuse, take_in
from citybrain.problem import Problem
from citybrain.store.tables import events

pytestmark = both_stores
HERE = {"lng": 116.1174053, "lat": 24.2912377, "datum": "wgs84"}  # 江南街道 in 441402
LIGHTS = "441402-cg"


def test_one_step_places_types_and_dispatches(desk: Desk) -> None:
    case = desk.open(description="暂无名目之事", location={"lng": 113.0, "lat": 23.0, "datum": "wgs84"})
    assert (case.status, case.triage_reason, case.town) == ("triage", "outside", None)
    shown = desk.act(case.id, "dispatch", location=HERE, type="c01039", department=LIGHTS)
    assert (shown["status"], shown["version"], shown["place"]["town"]["code"]) == ("dispatched", 2, "441402004")
    assert [action for _, action in desk.story(case.id)] == ["triage", "typed", "relocated", "dispatched"]
    assert desk.entries(case.id, "relocated")[0]["responsible"] == LIGHTS
    assert desk.broken() == []


def test_a_wrong_place_leaves_everything_as_it_was(desk: Desk) -> None:
    case = desk.open(description="暂无名目之事")
    wrong = desk.refused(case.id, "dispatch", location={"lng": 24.29, "lat": 116.11}, type="c01039", department=LIGHTS)
    assert (wrong.status, wrong.errors[0].field) == (422, "location")
    assert desk.case(case.id) == case


def quarantined(desk: Desk) -> str:
    event_id = desk.report({"description": "路灯不亮"})[0]
    desk.set(events, events.c.id == event_id, state="quarantined", tries=3, trace="ValueError: 无法处理")
    return event_id


def test_a_quarantined_event_is_taken_in_and_worked_like_any_other(desk: Desk) -> None:
    event_id = quarantined(desk)
    case = take_in(event_id, desk.key, desk.here)
    assert (case["status"], case["triage_reason"], case["events"][0]["id"]) == ("triage", "quarantined", event_id)
    assert desk.story(case["id"]) == [("liu", "triage")]
    desk.act(case["id"], "dispatch", type="c01039", department=LIGHTS)
    assert (desk.event(event_id).state, desk.event(event_id).case_id) == ("cased", case["id"])
    with pytest.raises(Problem, match="only quarantined"):
        take_in(event_id, desk.key, desk.here)
    assert desk.broken() == []


def test_a_quarantined_event_is_refused_with_a_reason_and_kept(desk: Desk) -> None:
    event_id = quarantined(desk)
    case = refuse(event_id, desk.key, desk.here, Refusal(reason="测试数据"))
    assert (case["status"], desk.event(event_id).state) == ("void", "cased")
    assert desk.entries(case["id"], "voided")[0]["reason"] == "测试数据"
    assert desk.broken() == []
