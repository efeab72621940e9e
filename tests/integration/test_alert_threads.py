"""Updates and cancellations of a warning join its case, and who works on it hears of each; what is no actual alert, and
a cancellation of nothing, is on record and dispatched to nobody."""

from typing import Any

import pytest
from alerts import alert
from desk import Desk
from postgres import both_stores

from citybrain.store.dispatch_tables import deliveries
from citybrain.store.tables import cases, work_orders
from domains.emergency.cap import decode
from domains.emergency.routes import earlier_of

pytestmark = both_stores
RAIN = {"domain": "emergency", "title": "暴雨黄色预警", "location": {"division_code": "441402"}}
TYPE = "emergency.rainstorm_warning"


def message(message: str, thread: str = "a@b 1", **other: Any) -> dict[str, Any]:
    about = {"cap_event": "暴雨", "cap_status": "Actual", "cap_message": message, "cap_thread": thread}
    return RAIN | {"attributes": about | other.pop("attributes", {})} | other


def said(desk: Desk, *reports: dict[str, Any]) -> list[str]:
    """The events' cases, after each was handled alone."""
    found = []
    for report in reports:
        (event_id,) = desk.report(report)
        desk.handle("emergency")
        found.append(desk.event(event_id).case_id)
    return found


def test_an_update_and_a_cancellation_join_the_case_and_are_told(desk: Desk) -> None:
    desk.endpoint("emergency", domains=["emergency"])
    update = message("Update", title="暴雨红色预警")
    warned, updated, cancelled = said(desk, message("Alert"), update, message("Cancel", type=TYPE))
    assert warned == updated == cancelled
    case = desk.case(warned)
    assert (case.status, case.type, case.event_count) == ("dispatched", TYPE, 3)
    orders = {order.id for order in desk.orders(warned)}
    for order in orders:
        told = [row.type for row in desk.rows(deliveries, deliveries.c.work_order_id == order)]
        assert told == ["work_order.dispatched", "work_order.updated", "work_order.updated"]
    assert desk.broken() == []


def test_a_cancellation_after_the_work_is_done_names_the_case_that_it_comes_after(desk: Desk) -> None:
    (warned,) = said(desk, message("Alert"))
    for order in desk.orders(warned):
        desk.answer(order.id, "completed")
    (late,) = said(desk, message("Cancel", type=TYPE))
    assert (desk.case(late).status, desk.case(late).related_to) == ("void", warned)


def test_another_thread_is_another_case(desk: Desk) -> None:
    first, second = said(desk, message("Alert"), message("Alert", "a@b 2"))
    assert first != second


def test_a_cancellation_of_what_nobody_works_on_is_recorded_and_void(desk: Desk) -> None:
    (unknown,) = said(desk, message("Cancel"))
    (typed,) = said(desk, message("Cancel", type=TYPE))
    assert unknown != typed
    for case_id in (unknown, typed):
        assert desk.case(case_id).status == "void"
        assert desk.orders(case_id) == []
        (entry,) = desk.entries(case_id, "voided")
        assert "解除" in entry["reason"]
    (warned,) = said(desk, message("Alert"))
    assert desk.case(warned).status == "dispatched"
    assert desk.broken() == []


@pytest.mark.parametrize("status", ["Test", "Exercise", "System", "Draft"])
def test_what_is_no_actual_alert_is_recorded_and_dispatched_to_nobody(desk: Desk, status: str) -> None:
    """CAP 3.2.1, status; also where it lies outside the city, which would be a person's to decide."""
    outside = {"lng": 113.26, "lat": 23.13}
    for more in ({}, {"location": outside}, {"type": TYPE}):
        (case_id,) = said(desk, message("Alert", attributes={"cap_status": status, "warning_colour": "红"}, **more))
        case = desk.case(case_id)
        assert (case.status, case.type) == ("void", "emergency.exercise")
    assert desk.rows(work_orders) == []
    assert {row.parent_id for row in desk.rows(cases)} == {None}
    assert desk.broken() == []


def test_an_update_finds_the_newest_alert_on_record_that_it_refers_to(desk: Desk) -> None:
    said(desk, message("Alert", source_event_id="a@b 1"), message("Update", source_event_id="a@b 2"))
    refs = "a@b,1,2026-11-22T07:00:00+08:00 a@b,2,2026-11-22T07:30:00+08:00"
    found = earlier_of(decode(alert(references=refs).encode()), desk.key, desk.here)
    assert found is not None
    assert (found.thread, found.type, found.title) == ("a@b 1", TYPE, RAIN["title"])
    strange = alert(references="a@b,3,2026-11-22T07:00:00+08:00")
    assert earlier_of(decode(strange.encode()), desk.key, desk.here) is None
