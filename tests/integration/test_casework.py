"""Every action of the contract's table done to cases in a real store: what changes, who is told, what is refused."""

from typing import Any

import pytest
from desk import Desk
from sqlalchemy import Row

from citybrain.casework.case import STEPS, Status
from citybrain.keys import Key, Role
from citybrain.problem import Problem
from citybrain.store.tables import cases, events

FIRE = {"domain": "fire", "type": "fire.building_fire"}  # leads: fire brigade; assist: police, health, power
BODIES: dict[str, dict[str, Any]] = {
    "dispatch": {"department": "441402-cg", "type": "c01039"},
    "relocate": {"location": {"division_code": "441403"}, "reason": "位置有误"},
    "reassign": {"department": "441402-zj", "reason": "指定主办"},
    "return": {"reason": "不属于我单位职责"},
    "extend": {"until": "2025-03-20T12:00:00+08:00", "reason": "等待配件"},
    "suspend": {"until": "2025-03-20T12:00:00+08:00", "reason": "等待拆迁"},
    "resume": {},
    "supervise": {"reason": "群众催办"},
    "note": {"text": "已电话联系"},
    "verify": {"passed": True},
    "rework": {"reason": "没有修好"},
    "close": {},
    "reopen": {"reason": "又坏了"},
    "merge": {"into": "another"},
    "split": {"events": ["one"]},
    "void": {"reason": "重复上报"},
}


def in_triage(desk: Desk) -> Row[Any]:
    case = desk.open(description="嗯")  # nothing in it that any rule knows
    assert case.status == "triage"
    return case


def completed(desk: Desk, **event: Any) -> Row[Any]:
    case = desk.open(**event)
    for order in desk.orders(case.id):
        desk.answer(order.id, "completed")
    return desk.case(case.id)


def case_in(desk: Desk, status: str) -> Row[Any]:
    """A case that came to its status the way cases do."""
    case = in_triage(desk) if status in ("triage", "filed", "void") else desk.open()
    if status == "filed":  # a rule files and dispatches in one step, so nothing stays there by itself
        desk.set(cases, cases.c.id == case.id, status="filed", type="c01039")
        desk.set(events, events.c.case_id == case.id, state="cased")
    elif status == "accepted":
        desk.answer(desk.lead(case.id).id, "accepted")
    elif status in ("completed", "verified", "closed"):
        desk.answer(desk.lead(case.id).id, "completed")
    actions = {"returned": ["return"], "verified": ["verify"], "closed": ["verify", "close"], "void": ["void"]}
    for action in actions.get(status, ["suspend"] if status == "suspended" else []):
        desk.act(case.id, action, **BODIES[action])
    case = desk.case(case.id)
    assert case.status == status
    return case


def refusal(desk: Desk, case_id: str, action: str, **body: Any) -> Problem:
    with pytest.raises(Problem) as refused:
        desk.act(case_id, action, **body)
    return refused.value


# The table as a whole


@pytest.mark.parametrize("status", Status)
def test_a_wrong_step_is_409_names_the_legal_ones_and_changes_nothing(desk: Desk, status: str) -> None:
    case = case_in(desk, status)
    legal = [action for action, step in STEPS.items() if status in step.sources]
    for action in set(STEPS) - set(legal):
        problem = refusal(desk, case.id, action, **BODIES[action])
        assert (problem.status, problem.extra["legal"]) == (409, legal), action
    assert desk.case(case.id) == case
    assert desk.broken() == []


@pytest.mark.parametrize(
    ("status", "action"), [(status, action) for action, step in STEPS.items() for status in sorted(step.sources)]
)
def test_a_legal_step_leads_where_the_contract_says(desk: Desk, status: str, action: str) -> None:
    case, body = case_in(desk, status), dict(BODIES[action])
    if action == "merge":
        body["into"] = desk.open(type="m06001").number
    if action == "split":
        with_another_event(desk, case)
        body["events"] = [row.id for row in desk.rows(events, events.c.case_id == case.id)][:1]

    shown = desk.act(case.id, action, **body)

    expected = STEPS[action].target or ("dispatched" if action == "resume" else status)
    if (action, status) == ("relocate", "accepted"):
        expected = "dispatched"  # the department that answers there has not accepted yet
    assert shown["status"] == desk.case(case.id).status == expected
    assert shown["version"] == desk.case(case.id).version > case.version
    assert desk.story(case.id)[-1][0] == "liu"
    assert desk.broken() == []


