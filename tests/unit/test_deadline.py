"""Due times against a table worked out by hand and against a walk from minute to minute."""

import csv
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import citybrain
from citybrain.deadline import UNITS, Calendar, Clock, Limit

CALENDAR_CSV = Path(citybrain.__file__).parent / "cities" / "meizhou" / "calendar.csv"
SHANGHAI = ZoneInfo("Asia/Shanghai")
HOURS = (("08:00", "12:00"), ("14:00", "18:00"))


def _published_days() -> dict[date, str]:
    with CALENDAR_CSV.open(encoding="utf-8", newline="") as lines:
        return {date.fromisoformat(row["date"]): row["kind"] for row in csv.DictReader(lines)}


MEIZHOU = Calendar(SHANGHAI, range(5), HOURS, _published_days())


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


# Worked out by hand with a wall calendar and the State Council's notices.
TABLE = [
    # an ordinary week of 2026: Monday is 11-16
    ("2026-11-16 08:00", 8, "working_hours", "2026-11-16 18:00"),  # ends at closing, not the next morning
    ("2026-11-16 08:00", 4, "working_hours", "2026-11-16 12:00"),  # ends when the lunch break begins
    ("2026-11-16 09:30", 4, "working_hours", "2026-11-16 15:30"),  # over the lunch break
    ("2026-11-16 12:30", 0.5, "working_hours", "2026-11-16 14:30"),  # reported in the lunch break
    ("2026-11-16 12:00", 1, "working_hours", "2026-11-16 15:00"),  # reported when it begins
    ("2026-11-16 17:30", 1, "working_days", "2026-11-17 17:30"),  # overnight
    ("2026-11-16 06:00", 1, "working_days", "2026-11-16 18:00"),  # before opening
    ("2026-11-16 18:00", 1, "working_days", "2026-11-17 18:00"),  # at closing
    ("2026-11-16 23:59:30", 2, "working_hours", "2026-11-17 10:00"),
    ("2026-11-20 17:00", 2, "working_hours", "2026-11-23 09:00"),  # over a weekend
    ("2026-11-21 10:00", 1, "working_days", "2026-11-23 18:00"),  # on a Saturday
    ("2026-11-16 10:15:30", 0.1, "working_hours", "2026-11-16 10:21:30"),
    ("2026-11-16 08:00", 5, "working_days", "2026-11-20 18:00"),
    ("2026-11-16 08:00:00.001", 5, "working_days", "2026-11-23 08:00:00.001"),
    # 国庆 2026: 10-01 Thursday to 10-07 free; Sunday 09-20 and Saturday 10-10 worked
    ("2026-09-30 16:00", 4, "working_hours", "2026-10-08 10:00"),
    ("2026-10-09 17:00", 2, "working_hours", "2026-10-10 09:00"),  # 调休 Saturday
    ("2026-10-03 12:00", 3, "working_days", "2026-10-10 18:00"),
    ("2026-09-18 14:00", 1, "working_days", "2026-09-20 12:00"),  # Friday to the worked Sunday
    # 春节 2026: 02-15 to 02-23 free, Saturdays 02-14 and 02-28 worked
    ("2026-02-13 17:00", 9, "working_hours", "2026-02-14 18:00"),
    ("2026-02-14 17:00", 9, "working_hours", "2026-02-24 18:00"),
    ("2026-02-27 08:00", 2, "working_days", "2026-02-28 18:00"),
    # 春节 and 元旦 2025, and the end of a year: 2024-12-31 is a Tuesday, 2025-01-01 alone is free
    ("2025-01-27 14:00", 1, "working_days", "2025-02-05 12:00"),
    ("2024-12-31 17:00", 2, "working_hours", "2025-01-02 09:00"),
    ("2025-12-31 17:00", 2, "working_hours", "2026-01-04 09:00"),  # Sunday 2026-01-04 is worked
    # a holiday in the middle of a week 2024, and a worked Sunday before it
    ("2024-04-03 17:00", 1.5, "working_hours", "2024-04-07 08:30"),
    ("2024-10-12 08:00", 2, "working_days", "2024-10-14 18:00"),
    # round the clock
    ("2026-09-30 23:50", 15, "minutes", "2026-10-01 00:05"),
    ("2026-09-30 16:00", 2, "urgent_hours", "2026-09-30 18:00"),
    ("2026-10-02 16:00", 48, "hours", "2026-10-04 16:00"),
    ("2026-02-27 09:00", 2, "days", "2026-03-01 09:00"),
]


