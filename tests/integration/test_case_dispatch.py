"""Who has a case in hand: dispatched, reassigned, returned, urged, and moved to another place."""

from typing import Any

import pytest
from desk import Desk
from postgres import both_stores
from steps import BODIES, FIRE, case_in, in_triage

from citybrain.keys import Key, Role
from citybrain.problem import Problem

pytestmark = both_stores

# dispatch


def test_dispatch_from_triage_needs_a_type_of_its_domain_when_it_has_none(desk: Desk) -> None:
    case = in_triage(desk)
    for type_ in ({}, {"type": "fire.building_fire"}, {"type": "c99999"}):
        problem = desk.refused(case.id, "dispatch", department="441402-cg", **type_)
        assert (problem.status, problem.errors[0].field) == (422, "type")
    assert desk.case(case.id) == case


def test_dispatch_from_triage_gives_type_grade_clock_and_orders_and_its_event_leaves_triage(desk: Desk) -> None:
    event_id = desk.report({"description": "嗯"})[0]
    desk.handle()
    case = desk.case(desk.event(event_id).case_id)
    assert (case.type, case.due_at, desk.event(event_id).state) == (None, None, "triage")

    desk.pass_time(hours=1)
    desk.act(case.id, "dispatch", department="441402-cg", assist=["441402-zj"], type="c01039")

    case = desk.case(case.id)
    assert (case.status, case.type, case.lead, case.triage_reason) == ("dispatched", "c01039", "441402-cg", None)
    assert (case.limit_amount, case.limit_unit, case.started_at) == (2, "working_days", desk.now)
    assert [(order.role, order.department, order.due_at) for order in desk.orders(case.id)] == [
        ("lead", "441402-cg", case.due_at),
        ("assist", "441402-zj", case.due_at),
    ]
    assert desk.told(case.id) == [("work_order.dispatched", "441402-cg"), ("work_order.dispatched", "441402-zj")]
    assert desk.event(event_id).state == "cased"
    assert desk.story(case.id) == [("rules", "triage"), ("liu", "typed"), ("liu", "dispatched")]


def test_dispatch_refuses_departments_that_do_not_exist(desk: Desk) -> None:
    case = in_triage(desk)
    for field, body in {"department": {"department": "nobody"}, "assist": {"assist": ["nobody"]}}.items():
        problem = desk.refused(case.id, "dispatch", **({"department": "441402-cg", "type": "c01039"} | body))
        assert (problem.status, problem.errors[0].field) == (422, field)


def test_a_department_named_twice_gets_one_order(desk: Desk) -> None:
    case = in_triage(desk)
    assist = ["441402-zj", "441402-cg", "441402-zj"]
    desk.act(case.id, "dispatch", department="441402-cg", type="c01039", assist=assist)
    assert [order.department for order in desk.orders(case.id)] == ["441402-cg", "441402-zj"]


def test_a_type_given_by_hand_may_make_a_case_graver_and_never_lighter(desk: Desk) -> None:
    urgent = desk.open(description="嗯", grade=1)
    desk.act(urgent.id, "dispatch", department="441402-cg", type="c01039")  # a street light is Ⅳ
    assert desk.case(urgent.id).grade == 1
    ordinary = desk.open(domain="fire", description="嗯", source_event_id="x")
    assert ordinary.grade == 4
    desk.act(ordinary.id, "dispatch", department="441402-xf", type="fire.building_fire")
    assert desk.case(ordinary.id).grade <= 2


def test_dispatch_after_a_return_keeps_what_is_used_of_the_clock(desk: Desk) -> None:
    case = desk.open()
    desk.act(case.id, "return", reason="不是我们")
    desk.pass_time(hours=3)
    desk.act(case.id, "dispatch", department="441402-zj")
    assert desk.case(case.id).due_at == desk.lead(case.id).due_at == case.due_at


def test_dispatch_again_calls_off_the_assistants_of_the_first_time(desk: Desk) -> None:
    case = desk.open(**FIRE)
    desk.act(case.id, "return", reason="不是我们")
    desk.act(case.id, "dispatch", department="441402-yj", assist=["441402-ga"])
    assert [order.department for order in desk.orders(case.id, status="sent")] == ["441402-yj", "441402-ga"]
    assert [order.status for order in desk.orders(case.id, "assist")][:3] == ["cancelled"] * 3


# reassign, return


def test_reassign_calls_off_the_old_lead_and_tells_both(desk: Desk) -> None:
    case = desk.open()
    desk.answer(desk.lead(case.id).id, "accepted")
    desk.pass_time(hours=5)

    desk.act(case.id, "reassign", department="441402-zj", reason="指定主办")

    old, new = desk.orders(case.id)
    assert (old.status, new.status, new.role, new.department) == ("cancelled", "sent", "lead", "441402-zj")
    assert new.due_at == case.due_at  # what is used up stays used up
    assert (desk.case(case.id).status, desk.case(case.id).lead) == ("dispatched", "441402-zj")
    assert desk.told(case.id)[1:] == [("work_order.cancelled", "441402-cg"), ("work_order.dispatched", "441402-zj")]
    assert desk.last_entry(case.id) == {"before": "441402-cg", "department": "441402-zj", "reason": "指定主办"}