def with_another_event(desk: Desk, case: Row[Any]) -> None:
    """Puts one more event into a case, whatever its status."""
    other = desk.open(type="m06001")
    desk.act(other.id, "merge", into=case.id)


@pytest.mark.parametrize("action", [name for name, step in STEPS.items() if step.requires])
def test_a_missing_requirement_is_422_names_the_field_and_changes_nothing(desk: Desk, action: str) -> None:
    case = case_in(desk, sorted(STEPS[action].sources)[0])
    for name in STEPS[action].requires:
        body = {key: value for key, value in BODIES[action].items() if key != name}
        problem = refusal(desk, case.id, action, **body)
        assert problem.status == 422
        assert name in [error.field for error in problem.errors]
    assert desk.case(case.id) == case


def test_an_old_version_is_409_with_the_present_case_and_who_acted_first(desk: Desk) -> None:
    case = desk.open()
    desk.key = Key("wang", Role.OPERATOR, frozenset(), frozenset(), frozenset())
    desk.act(case.id, "note", text="我来处理")

    problem = refusal(desk, case.id, "supervise", version=case.version, reason="催办")

    assert problem.status == 409
    assert "wang" in problem.detail
    assert "noted" in problem.detail
    assert problem.extra["case"]["version"] == case.version + 1
    assert problem.extra["case"]["timeline"][-1]["data"] == {"text": "我来处理"}


def test_who_acts_on_what_has_changed_meanwhile_is_told_who_acted_first_and_what_is_legal_now(desk: Desk) -> None:
    case = in_triage(desk)
    desk.act(case.id, "dispatch", department="441402-cg", type="c01039")

    problem = refusal(desk, case.id, "dispatch", version=case.version, department="441402-zj", type="c01039")

    assert problem.status == 409
    assert problem.detail.startswith("liu acted first (dispatched")
    assert problem.extra["case"]["status"] == "dispatched"
    assert problem.extra["legal"] == problem.extra["case"]["actions"]
    assert desk.case(case.id).lead == "441402-cg"


def test_a_version_from_the_future_is_409(desk: Desk) -> None:
    case = desk.open()
    assert refusal(desk, case.id, "note", version=9, text="嗯").status == 409


def test_an_unknown_action_is_404(desk: Desk) -> None:
    assert refusal(desk, desk.open().id, "approve").status == 404


# dispatch


def test_dispatch_from_triage_needs_a_type_of_its_domain_when_it_has_none(desk: Desk) -> None:
    case = in_triage(desk)
    for type_ in ({}, {"type": "fire.building_fire"}, {"type": "c99999"}):
        problem = refusal(desk, case.id, "dispatch", department="441402-cg", **type_)
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
        problem = refusal(desk, case.id, "dispatch", **({"department": "441402-cg", "type": "c01039"} | body))
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


# extend, suspend, resume


def test_extend_moves_the_deadline_of_case_and_orders_and_tells_them(desk: Desk) -> None:
    case = desk.open(**FIRE)
    desk.act(case.id, "extend", until="2025-03-03T15:00:00+08:00", reason="火势未控")
    case = desk.case(case.id)
    assert case.due_at == desk.now + 6 * 3_600_000
    assert case.extensions == 1
    assert {order.due_at for order in desk.orders(case.id)} == {case.due_at}
    assert desk.told(case.id)[4:] == [("work_order.updated", order.department) for order in desk.orders(case.id)]


@pytest.mark.parametrize(
    "until", ["2025-03-03T08:59:00+08:00", "2025-03-05T08:00:00+08:00", "9999-12-31T23:59:59Z", "2025-03-10", "soon"]
)
def test_extend_refuses_what_is_past_or_no_later_or_beyond_all_calendars(desk: Desk, until: str) -> None:
    case = desk.open()
    problem = refusal(desk, case.id, "extend", until=until, reason="等待配件")
    assert (problem.status, problem.errors[0].field) == (422, "until")
    assert desk.case(case.id) == case


