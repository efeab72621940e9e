"""How cases end and begin again: verified, reworked, closed, reopened, merged, split, void."""

from desk import Desk
from postgres import both_stores
from steps import FIRE, case_in, completed, in_triage, with_another_event

from citybrain.keys import Key, Role
from citybrain.store.tables import events

pytestmark = both_stores

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
    assert desk.refused(case.id, "verify", passed=False).errors[0].field == "reason"
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
        problem = desk.refused(case.id, "merge", into=into)
        assert (problem.status, problem.errors[0].field) == (422, "into")
    assert desk.refused(case.id, "merge", into=closed.id).status == 409
    elsewhere = desk.open(location={"division_code": "441403"})
    desk.key = Key("wang", Role.OPERATOR, frozenset(), frozenset({"441402"}), frozenset())
    assert desk.refused(case.id, "merge", into=elsewhere.id).status == 422


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
        problem = desk.refused(case.id, "split", events=wanted)
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
