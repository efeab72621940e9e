"""Due times against a table worked out by hand and against a walk from minute to minute."""

import csv
import os
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import citybrain
from citybrain.casework.supervision import threshold_moments
from citybrain.deadline import UNITS, Calendar, Clock, Limit
from citybrain.practice import Practice

CALENDAR_CSV = Path(citybrain.__file__).parent / "cities" / "meizhou" / "calendar.csv"
SHANGHAI = ZoneInfo("Asia/Shanghai")
EXAMPLES = int(os.environ.get("CITYBRAIN_EXAMPLES", "100"))
HOURS = (("08:00", "12:00"), ("14:00", "18:00"))


def _published_days() -> dict[date, str]:
    with CALENDAR_CSV.open(encoding="utf-8", newline="") as lines:
        return {date.fromisoformat(row["date"]): row["kind"] for row in csv.DictReader(lines)}


MEIZHOU = Calendar(SHANGHAI, range(5), HOURS, _published_days())


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


# Worked out by hand with a wall calendar and the notices of the General Office of the State Council on holidays and
# make-up working days: 国办发明电〔2023〕7号 for 2024, 〔2024〕12号 for 2025, 〔2025〕7号 for 2026 (SOURCES.md of the
# city pack).
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
    # 春节 2024: 02-10 to 02-17 free, Sundays 02-04 and 02-18 worked; 02-09 is a Friday like any other
    ("2024-02-03 10:00", 1, "working_days", "2024-02-04 18:00"),  # from a Saturday into the worked Sunday
    ("2024-02-09 16:00", 4, "working_hours", "2024-02-18 10:00"),
    # 劳动节 2024: 05-01 to 05-05 free, Sunday 04-28 and Saturday 05-11 worked
    ("2024-04-30 17:59", 0.5, "working_hours", "2024-05-06 08:29"),
    ("2024-05-10 12:00", 12, "working_hours", "2024-05-11 18:00"),
    # 端午 2024 is a Monday; 中秋 2024-09-15 to 17, Saturday 09-14 worked
    ("2024-06-07 15:00", 5, "working_hours", "2024-06-11 10:00"),
    ("2024-09-13 17:00", 10, "working_hours", "2024-09-18 09:00"),
    # 国庆 and 中秋 2025: 10-01 to 10-08, Sunday 09-28 and Saturday 10-11 worked
    ("2025-09-26 16:00", 12, "working_hours", "2025-09-29 10:00"),
    ("2025-09-30 17:30", 1, "working_days", "2025-10-09 17:30"),
    ("2025-10-10 13:00", 8, "working_hours", "2025-10-11 12:00"),
    # 劳动节 2025 and 2026, 端午 2025 (Monday 06-02) and 2026 (Friday 06-19)
    ("2025-04-25 17:00", 2, "working_hours", "2025-04-27 09:00"),
    ("2025-05-30 17:30", 1, "working_hours", "2025-06-03 08:30"),
    ("2026-04-30 15:00", 2, "working_days", "2026-05-07 15:00"),
    ("2026-06-18 14:00", 1, "working_days", "2026-06-22 12:00"),
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


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    zone=st.sampled_from(list(ZONES)),
    hours=HOUR_LISTS,
    weekdays=st.sets(st.integers(0, 6), min_size=2),
    days=st.dictionaries(st.integers(0, 9), st.sampled_from(["holiday", "workday"]), max_size=5),
    after=st.integers(0, 4 * 1440),
    part=st.floats(0, 4),
)
def test_due_is_where_a_walk_from_minute_to_minute_ends(
    zone: str, hours: list[tuple[int, int]], weekdays: set[int], days: dict[int, str], after: int, part: float
) -> None:
    """`part` of a working day: at most four, so that the walk ends within days. CITYBRAIN_EXAMPLES=10000 for more."""
    near = ZONES[zone]
    minutes = 1 + round(part * sum(closes - opens for opens, closes in hours))
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


def test_days_name_what_counts_and_what_does_not() -> None:
    due = MEIZHOU.due(_at("2026-09-30 16:00"), Limit(12, "working_hours"))
    told = [(f"{day.on:%m-%d}", day.kind, [f"{a:%H:%M}-{b:%H:%M}" for a, b in day.spans])
            for day in MEIZHOU.days(_at("2026-09-30 16:00"), due)]  # fmt: skip
    assert told == [
        ("09-30", "workday", ["16:00-18:00"]),
        *((f"10-0{day}", kind, []) for day, kind in enumerate(["holiday", "holiday", "weekend", "weekend"], 1)),
        *((f"10-0{day}", "holiday", []) for day in (5, 6, 7)),
        ("10-08", "workday", ["08:00-12:00", "14:00-18:00"]),
        ("10-09", "workday", ["08:00-10:00"]),
    ]
    assert [day.kind for day in MEIZHOU.days(_at("2026-10-10 08:00"), _at("2026-10-11 08:00"))] == ["makeup", "weekend"]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 400_000), st.integers(1, 200))