def test_suspend_refuses_a_time_beyond_all_calendars(desk: Desk) -> None:
    case = desk.open()
    assert refusal(desk, case.id, "suspend", until="9999-12-31T23:59:59Z", reason="等").status == 422


def test_suspension_keeps_what_was_used_of_a_working_clock(desk: Desk) -> None:
    case = desk.open()  # two working days, from Monday 09:00: until Wednesday 09:00
    desk.pass_time(hours=6)  # until 15:00, of which four are working hours
    desk.act(case.id, "suspend", **BODIES["suspend"])
    paused = desk.case(case.id)
    assert (paused.due_at, paused.left_seconds) == (None, 12 * 3600)
    assert [(o.due_at, o.left_seconds) for o in desk.orders(case.id)] == [(None, 12 * 3600)]

    desk.pass_time(days=7)
    desk.act(case.id, "resume")

    resumed = desk.case(case.id)
    assert resumed.due_at == desk.now + 42 * 3_600_000  # 3 h of Monday, 8 h of Tuesday, 1 h of Wednesday
    assert (resumed.left_seconds, resumed.suspended_from, resumed.suspended_until) == (None, None, None)
    assert [(o.due_at, o.left_seconds) for o in desk.orders(case.id)] == [(resumed.due_at, None)]
    assert desk.told(case.id)[1:] == [("work_order.updated", "441402-cg")] * 2


def test_suspension_keeps_what_was_used_of_an_urgent_clock(desk: Desk) -> None:
    case = desk.open(**FIRE)  # fifteen minutes, day and night
    desk.pass_time(minutes=5)
    desk.act(case.id, "suspend", **BODIES["suspend"])
    desk.pass_time(hours=100)
    desk.act(case.id, "resume")
    assert desk.case(case.id).due_at == desk.now + 10 * 60_000
    assert {order.due_at for order in desk.orders(case.id)} == {desk.now + 10 * 60_000}


def test_a_case_comes_back_from_suspension_as_it_was(desk: Desk) -> None:
    case = case_in(desk, "accepted")
    desk.act(case.id, "suspend", **BODIES["suspend"])
    desk.act(case.id, "resume")
    assert desk.case(case.id).status == "accepted"


def test_an_overdue_case_comes_back_from_suspension_as_late_as_it_was(desk: Desk) -> None:
    case = desk.open(**FIRE)
    desk.pass_time(minutes=25)
    desk.act(case.id, "suspend", **BODIES["suspend"])
    desk.pass_time(days=2)
    desk.act(case.id, "resume")
    assert desk.case(case.id).due_at == desk.now - 10 * 60_000


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
    assert refusal(desk, case.id, "relocate", location=location, reason="位置有误").status == 422
    assert desk.case(case.id) == case


def test_an_operator_who_moves_a_case_out_of_his_own_divisions_is_answered_with_it(desk: Desk) -> None:
    case = desk.open()
    desk.key = Key("wang", Role.OPERATOR, frozenset(), frozenset({"441402"}), frozenset())
    assert desk.act(case.id, "relocate", **BODIES["relocate"])["place"]["county"]["code"] == "441403"
    with pytest.raises(Problem):
        desk.act(case.id, "note", text="现在看不到了")


# verify, rework, close, reopen


def test_a_passed_verification_leads_to_closure_and_every_department_hears_of_it(desk: Desk) -> None:
    case = completed(desk, **FIRE)
    desk.act(case.id, "verify", passed=True, text="现场已恢复")
    desk.pass_time(hours=1)
    desk.act(case.id, "close")
    assert desk.case(case.id).closed_at == desk.now
    told = [department for type_, department in desk.told(case.id) if type_ == "case.closed"]
    assert told == ["441402-xf", "441402-ga", "441402-wj", "441402-gd"]


def test_a_failed_verification_is_rework_and_must_say_what_is_wrong(desk: Desk) -> None:
    case = completed(desk)
    assert refusal(desk, case.id, "verify", passed=False).errors[0].field == "reason"
    desk.act(case.id, "verify", passed=False, reason="灯还是不亮")
    assert desk.case(case.id).status == "dispatched"
    assert desk.story(case.id)[-1] == ("liu", "reworked")