def test_reassign_leaves_the_assistants_at_work_but_for_the_one_that_now_leads(desk: Desk) -> None:
    case = desk.open(**FIRE)
    desk.act(case.id, "reassign", department="441402-ga", reason="指定主办")
    active = [(order.role, order.department) for order in desk.orders(case.id, status="sent")]
    assert active == [("assist", "441402-wj"), ("assist", "441402-gd"), ("lead", "441402-ga")]


def test_return_says_why_and_who_is_thought_responsible(desk: Desk) -> None:
    case = desk.open(**FIRE)
    desk.act(case.id, "return", reason="是山火", responsible="441402-ly")
    lead = desk.lead(case.id)
    assert (lead.status, lead.reason, lead.responsible) == ("returned", "是山火", "441402-ly")
    assert [order.status for order in desk.orders(case.id, "assist")] == ["sent"] * 3
    assert desk.told(case.id)[-1] == ("work_order.updated", "441402-xf")
    assert desk.last_entry(case.id) == {"reason": "是山火", "responsible": "441402-ly"}


def test_a_returned_case_goes_its_whole_way_with_the_next_department(desk: Desk) -> None:
    case = desk.open()
    desk.act(case.id, "return", reason="不是我们")
    desk.act(case.id, "dispatch", department="441402-zj")
    desk.answer(desk.lead(case.id).id, "accepted")
    assert desk.case(case.id).status == "accepted"
    desk.answer(desk.lead(case.id).id, "completed")
    assert desk.case(case.id).status == "completed"


# supervise, note, relocate


def test_supervise_tells_whoever_has_it_in_hand(desk: Desk) -> None:
    case = desk.open(**FIRE)
    police = next(order for order in desk.orders(case.id) if order.department == "441402-ga")
    desk.answer(police.id, "completed")
    desk.act(case.id, "supervise", reason="群众催办")
    urged = [department for type_, department in desk.told(case.id) if type_ == "work_order.supervised"]
    assert urged == ["441402-xf", "441402-wj", "441402-gd"]
    assert desk.last_entry(case.id) == {"reason": "群众催办"}


def test_a_note_stands_in_the_ledger_and_is_told_nobody(desk: Desk) -> None:
    case = desk.open()
    desk.act(case.id, "note", text="已电话联系")
    assert desk.story(case.id)[-1] == ("liu", "noted")
    assert len(desk.told(case.id)) == 1


def test_relocate_changes_the_place_and_the_department_follows_but_never_the_event(desk: Desk) -> None:
    event_id = desk.report({})[0]
    desk.handle()
    event = desk.event(event_id)
    case = desk.case(event.case_id)

    desk.act(case.id, "relocate", **BODIES["relocate"])

    moved = desk.case(case.id)
    assert (moved.county, moved.town, moved.cell) == ("441403", None, None)
    assert moved.place["county"]["name"] == "梅县区"
    assert moved.lead == "441403-cg"
    assert moved.due_at == case.due_at
    assert [(o.department, o.status) for o in desk.orders(case.id)] == [
        ("441402-cg", "cancelled"),
        ("441403-cg", "sent"),
    ]
    assert desk.told(case.id)[1:] == [("work_order.cancelled", "441402-cg"), ("work_order.dispatched", "441403-cg")]
    assert desk.event(event_id) == event


def test_relocate_within_a_department_updates_its_orders(desk: Desk) -> None:
    case = case_in(desk, "accepted")
    desk.act(case.id, "relocate", location={"division_code": "441402006"}, reason="位置有误")
    moved = desk.case(case.id)
    assert (moved.status, moved.lead, moved.town) == ("accepted", "441402-cg", "441402006")
    assert desk.told(case.id)[1:] == [("work_order.updated", "441402-cg")]


def test_relocate_in_triage_names_who_would_be_responsible_and_stays_there(desk: Desk) -> None:
    case = desk.open(location={"lng": 113.2, "lat": 23.1, "datum": "wgs84"})  # 广州
    assert (case.status, case.triage_reason, case.county) == ("triage", "outside", None)
    desk.act(case.id, "relocate", **BODIES["relocate"])
    assert (desk.case(case.id).status, desk.case(case.id).county) == ("triage", "441403")
    assert desk.last_entry(case.id)["responsible"] == "441403-cg"


@pytest.mark.parametrize(
    "location",
    [{}, {"lng": 0, "lat": 0}, {"division_code": "1"}, {"lng": 24.29, "lat": 116.12}, {"lng": "116", "lat": 24}],
)
def test_relocate_refuses_a_location_that_is_none(desk: Desk, location: dict[str, Any]) -> None:
    case = desk.open()
    assert desk.refused(case.id, "relocate", location=location, reason="位置有误").status == 422
    assert desk.case(case.id) == case


def test_an_operator_who_moves_a_case_out_of_his_own_divisions_is_answered_with_it(desk: Desk) -> None:
    case = desk.open()
    desk.key = Key("wang", Role.OPERATOR, frozenset(), frozenset({"441402"}), frozenset())
    assert desk.act(case.id, "relocate", **BODIES["relocate"])["place"]["county"]["code"] == "441403"
    with pytest.raises(Problem):
        desk.act(case.id, "note", text="现在看不到了")