def test_the_days_of_a_limit_add_up_to_it(minute: int, hours: int) -> None:
    start = _at("2025-12-20 00:00") + timedelta(minutes=minute)
    spans = [
        span for day in MEIZHOU.days(start, MEIZHOU.due(start, Limit(hours, "working_hours"))) for span in day.spans
    ]
    assert sum((end - begin for begin, end in spans), timedelta()) == timedelta(hours=hours)


def test_years_whose_holidays_are_not_known_yet_are_named() -> None:
    assert MEIZHOU.unpublished(_at("2026-12-31 16:00"), _at("2027-01-04 16:00")) == [2027]
    assert MEIZHOU.unpublished(_at("2026-12-31 16:00"), _at("2026-12-31 18:00")) == []


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


DAYS = [date(2023, 12, 1) + timedelta(days) for days in range(1300)]


def _working_minutes() -> np.ndarray:
    """Of every minute from DAYS[0] on whether it is worked: from the published days and the hours on the wall."""
    published = _published_days()
    opens = [any(int(a[:2]) * 60 <= minute < int(b[:2]) * 60 for a, b in HOURS) for minute in range(1440)]
    closed = [False] * 1440
    worked = [published.get(day, "workday" if day.weekday() < 5 else "holiday") == "workday" for day in DAYS]
    return np.array([minute for day in worked for minute in (opens if day else closed)])


def _walk(working: np.ndarray, start: np.ndarray, minutes: np.ndarray) -> np.ndarray:
    """The slow and obvious way, for many walkers at once: each takes a minute at a time and counts those worked."""
    at, left = start.copy(), minutes.copy()
    walking = np.flatnonzero(left)
    while walking.size:
        left[walking] -= working[at[walking]]
        at[walking] += 1
        walking = walking[left[walking] > 0]
    return at


def test_ten_thousand_due_times_and_thresholds_are_where_walks_from_minute_to_minute_end() -> None:
    """Over three years' holidays, year ends and midnights."""
    chance = np.random.default_rng(47678)
    begin = round(datetime.combine(DAYS[0], datetime.min.time(), SHANGHAI).timestamp())
    start = chance.integers(0, (date(2026, 12, 31) - DAYS[0]).days * 1440, 10_000)
    for number, year in enumerate((2024, 2025, 2026)):  # nights of the new year
        start[number * 300 : (number + 1) * 300] = (date(year, 1, 1) - DAYS[0]).days * 1440 + np.arange(-150, 150)
    quarters = chance.integers(1, 241, start.size)  # up to two working days
    working = _working_minutes()
    ends = {part: _walk(working, start, quarters * part) for part in (3, 4, 8)}

    limits = [Limit(minutes / 60, "working_hours") for minutes in (quarters * 4).tolist()]
    due = MEIZHOU.due((begin + start * 60) * 1000, limits)
    assert ((due // 1000 - begin) // 60 == ends[4]).all()
    seconds = quarters * 60.0
    for part, moved in ((3, -seconds), (8, 4 * seconds)):  # a quarter left, and twice the limit
        found = MEIZHOU.moved(due, moved, "working")
        assert ((found // 1000 - begin) // 60 == ends[part]).all()


def test_thresholds_are_told_from_the_due_time_a_tick_after_it_where_they_lie_past_it() -> None:
    due = round(_at("2025-04-29 09:00").timestamp() * 1000)
    moments = threshold_moments(MEIZHOU, due, 2, "working_days", Practice().moments)
    expected = [_at(text) for text in ("2025-04-28 15:00", "2025-04-29 09:00", "2025-04-29 09:00", "2025-05-06 09:00")]
    late = [0, 0, 1, 1]
    assert moments == tuple(round(at.timestamp() * 1000) + more for at, more in zip(expected, late, strict=True))
    urgent = threshold_moments(MEIZHOU, due, 2, "urgent_hours", Practice().moments)
    assert [moment - due for moment in urgent] == [-30 * 60_000, 0, 1, 2 * 3_600_000 + 1]


def test_a_threshold_beyond_all_calendars_never_comes_and_the_others_do() -> None:
    due = round(datetime(2198, 1, 1, tzinfo=UTC).timestamp() * 1000)
    moments = threshold_moments(MEIZHOU, due, 300_000, "working_days", Practice().moments)
    assert (moments[1], moments[2]) == (due, due + 1)
    assert moments[3] > due * 1000


def test_meizhou_s_published_days_differ_from_the_week_and_add_up() -> None:
    days = _published_days()
    assert all((day.weekday() < 5) == (kind == "holiday") for day, kind in days.items())
    assert list(days) == sorted(days)
    counts = {
        year: [sum(day.year == year and kind == what for day, kind in days.items()) for what in ("holiday", "workday")]
        for year in (2024, 2025, 2026)
    }
    assert counts == {2024: [19, 8], 2025: [18, 5], 2026: [19, 6]}