@pytest.mark.parametrize(("start", "amount", "unit", "due"), TABLE)
def test_due_times_are_those_worked_out_by_hand(start: str, amount: float, unit: str, due: str) -> None:
    assert MEIZHOU.due(_at(start), Limit(amount, unit)) == _at(due)


def test_many_at_once_are_due_as_one_by_one() -> None:
    starts = np.array([round(_at(start).timestamp() * 1000) for start, *_ in TABLE])
    limits = [Limit(amount, unit) for _, amount, unit, _ in TABLE]
    expected = [round(_at(due).timestamp() * 1000) for *_, due in TABLE]
    assert MEIZHOU.due(starts, limits).tolist() == expected
    whole = [row for row in range(len(TABLE)) if starts[row] % 1000 == 0]
    in_seconds = MEIZHOU.due(starts[whole] // 1000, [limits[row] for row in whole], ticks=1)
    assert in_seconds.tolist() == [expected[row] // 1000 for row in whole]


def test_one_limit_holds_for_all_and_none_is_due_of_nothing() -> None:
    starts = np.array([1_763_000_000_000, 1_863_000_000_000])
    one = [MEIZHOU.due(datetime.fromtimestamp(start / 1000, UTC), Limit(3, "working_days")) for start in starts]
    assert MEIZHOU.due(starts, Limit(3, "working_days")).tolist() == [round(due.timestamp() * 1000) for due in one]
    assert MEIZHOU.due(np.array([], np.int64), Limit(1, "days")).tolist() == []


def test_due_is_told_in_the_city_s_zone_whatever_the_start_s() -> None:
    start = datetime(2026, 11, 16, 1, 30, tzinfo=timezone(timedelta(hours=1)))  # 08:30 in Meizhou
    due = MEIZHOU.due(start, Limit(1, "working_hours"))
    assert due.isoformat() == "2026-11-16T09:30:00+08:00"


def _minute_by_minute(calendar: Calendar, hours: list[tuple[int, int]], start: datetime, minutes: int) -> datetime:
    """The slow and obvious way: walk in real minutes and count those whose wall-clock time is working time."""
    moment = start.astimezone(UTC)
    while minutes:
        local = moment.astimezone(calendar.zone)
        of_day = local.hour * 60 + local.minute
        minutes -= calendar.is_working_day(local.date()) and any(opens <= of_day < closes for opens, closes in hours)
        moment += timedelta(minutes=1)
    return moment


def _text(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


HOUR_LISTS = st.lists(st.integers(0, 96), min_size=2, max_size=6, unique=True).map(
    lambda quarters: [(a * 15, b * 15) for a, b in zip(*[iter(sorted(quarters))] * 2, strict=False)]
)
# Moments near changes of the clock: at night, at midnight, by half an hour, by a whole day; and none at all.
ZONES = {
    "Asia/Shanghai": datetime(2026, 2, 10),
    "America/New_York": datetime(2026, 10, 30),
    "Europe/London": datetime(2026, 3, 27),
    "America/Havana": datetime(2024, 11, 1),
    "Asia/Beirut": datetime(2024, 10, 25),
    "America/Sao_Paulo": datetime(2018, 11, 2),
    "Australia/Lord_Howe": datetime(2026, 4, 3),
    "Pacific/Apia": datetime(2011, 12, 28),
}


@settings(max_examples=150, deadline=None)
@given(
    zone=st.sampled_from(list(ZONES)),
    hours=HOUR_LISTS,
    weekdays=st.sets(st.integers(0, 6), min_size=2),
    days=st.dictionaries(st.integers(0, 9), st.sampled_from(["holiday", "workday"]), max_size=5),
    after=st.integers(0, 4 * 1440),
    minutes=st.integers(1, 900),
)
def test_due_is_where_a_walk_from_minute_to_minute_ends(
    zone: str, hours: list[tuple[int, int]], weekdays: set[int], days: dict[int, str], after: int, minutes: int
) -> None:
    near = ZONES[zone]
    differing = {near.date() + timedelta(day): kind for day, kind in days.items()}
    calendar = Calendar(ZoneInfo(zone), weekdays, [(_text(opens), _text(closes)) for opens, closes in hours], differing)
    start = near.replace(tzinfo=UTC) + timedelta(minutes=after)
    due = calendar.due(start, Limit(minutes / 60, "working_hours"))
    # In UTC: datetimes of different zones are never equal in an hour that happens twice.
    assert due.astimezone(UTC) == _minute_by_minute(calendar, hours, start, minutes)
    assert calendar.remaining(due, start, "working") == minutes * 60


@pytest.mark.parametrize(
    ("zone", "day", "hours", "open_minutes"),
    [
        ("America/New_York", date(2026, 3, 8), ("00:00", "06:00"), 5 * 60),  # 02:00 to 03:00 does not exist
        ("America/New_York", date(2026, 11, 1), ("01:00", "01:30"), 60),  # and here happens twice
        ("Asia/Shanghai", date(2026, 3, 8), ("00:00", "24:00"), 24 * 60),
        ("Pacific/Apia", date(2011, 12, 30), ("08:00", "12:00"), 0),  # a day that was left out
    ],
)
def test_a_day_with_a_change_of_the_clock_has_its_real_working_time(
    zone: str, day: date, hours: tuple[str, str], open_minutes: int
) -> None:
    only = {day + timedelta(days): "workday" if days == 0 else "holiday" for days in range(-3, 4)}
    calendar = Calendar(ZoneInfo(zone), range(7), [hours], only)
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    worked = calendar.remaining(noon + timedelta(days=2), noon - timedelta(days=2), "working")
    assert worked == open_minutes * 60


INSTANTS = st.datetimes(datetime(2024, 1, 1), datetime(2027, 6, 1), timezones=st.just(SHANGHAI))


@given(
    start=INSTANTS,
    used=st.timedeltas(timedelta(0), timedelta(days=40)),
    still=st.timedeltas(timedelta(0), timedelta(60)),
)
@pytest.mark.parametrize("unit", ["working_days", "days"])
def test_a_suspended_clock_keeps_what_was_used_up(
    unit: str, start: datetime, used: timedelta, still: timedelta
) -> None:
    limit = Limit(3, unit)
    clock: Clock = limit.clock
    suspended, resumed = start + used, start + used + still
    due = MEIZHOU.due(start, limit)
    left = MEIZHOU.remaining(due, suspended, clock)
    again = MEIZHOU.resume(resumed, left, clock)
    assert MEIZHOU.remaining(again, resumed, clock) == left
    if left > 0:
        assert again >= due
        assert MEIZHOU.resume(suspended, left, clock) == due
    else:
        assert again <= resumed


def test_a_clock_suspended_at_noon_over_a_holiday_goes_on_with_the_afternoon() -> None:
    due = MEIZHOU.due(_at("2026-09-28 08:00"), Limit(2, "working_days"))
    assert due == _at("2026-09-29 18:00")
    left = MEIZHOU.remaining(due, _at("2026-09-29 12:30"), "working")
    assert left == 4 * 3600
    assert MEIZHOU.resume(_at("2026-10-05 09:00"), left, "working") == _at("2026-10-08 12:00")


def test_an_overdue_clock_counts_working_time_and_stays_overdue() -> None:
    late = MEIZHOU.remaining(_at("2026-09-30 17:00"), _at("2026-10-08 09:00"), "working")
    assert late == -2 * 3600
    assert MEIZHOU.resume(_at("2026-10-09 09:00"), late, "working") == _at("2026-10-08 17:00")
    assert MEIZHOU.remaining(_at("2026-10-01 00:00"), _at("2026-10-01 00:01"), "urgent") == -60


def test_a_calendar_serves_any_year_in_any_order() -> None:
    calendar = Calendar(SHANGHAI, range(5), HOURS, {})
    far = calendar.due(_at("2100-01-04 08:00"), Limit(1, "working_days"))  # a Monday
    assert far == _at("2100-01-04 18:00")
    assert calendar.due(_at("1999-12-31 17:00"), Limit(2, "working_hours")) == _at("2000-01-03 09:00")
    assert calendar.due(_at("2026-01-05 08:00"), Limit(2610, "working_days")) == _at("2036-01-04 18:00")
    assert calendar.resume(_at("2026-01-05 08:00"), -2610 * 8 * 3600, "working") == _at("2016-01-01 18:00")


def test_explanation_names_the_days_that_do_not_count() -> None:
    told = MEIZHOU.describe(_at("2026-09-30 16:00"), Limit(4, "working_hours"))
    assert told == {
        "start": "2026-09-30T16:00:00+08:00",
        "due_at": "2026-10-08T10:00:00+08:00",
        "limit": {"amount": 4, "unit": "working_hours"},
        "clock": "working",
        "skipped_days": 7,
        "years_without_published_days": [],
    }
    assert MEIZHOU.describe(_at("2026-09-30 16:00"), Limit(4, "days"))["skipped_days"] == 0


def test_explanation_says_when_a_year_s_holidays_are_not_known_yet() -> None:
    told = MEIZHOU.describe(_at("2026-12-31 16:00"), Limit(1, "working_days"))
    assert told["years_without_published_days"] == [2027]


@pytest.mark.parametrize(
    ("amount", "unit", "message"),
    [
        (1, "working_day", "did you mean working_days"),
        (0, "hours", "more than 0"),
        (-1, "hours", "more than 0"),
        (float("nan"), "hours", "more than 0"),
        (float("inf"), "hours", "more than 0"),
        (1e300, "days", "at most"),
    ],
)
def test_a_limit_that_cannot_be_is_refused(amount: float, unit: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Limit(amount, unit)


def test_units_run_on_the_clock_their_name_says() -> None:
    clocks: Mapping[str, str] = {unit: Limit(1, unit).clock for unit in UNITS}
    assert clocks == {
        "minutes": "urgent",
        "hours": "urgent",
        "days": "urgent",
        "urgent_hours": "urgent",
        "working_hours": "working",
        "working_days": "working",
    }


def test_moments_without_an_offset_or_beyond_the_years_are_refused() -> None:
    with pytest.raises(ValueError, match="needs an offset"):
        MEIZHOU.due(datetime(2026, 11, 16), Limit(1, "hours"))
    with pytest.raises(ValueError, match="needs an offset"):
        MEIZHOU.remaining(_at("2026-11-16"), datetime(2026, 11, 16), "urgent")
    for unit in ("working_days", "days"):
        with pytest.raises(ValueError, match="the years 1970 to 2199"):
            MEIZHOU.due(_at("2026-11-16 08:00"), Limit(1_000_000, unit))
    with pytest.raises(ValueError, match="the years 1970 to 2199"):
        MEIZHOU.due(np.array([1_763_000_000_000]), Limit(1, "working_days"), ticks=1)


@pytest.mark.parametrize(
    ("weekdays", "hours", "message"),
    [
        ([], HOURS, "at least one working day"),
        ([7], HOURS, "at least one working day"),
        ([0], [], "at least one interval"),
        ([0], [("12:00", "08:00")], "ends after it starts"),
        ([0], [("22:00", "06:00")], "ends after it starts"),
        ([0], [("08:00", "12:00"), ("11:00", "13:00")], "without overlap"),
        ([0], [("8:00", "12:00")], "read HH:MM"),
        ([0], [("08:00", "24:30")], "read HH:MM"),
    ],
)
def test_working_time_that_cannot_be_is_refused(
    weekdays: list[int], hours: list[tuple[str, str]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Calendar(SHANGHAI, weekdays, hours, {})


def test_meizhou_s_published_days_differ_from_the_week_and_add_up() -> None:
    days = _published_days()
    assert all((day.weekday() < 5) == (kind == "holiday") for day, kind in days.items())
    assert list(days) == sorted(days)
    counts = {
        year: [sum(day.year == year and kind == what for day, kind in days.items()) for what in ("holiday", "workday")]
        for year in (2024, 2025, 2026)
    }
    assert counts == {2024: [19, 8], 2025: [18, 5], 2026: [19, 6]}
