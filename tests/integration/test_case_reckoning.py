"""How a deadline came about can be followed by hand: each step with the days that it counts, by the wall calendar of
2025 (Sunday 27 April is worked, 1 to 5 May are free)."""

from datetime import datetime
from typing import Any

from desk import Desk
from postgres import both_stores

from citybrain.casework.followup import follow_up
from citybrain.casework.reading import visible_case, whole_case

pytestmark = both_stores


def told(desk: Desk, case_id: str) -> dict[str, Any]:
    with desk.here.store.read() as tx:
        row = visible_case(tx, case_id, desk.key, desk.here.city)
        found: dict[str, Any] = whole_case(tx, row, desk.here, desk.key)["reckoning"]
    return found


def at(desk: Desk, text: str) -> None:
    desk.now = round(datetime.fromisoformat(f"{text}+08:00").timestamp() * 1000)


def counted(step: dict[str, Any]) -> list[str]:
    return [
        f"{day['date'][5:]} {day['kind']} " + " ".join(f"{begin[11:16]}-{end[11:16]}" for begin, end in day["spans"])
        for day in step["days"]
    ]


def test_each_step_of_a_deadline_is_told_with_the_days_that_count(desk: Desk) -> None:
    at(desk, "2025-04-24 09:00")
    case = desk.open()  # a street light: two working days
    at(desk, "2025-04-25 09:01")
    desk.act(case.id, "extend", until="2025-04-29T09:00:00+08:00", reason="等待配件")
    at(desk, "2025-04-28 16:00")
    follow_up(desk.here.store, desk.here.city, desk.now)
    at(desk, "2025-04-28 17:00")
    desk.act(case.id, "suspend", until="2025-05-06T08:00:00+08:00", reason="节日期间禁止开挖")
    assert told(desk, case.id)["agrees"]
    at(desk, "2025-05-06 08:00")
    follow_up(desk.here.store, desk.here.city, desk.now)

    found = told(desk, case.id)
    started, extended, suspended, resumed = found["steps"]
    assert (found["clock"], found["limit_seconds"], found["hours"][0]) == ("working", 16 * 3600, ("08:00", "12:00"))
    assert started["due_at"] == "2025-04-27T09:00:00+08:00"
    assert counted(started) == [
        "04-24 workday 09:00-12:00 14:00-18:00",
        "04-25 workday 08:00-12:00 14:00-18:00",
        "04-26 weekend ",
        "04-27 makeup 08:00-09:00",
    ]
    assert (extended["due_at"], extended["seconds"]) == ("2025-04-29T09:00:00+08:00", 16 * 3600)
    assert (suspended["left_seconds"], suspended["until"]) == (2 * 3600, "2025-05-06T08:00:00+08:00")
    assert (resumed["due_at"], counted(resumed)) == ("2025-05-06T10:00:00+08:00", ["05-06 workday 08:00-10:00"])
    assert (found["due_at"], found["agrees"]) == (resumed["due_at"], True)
    shown = [(each["code"], each["at"][5:16], (each["raised_at"] or "")[5:16]) for each in found["thresholds"]]
    assert shown[0] == ("quarter_left", "04-30T16:00", "04-28T16:00")


def test_a_rework_begins_the_reckoning_again_and_its_end_says_what_was_left(desk: Desk) -> None:
    at(desk, "2025-04-24 09:00")
    case = desk.open()
    desk.answer(desk.lead(case.id).id, "completed")
    at(desk, "2025-04-24 10:00")
    desk.act(case.id, "verify", passed=False, reason="仍不亮")
    desk.pass_time(hours=1)
    desk.answer(desk.lead(case.id).id, "completed")
    started, stopped = told(desk, case.id)["steps"]
    assert (started["because"], started["at"]) == ("reworked", "2025-04-24T10:00:00+08:00")
    assert (stopped["because"], stopped["left_seconds"]) == ("completed", 15 * 3600)


def test_a_case_in_triage_has_no_reckoning(desk: Desk) -> None:
    assert told(desk, desk.open(description="暂无名目之事").id) is None