def test_rework_keeps_departments_and_history_and_has_the_whole_limit_again(desk: Desk) -> None:
    case = completed(desk, **FIRE)
    desk.pass_time(hours=2)

    desk.act(case.id, "rework", reason="复燃")

    again = desk.case(case.id)
    assert (again.due_at, again.started_at) == (desk.now + 15 * 60_000, desk.now)
    before, after = desk.orders(case.id)[:4], desk.orders(case.id)[4:]
    assert {order.status for order in before} == {"completed"}
    assert [(o.role, o.department) for o in after] == [(o.role, o.department) for o in before]
    assert {(order.status, order.due_at) for order in after} == {("sent", again.due_at)}
    for order in after:
        desk.answer(order.id, "completed")
    assert desk.case(case.id).status == "completed"


def test_rework_goes_to_the_department_that_led_last_and_to_no_second_lead(desk: Desk) -> None:
    case = completed(desk)
    desk.act(case.id, "rework", reason="没有修好")
    desk.answer(desk.lead(case.id).id, "returned")
    assert desk.case(case.id).status == "returned"
    desk.act(case.id, "dispatch", department="441402-zj")
    desk.answer(desk.lead(case.id).id, "completed")

    desk.act(case.id, "rework", reason="还是没有修好")

    assert [(order.role, order.department) for order in desk.orders(case.id, status="sent")] == [("lead", "441402-zj")]
    assert desk.case(case.id).lead == "441402-zj"


def test_a_department_that_assisted_before_it_led_is_asked_once(desk: Desk) -> None:
    case = desk.open(**FIRE)
    police = next(order for order in desk.orders(case.id) if order.department == "441402-ga")
    desk.answer(police.id, "completed")
    desk.act(case.id, "reassign", department="441402-ga", reason="指定主办")
    for order in desk.orders(case.id, status="sent"):
        desk.answer(order.id, "completed")
    desk.act(case.id, "rework", reason="复燃")
    again = [(order.role, order.department) for order in desk.orders(case.id, status="sent")]
    assert sorted(again) == [("assist", "441402-gd"), ("assist", "441402-wj"), ("lead", "441402-ga")]


def test_a_reopened_case_begins_again_with_the_same_departments(desk: Desk) -> None:
    case = case_in(desk, "closed")
    desk.pass_time(days=2)
    desk.act(case.id, "reopen", reason="又坏了")
    again = desk.case(case.id)
    assert (again.status, again.closed_at, again.started_at) == ("dispatched", None, desk.now)
    assert [(order.department, order.due_at) for order in desk.orders(case.id, status="sent")] == [
        ("441402-cg", again.due_at)
    ]


# merge, split, void


def test_merge_moves_the_events_ends_the_case_and_calls_off_its_orders(desk: Desk) -> None:
    first, second = desk.open(), desk.open()
    shown = desk.act(second.id, "merge", into=first.number)
    assert (shown["status"], shown["merged_into"]) == ("void", first.id)
    assert [row.case_id for row in desk.rows(events)] == [first.id, first.id]
    assert (desk.case(first.id).event_count, desk.case(second.id).event_count) == (2, 0)
    assert [order.status for order in desk.orders(second.id)] == ["cancelled"]
    assert desk.told(second.id)[-1] == ("work_order.cancelled", "441402-cg")
    assert desk.story(first.id)[-1] == ("liu", "merged")
    assert desk.case(first.id).version == first.version + 1


def test_an_event_follows_its_case_into_and_out_of_triage(desk: Desk) -> None:
    vague, clear, other = in_triage(desk), desk.open(), in_triage(desk)
    desk.act(vague.id, "merge", into=clear.id)
    assert {row.state for row in desk.rows(events, events.c.case_id == clear.id)} == {"cased"}
    desk.act(clear.id, "merge", into=other.id)
    assert {row.state for row in desk.rows(events, events.c.case_id == other.id)} == {"triage"}
    assert desk.broken() == []


def test_a_case_takes_over_the_graver_grade_of_one_that_is_merged_into_it(desk: Desk) -> None:
    light, grave = desk.open(), desk.open(grade=2)
    desk.act(grave.id, "merge", into=light.id)
    assert desk.case(light.id).grade == 2
    assert desk.told(light.id)[1:] == [("work_order.updated", "441402-cg")]


