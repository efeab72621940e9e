"""Each work order has a clock: due with its case, or after a limit of its own where the domain's data give one."""

import json
import re
from typing import Any

import pytest
from deciding import another_domain, use
from desk import Desk
from postgres import both_stores
from sqlalchemy import Row
from steps import FIRE

from citybrain.casework.api import show_case, show_order
from citybrain.casework.followup import follow_up
from citybrain.indicators.performance_api import show_performance
from citybrain.store.dispatch_tables import deliveries
from citybrain.store.tables import work_orders

pytestmark = both_stores

LIGHTS, HOUSING = "441402-cg", "441402-zj"
HOUR = 3600


@pytest.fixture
def own(desk: Desk, tmp_path: Any) -> Desk:
    """Who assists at a burning building has two working hours, the lead a working day; it is Monday 09:00."""
    limits = 'limit = { amount = 1, unit = "working_days" }\nassist_limit = { amount = 2, unit = "working_hours" }'

    def change(text: str) -> str:
        before, code, after = text.partition('code = "fire.building_fire"')
        return before + code + re.sub("^limit = .*$", limits, after, count=1, flags=re.MULTILINE)

    use(desk, fire=another_domain(tmp_path, "fire", change))
    return desk


def clocks(desk: Desk, case_id: str) -> dict[str, tuple[str | None, str, int]]:
    """Of each order, the newest of a department: when it is due, how its clock stands, what it has used, in hours."""
    shown = show_case(case_id, desk.key, desk.here)["work_orders"]
    told = {}
    for each in shown:
        assert show_order(each["id"], desk.key, desk.here)["used_seconds"] == each["used_seconds"]
        due = each["deadline"]["due_at"]
        told[each["department"]] = (due and due[8:16], each["deadline"]["state"], each["used_seconds"] / HOUR)
    return told


def look(desk: Desk) -> None:
    follow_up(desk.here.store, desk.here.city, desk.now)


def raised(desk: Desk, case: Row[Any]) -> list[tuple[str | None, str]]:
    return [(each.get("department"), each["reason"]) for each in desk.entries(case.id, "supervised")]


def test_orders_are_due_with_their_case_and_each_tells_what_it_used(desk: Desk) -> None:
    case = desk.open()  # Monday 09:00, two working days
    desk.pass_time(hours=2)
    desk.act(case.id, "reassign", department=HOUSING, reason="灯杆属住建部门")
    desk.pass_time(hours=5)  # the lunch break is no working time
    assert clocks(desk, case.id) == {
        LIGHTS: ("05T09:00", "stopped", 2.0),
        HOUSING: ("05T09:00", "running", 3.0),
    }
    desk.act(case.id, "suspend", until="2025-03-05T08:00:00+08:00", reason="等待配件")
    desk.pass_time(hours=20)
    assert clocks(desk, case.id)[HOUSING] == (None, "paused", 3.0)
    desk.act(case.id, "resume")  # Tuesday 12:00, with 11 hours left
    desk.pass_time(hours=4)
    assert clocks(desk, case.id)[HOUSING] == ("05T17:00", "running", 5.0)
    desk.answer(desk.lead(case.id).id, "completed")
    desk.pass_time(days=3)
    assert clocks(desk, case.id)[HOUSING] == ("05T17:00", "stopped", 5.0)
    desk.act(case.id, "rework", reason="没有修好")  # Friday 16:00: a new clock with the whole limit
    assert clocks(desk, case.id)[HOUSING] == ("11T16:00", "running", 0.0)
    assert desk.broken() == []


def test_who_assists_is_due_after_a_limit_of_its_own_and_supervised_by_it(own: Desk) -> None:
    desk, case = own, own.open(**FIRE)
    helper = desk.orders(case.id, "assist")[0]
    lead = desk.lead(case.id)
    assert clocks(desk, case.id)[lead.department] == ("04T09:00", "running", 0.0)
    assert clocks(desk, case.id)[helper.department] == ("03T11:00", "running", 0.0)
    first = json.loads(desk.row(deliveries, deliveries.c.work_order_id == helper.id).body)["data"]
    assert first["deadline"]["limit"] == {"amount": 2.0, "unit": "working_hours"}
    desk.pass_time(hours=2, seconds=1)
    for _ in range(2):
        look(desk)
    helpers = [order.department for order in desk.orders(case.id, "assist")]
    levels = ["quarter_left", "due", "overdue"]
    assert raised(desk, case) == [(department, level) for department in helpers for level in levels]
    told = [row for row in desk.rows(deliveries) if row.type == "work_order.supervised"]
    assert {row.work_order_id for row in told} == {order.id for order in desk.orders(case.id, "assist")}
    assert json.loads(told[0].body)["data"]["supervision"] == {"level": 3, "reason": "overdue"}
    assert clocks(desk, case.id)[helper.department][1] == "overdue"
    assert clocks(desk, case.id)[lead.department][1] == "running"
    desk.pass_time(hours=2)  # 13:00, the lead has two hours and a half left of a day: a quarter is reached at 16:00
    desk.pass_time(hours=4)
    look(desk)
    assert [each for each in raised(desk, case) if each[0] is None] == [(None, "quarter_left")]
    assert desk.broken() == []


def test_own_clocks_stop_with_the_case_go_on_with_it_and_begin_anew_after_a_rework(own: Desk) -> None:
    desk, case = own, own.open(**FIRE)
    helper = desk.orders(case.id, "assist")[0].department
    desk.pass_time(hours=1)
    desk.act(case.id, "suspend", until="2025-03-04T08:00:00+08:00", reason="封锁现场")
    desk.pass_time(hours=22)
    look(desk)  # Tuesday 08:00
    assert clocks(desk, case.id)[helper] == ("04T09:00", "running", 1.0)
    desk.act(case.id, "extend", until="2025-03-04T17:30:00+08:00", reason="火势复燃")
    assert clocks(desk, case.id)[helper] == ("04T17:30", "running", 1.0)
    for order in desk.orders(case.id):
        desk.answer(order.id, "completed")
    desk.act(case.id, "rework", reason="余火未清")
    assert clocks(desk, case.id)[helper] == ("04T10:00", "running", 0.0)
    assert clocks(desk, case.id)[desk.lead(case.id).department] == ("04T18:00", "running", 0.0)
    assert desk.broken() == []


def test_a_department_is_in_time_by_the_clock_of_its_own_order(own: Desk) -> None:
    desk, case = own, own.open(**FIRE)
    lead, helpers = desk.lead(case.id), desk.orders(case.id, "assist")
    desk.answer(helpers[0].id, "completed")
    desk.pass_time(hours=3)
    for order in (lead, *helpers[1:]):
        desk.answer(order.id, "completed")
    told = show_performance(desk.key, desk.here, by="department", from_="2025-03-03", to="2025-03-04")
    rates = {each["code"]: each["raw"]["handling_in_time"] for each in told["items"]}
    expected = {lead.department: 1, helpers[0].department: 1} | {order.department: 0 for order in helpers[1:]}
    assert {code: rate["numerator"] for code, rate in rates.items()} == expected
    assert len(desk.rows(work_orders)) == len(expected)
