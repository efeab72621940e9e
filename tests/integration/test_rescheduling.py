"""A year's holidays are published when cases are due in it already. Until then a due time says that it is provisional;
then it is reckoned anew, unless a person granted it. Here: the days before and after the notice for 2025 (国办发明电
〔2024〕12号: Wednesday 1 January is free) is entered."""

from dataclasses import replace
from datetime import date, datetime
from typing import Any

from desk import Desk
from postgres import both_stores

from citybrain.casework.api import list_cases, show_case
from citybrain.casework.followup import follow_up
from citybrain.casework.rescheduling import LOADED, note_calendar
from citybrain.deadline import Calendar
from citybrain.store.dispatch_tables import deliveries
from citybrain.store.ledger_tables import ledger

pytestmark = both_stores
HOURS = [("08:00", "12:00"), ("14:00", "18:00")]


def ms(text: str) -> int:
    return round(datetime.fromisoformat(f"{text}+08:00").timestamp() * 1000)


def publish(desk: Desk, days: dict[date, str], until: int = 9999) -> None:
    """As after a restart with the days until that year in calendar.csv, when patrol has made its first round."""
    city, known = desk.here.city, {day: kind for day, kind in days.items() if day.year <= until}
    desk.here.city = replace(city, calendar=Calendar(city.zone, range(5), HOURS, known))
    note_calendar(desk.here.store, desk.here.city, desk.now)


def due(desk: Desk, case_id: str) -> tuple[str, bool]:
    told = show_case(case_id, desk.key, desk.here)["deadline"]
    return told["due_at"][:16], told["provisional"]


def test_due_times_in_an_unpublished_year_are_provisional_and_move_when_it_is_published(desk: Desk) -> None:
    days = desk.here.city.calendar.content[3]
    publish(desk, days, until=2024)
    desk.endpoint("lights", department="441402-cg")
    desk.now = ms("2024-12-30 10:00")  # Monday; each has two working days
    monday = desk.open()
    desk.now = ms("2024-12-31 10:00")
    tuesday, paused, granted, done = (desk.open() for _ in range(4))
    desk.answer(desk.lead(done.id).id, "completed")
    desk.act(paused.id, "suspend", until="2024-12-31T16:00:00+08:00", reason="等待配件")
    desk.act(granted.id, "extend", until="2025-01-03T09:00:00+08:00", reason="等待配件")
    desk.now = ms("2024-12-31 16:00")
    follow_up(desk.here.store, desk.here.city, desk.now)
    assert due(desk, monday.id) == ("2025-01-01T10:00", True)
    assert due(desk, tuesday.id) == ("2025-01-02T10:00", True)
    assert due(desk, paused.id) == ("2025-01-02T16:00", True)
    assert {each["deadline"]["provisional"] for each in list_cases(desk.key, desk.here)["items"]} == {True}
    before = len(desk.rows(deliveries))
    assert desk.case(monday.id).supervision == 1  # four hours were left

    publish(desk, days)
    assert due(desk, monday.id) == ("2025-01-02T10:00", False)
    assert due(desk, tuesday.id) == ("2025-01-03T10:00", False)
    assert due(desk, paused.id) == ("2025-01-03T16:00", False)
    assert due(desk, granted.id) == ("2025-01-03T09:00", False)  # as it was granted
    assert desk.lead(done.id).due_at == ms("2025-01-02 10:00")  # what was due when it was reported done stays
    assert desk.lead(monday.id).due_at == desk.case(monday.id).due_at
    assert desk.entries(monday.id, "rescheduled") == [
        {"before": ms("2025-01-01 10:00"), "due_at": ms("2025-01-02 10:00"), "reason": "calendar"}
    ]
    assert [row.type for row in desk.rows(deliveries)[before:]] == ["work_order.updated"] * 3
    assert desk.broken() == []


def test_a_calendar_is_noted_once_and_the_same_one_moves_nothing(desk: Desk) -> None:
    days = desk.here.city.calendar.content[3]
    case = desk.open()
    for _ in range(2):
        publish(desk, days)
    assert ([row.action for row in desk.rows(ledger)].count(LOADED), desk.case(case.id)) == (1, case)
    publish(desk, days, until=2024)
    assert [row.action for row in desk.rows(ledger)].count(LOADED) == 2


def test_a_city_that_publishes_no_days_has_nothing_provisional(desk: Desk) -> None:
    publish(desk, {})
    assert due(desk, desk.open().id) == ("2025-03-05T09:00", False)


def test_a_threshold_that_lies_ahead_again_is_raised_again(desk: Desk) -> None:
    days = desk.here.city.calendar.content[3]
    publish(desk, days, until=2024)
    desk.now = ms("2024-12-30 10:00")
    case = desk.open()
    desk.now = ms("2024-12-31 16:00")  # 4 of 16 hours are left
    follow_up(desk.here.store, desk.here.city, desk.now)
    publish(desk, days | {date(2024, 12, 31): "holiday"})  # no working day, as it turns out
    assert (due(desk, case.id)[0], desk.case(case.id).supervision) == ("2025-01-03T10:00", 0)


def test_a_provisional_due_time_is_marked_wherever_it_is_listed(desk: Desk, sign_in: Any) -> None:
    days = desk.here.city.calendar.content[3]
    publish(desk, days, until=2024)
    desk.now = ms("2024-12-31 10:00")
    case = desk.open()
    browser = sign_in("operator", "wang")
    about = "2025 年的节假日安排尚未公布"
    pages = {path: browser.get(path).text for path in (f"/cases/{case.id}", "/cases", "/exports/cases.csv")}
    assert [page.count("暂定") for page in pages.values()] == [4, 1, 1]  # head, deadline, its calculation, order
    assert [page.count(about) for page in pages.values()] == [3, 1, 0]
    assert "列入后，尚未到的截止时间自动重算一次" in pages[f"/cases/{case.id}"]
    browser.get("/appearance?language=en")
    assert "provisional" in browser.get("/cases").text
    publish(desk, days)
    for path in pages:
        assert "provisional" not in browser.get(path).text, path