def test_merge_refuses_itself_the_unknown_the_invisible_and_what_has_ended(desk: Desk) -> None:
    case, closed = desk.open(), case_in(desk, "closed")
    for into in (case.id, case.number, "nothing"):
        problem = refusal(desk, case.id, "merge", into=into)
        assert (problem.status, problem.errors[0].field) == (422, "into")
    assert refusal(desk, case.id, "merge", into=closed.id).status == 409
    elsewhere = desk.open(location={"division_code": "441403"})
    desk.key = Key("wang", Role.OPERATOR, frozenset(), frozenset({"441402"}), frozenset())
    assert refusal(desk, case.id, "merge", into=elsewhere.id).status == 422


def test_split_gives_some_events_a_case_of_their_own_in_triage(desk: Desk) -> None:
    case = desk.open()
    with_another_event(desk, case)
    with_another_event(desk, case)
    mine = [row.id for row in desk.rows(events, events.c.case_id == case.id)]

    desk.act(case.id, "split", events=[mine[2], mine[2]])

    other = desk.case(desk.event(mine[2]).case_id)
    assert (other.status, other.triage_reason, other.event_count, other.version) == ("triage", "split", 1, 1)
    assert other.number != case.number
    assert desk.event(mine[2]).state == "triage"
    assert (desk.case(case.id).event_count, desk.case(case.id).status) == (2, "dispatched")
    assert desk.last_entry(case.id) == {"events": [mine[2]], "into": other.number}
    desk.act(other.id, "dispatch", department="441402-zj")
    assert desk.case(other.id).due_at is not None
    assert desk.broken() == []


def test_split_refuses_foreign_events_and_taking_all(desk: Desk) -> None:
    case, other = desk.open(), desk.open()
    with_another_event(desk, case)
    mine = [row.id for row in desk.rows(events, events.c.case_id == case.id)]
    foreign = [row.id for row in desk.rows(events, events.c.case_id == other.id)]
    for wanted in (mine, foreign, ["nothing"], [mine[0], foreign[0]]):
        problem = refusal(desk, case.id, "split", events=wanted)
        assert (problem.status, problem.errors[0].field) == (422, "events")
    assert desk.broken() == []


def test_the_event_of_a_voided_case_no_longer_waits_in_triage(desk: Desk) -> None:
    case = case_in(desk, "void")
    assert [row.state for row in desk.rows(events, events.c.case_id == case.id)] == ["cased"]
    assert desk.broken() == []


def test_void_calls_off_the_assistants_still_at_work(desk: Desk) -> None:
    case = desk.open(**FIRE)
    desk.act(case.id, "return", reason="误报")
    desk.act(case.id, "void", reason="误报")
    assert [order.status for order in desk.orders(case.id, "assist")] == ["cancelled"] * 3
    assert [type_ for type_, _ in desk.told(case.id)].count("work_order.cancelled") == 3


# Over HTTP


def test_conflicts_and_refusals_read_the_same_over_http(service: Any) -> None:
    event = {"source_event_id": "1", "domain": "grid", "type": "c01039", "occurred_at": "2026-01-05T08:00:00+08:00"}
    event_id = service.post("/api/v1/events", event | {"location": {"division_code": "441402004"}})["id"]
    case_id = service.until(f"/api/v1/events/{event_id}", lambda event: event["case_id"])["case_id"]
    path = f"/api/v1/cases/{case_id}"
    noted = service.post(f"{path}/note", {"version": 1, "text": "一"})
    assert (noted["version"], noted["timeline"][-1]["actor"]) == (2, "admin")

    stale = service.call("POST", f"{path}/note", {"version": 1, "text": "二"})
    assert (stale.status, stale.body["case"]["version"]) == (409, 2)
    assert stale.headers["content-type"] == "application/problem+json"
    wrong = service.call("POST", f"{path}/close", {"version": 2})
    assert (wrong.status, "return" in wrong.body["legal"]) == (409, True)
    missing = service.call("POST", f"{path}/return", {"version": 2})
    assert (missing.status, missing.body["errors"][0]["field"]) == (422, "reason")
    assert service.call("POST", f"{path}/approve").status == 404
    assert service.call("POST", "/api/v1/cases/none/note", {"version": 2, "text": "三"}).status == 404
