"""The handling clock of a case: extended, stopped, and started again with what was left of it."""

import pytest
from desk import Desk
from postgres import both_stores
from steps import BODIES, FIRE, case_in

pytestmark = both_stores

# extend, suspend, resume


def test_extend_moves_the_deadline_of_case_and_orders_and_tells_them(desk: Desk) -> None:
    case = desk.open(**FIRE)
    desk.act(case.id, "extend", until="2025-03-03T09:25:00+08:00", reason="火势未控")
    case = desk.case(case.id)
    assert case.due_at == desk.now + 25 * 60_000
    assert case.extensions == 1
    assert {order.due_at for order in desk.orders(case.id)} == {case.due_at}
    assert desk.told(case.id)[4:] == [("work_order.updated", order.department) for order in desk.orders(case.id)]


@pytest.mark.parametrize(
    "until", ["2025-03-03T08:59:00+08:00", "2025-03-05T08:00:00+08:00", "9999-12-31T23:59:59Z", "2025-03-10", "soon"]
)
def test_extend_refuses_what_is_past_or_no_later_or_beyond_all_calendars(desk: Desk, until: str) -> None:
    case = desk.open()
    problem = desk.refused(case.id, "extend", until=until, reason="等待配件")
    assert (problem.status, problem.errors[0].field) == (422, "until")
    assert desk.case(case.id) == case


def test_suspend_refuses_a_time_beyond_all_calendars(desk: Desk) -> None:
    case = desk.open()
    assert desk.refused(case.id, "suspend", until="9999-12-31T23:59:59Z", reason="等").status == 422


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
