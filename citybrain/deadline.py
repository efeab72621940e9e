"""When something is due: limits, and the clocks they run on, round the clock (紧急) or in working time (工作).

Comes after routing, which chooses the limit; cases and orders keep the due time, patrol compares it with now.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any, Literal, NamedTuple, overload
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from geo.mistake import did_you_mean

Clock = Literal["urgent", "working"]
DayKind = Literal["workday", "makeup", "weekend", "holiday"]  # makeup: 调休, a working day that the week does not have
Moments = NDArray[np.int64]

# Seconds of each unit; a working day has as many as the city's calendar gives it.
UNITS = {"minutes": 60, "hours": 3600, "days": 86_400, "urgent_hours": 3600, "working_hours": 3600, "working_days": 0}
YEARS = range(1970, 2200)

_SECOND = 1_000_000  # inside, moments are microseconds since 1970
_MINUTE = 60 * _SECOND
_TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def clock_of(unit: str) -> Clock:
    return "working" if unit.startswith("working_") else "urgent"


@dataclass(frozen=True, slots=True)
class Limit:
    """How long something may take. `unit` is one of UNITS."""

    amount: float
    unit: str

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ValueError(f"a limit's unit is one of {', '.join(UNITS)}{did_you_mean(self.unit, UNITS)}")
        if not (math.isfinite(self.amount) and 0 < self.amount <= 1_000_000):
            raise ValueError(f"a limit's amount is more than 0 and at most 1000000, found {self.amount}")

    @property
    def clock(self) -> Clock:
        return clock_of(self.unit)


class Day(NamedTuple):
    """One day of a reckoning: what it is, and from when until when working time was counted on it."""

    on: date
    kind: DayKind
    spans: tuple[tuple[datetime, datetime], ...]


class _Spans(NamedTuple):
    """All working time of some years: when each span opens and closes, and the working time until then."""

    years: range
    opens: Moments
    closes: Moments
    before: Moments
    after: Moments

    def elapsed(self, moments: Moments) -> Moments:
        at = np.maximum(np.searchsorted(self.opens, moments, side="right") - 1, 0)
        since = np.clip(moments - self.opens[at], 0, self.closes[at] - self.opens[at])
        return np.asarray(self.before[at] + since)

    def moment(self, worked: Moments) -> Moments:
        """The first moment by which `worked` has passed: at closing time that moment, not the next opening."""
        at = np.searchsorted(self.after, worked, side="left")
        return np.asarray(self.opens[at] + worked - self.before[at])


class Calendar:
    """Working time: the hours of a working day, and which days are one.

    `weekdays` counts from Monday = 0; `intervals` are local times, `("08:00", "12:00")`; `days` says where dates differ
    from the week, `holiday` or `workday`. Raises ValueError for working time that cannot be.
    """

    def __init__(
        self,
        zone: ZoneInfo,
        weekdays: Collection[int],
        intervals: Sequence[tuple[str, str]],
        days: Mapping[date, str],
    ) -> None:
        self.zone, self._weekdays, self._days = zone, frozenset(weekdays), dict(days)
        if not self._weekdays or not self._weekdays <= set(range(7)):
            raise ValueError(f"a week has at least one working day, from 0 (Monday) to 6; found {sorted(weekdays)}")
        self._intervals = _intervals(intervals)
        self._by_year: dict[int, list[tuple[int, int]]] = {}
        self._spans = self._build(range(0))

    @property
    def content(self) -> list[Any]:
        """All that it is made of: two calendars with the same content say the same."""
        return [self.zone.key, sorted(self._weekdays), self._intervals, self._days]

    @cached_property
    def day_seconds(self) -> int:
        return sum(end - start for start, end in self._intervals) * 60

    @property
    def hours(self) -> list[tuple[str, str]]:
        """Of a working day, as local times."""
        return [(_clock(start), _clock(end)) for start, end in self._intervals]

    def is_working_day(self, day: date) -> bool:
        kind = self._days.get(day)
        return kind == "workday" if kind else day.weekday() in self._weekdays

    @overload
    def due(self, start: datetime, limit: Limit) -> datetime: ...

    @overload
    def due(self, start: Moments, limit: Limit | Sequence[Limit], ticks: int = ...) -> Moments: ...

    def due(self, start: datetime | Moments, limit: Limit | Sequence[Limit], ticks: int = 1000) -> datetime | Moments:
        """When `limit` ends that began at `start`; outside working time, a working limit counts from the next opening.

        For many at once `start` holds integers since 1970 UTC (`ticks` a second: 1000 are milliseconds) and `limit` is
        one for all or one for each. Raises ValueError for naive datetimes and for moments outside YEARS.
        """
        limits = [limit] if isinstance(limit, Limit) else list(limit)
        if isinstance(start, datetime):
            return self._datetime(int(self._due(np.array([_micros(start)]), limits)[0]))
        if not start.size:
            return start.copy()
        scale = _SECOND // ticks
        return self._due(start.astype(np.int64) * scale, limits) // scale

    def moved(self, moments: Moments, seconds: NDArray[np.float64], clock: Clock, ticks: int = 1000) -> Moments:
        """Each moment moved by so many seconds of one clock, forward or back. `ticks` as in `due`; raises ValueError
        where the years end."""
        if not moments.size:
            return moments.copy()
        scale = _SECOND // ticks
        start, by = moments.astype(np.int64) * scale, np.rint(seconds * _SECOND).astype(np.int64)
        if clock == "working":
            return self._advance(start, by) // scale
        _years(start + by)
        return (start + by) // scale

    def seconds_of(self, limit: Limit) -> float:
        return limit.amount * self._seconds(limit.unit)

    def remaining(self, due: datetime, now: datetime, clock: Clock) -> float:
        """Seconds of `clock` from `now` until `due`; negative when it is past."""
        until, since = _micros(due), _micros(now)
        if clock == "working":
            since, until = self._covering(np.array([since, until])).elapsed(np.array([since, until])).tolist()
        return (until - since) / _SECOND

    def resume(self, now: datetime, remaining: float, clock: Clock) -> datetime:
        """The new due time of a clock that stood still with `remaining` seconds left. Overdue stays as much overdue."""
        left = round(remaining * _SECOND)
        if clock == "working":
            return self._datetime(int(self._advance(np.array([_micros(now)]), np.array([left]))[0]))
        return self._datetime(_micros(now) + left)

    def days(self, since: datetime, until: datetime) -> list[Day]:
        """Every day from one moment to the other with the working time that lies between them: what a working clock
        counts, and what it leaves out."""
        first, last = since.astimezone(self.zone).date(), until.astimezone(self.zone).date()
        start, end = _micros(since), _micros(until)
        spans = self._covering(np.array([start, end]))
        counted: dict[date, list[tuple[datetime, datetime]]] = {}
        for at in range(np.searchsorted(spans.closes, start, "right"), np.searchsorted(spans.opens, end, "left")):
            opens = self._datetime(max(start, int(spans.opens[at])))
            closes = self._datetime(min(end, int(spans.closes[at])))
            counted.setdefault(opens.date(), []).append((opens, closes))
        dates = (first + timedelta(number) for number in range((last - first).days + 1))
        return [Day(each, self._kind(each), tuple(counted.get(each, ()))) for each in dates]

    def unpublished(self, since: datetime, until: datetime) -> list[int]:
        """The years between two moments for which no holidays are published yet; none where there never are any."""
        published = {day.year for day in self._days}
        years = range(since.astimezone(self.zone).year, until.astimezone(self.zone).year + 1)
        return [year for year in years if year not in published] if published else []

    def _kind(self, day: date) -> DayKind:
        usual = day.weekday() in self._weekdays
        if self.is_working_day(day):
            return "workday" if usual else "makeup"
        return "holiday" if usual else "weekend"

    def _due(self, start: Moments, limits: Sequence[Limit]) -> Moments:
        amounts = np.array([round(limit.amount * self._seconds(limit.unit) * _SECOND) for limit in limits], np.int64)
        working = np.array([limit.clock == "working" for limit in limits])
        start, amounts, working = np.broadcast_arrays(start, amounts, working)
        due = start + amounts
        if working.any():
            due[working] = self._advance(start[working], amounts[working])
        if not working.all():
            _years(due)
        return np.asarray(due)

    def _seconds(self, unit: str) -> int:
        return UNITS[unit] or self.day_seconds

    def _advance(self, start: Moments, amounts: Moments) -> Moments:
        spans = self._covering(start)
        while True:
            worked = spans.elapsed(start) + amounts
            if worked.max() > spans.after[-1]:
                spans = self._extend(spans.years.start, spans.years.stop + len(spans.years))
            elif worked.min() <= 0:  # a clock resumed overdue, that ended before these years
                spans = self._extend(spans.years.start - len(spans.years), spans.years.stop)
            else:
                return spans.moment(worked)

    def _covering(self, moments: Moments) -> _Spans:
        years, have = _years(moments), self._spans.years
        first, stop = max(years.start - 1, YEARS.start), min(years.stop + 1, YEARS.stop)
        if have and have.start <= first and stop <= have.stop:
            return self._spans
        return self._extend(min(first, have.start), max(stop, have.stop)) if have else self._extend(first, stop)

    def _extend(self, first: int, stop: int) -> _Spans:
        years = range(max(first, YEARS.start), min(stop, YEARS.stop))
        if years == self._spans.years:
            raise ValueError(f"no such working time in the years {YEARS.start} to {YEARS.stop - 1}")
        self._spans = self._build(years)
        return self._spans

    def _build(self, years: range) -> _Spans:
        spans = [span for year in years for span in self._year(year)]
        opens, closes = np.array(spans, np.int64).reshape(-1, 2).T.copy()
        after = np.cumsum(closes - opens)
        return _Spans(years, opens, closes, after - (closes - opens), after)

    def _year(self, year: int) -> list[tuple[int, int]]:
        if year not in self._by_year:
            first = date(year, 1, 1)
            days = (first + timedelta(days) for days in range((date(year + 1, 1, 1) - first).days))
            self._by_year[year] = [span for day in days if self.is_working_day(day) for span in self._day(day)]
        return self._by_year[year]

    def _day(self, day: date) -> list[tuple[int, int]]:
        """The working spans of a day; on one that changes its offset (summer time), minute by minute."""
        midnight = datetime.combine(day, time(), self.zone)
        ends = [end.replace(fold=fold) for end in (midnight, midnight + timedelta(days=1)) for fold in (0, 1)]
        if len({end.utcoffset() for end in ends}) == 1:
            base = _micros(midnight)
            return [(base + start * _MINUTE, base + end * _MINUTE) for start, end in self._intervals]
        spans: list[tuple[int, int]] = []
        for minute in range(min(map(_micros, ends)), max(map(_micros, ends)), _MINUTE):
            local = self._datetime(minute)
            if local.date() == day and self._open(local):
                joined = spans.pop() if spans and spans[-1][1] == minute else (minute, minute)
                spans.append((joined[0], minute + _MINUTE))
        return spans

    def _open(self, local: datetime) -> bool:
        return any(start <= local.hour * 60 + local.minute < end for start, end in self._intervals)

    def _datetime(self, micros: int) -> datetime:
        return (_EPOCH + timedelta(microseconds=micros)).astimezone(self.zone)


def _micros(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise ValueError(f"a moment needs an offset, found {moment.isoformat()}")
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)


def _years(moments: Moments) -> range:
    first, last = (np.array([moments.min(), moments.max()]).astype("datetime64[us]").astype("datetime64[Y]")).astype(
        int
    )
    years = range(1970 + int(first), 1970 + int(last) + 1)
    if years[0] not in YEARS or years[-1] not in YEARS:
        raise ValueError(f"moments are of the years {YEARS.start} to {YEARS.stop - 1}, found {years[0]} to {years[-1]}")
    return years


def _intervals(texts: Sequence[tuple[str, str]]) -> list[tuple[int, int]]:
    """Minutes of the day from `HH:MM` texts, each interval after the one before."""
    intervals: list[tuple[int, int]] = []
    for start, end in texts:
        span = _minute_of_day(start), _minute_of_day(end)
        if span[0] >= span[1]:
            raise ValueError(f"a working interval ends after it starts, on the same day; found {start}-{end}")
        if intervals and span[0] < intervals[-1][1]:
            raise ValueError(f"working intervals follow one another without overlap; found {start}-{end} too early")
        intervals.append(span)
    if not intervals:
        raise ValueError("working time has at least one interval such as 08:00-12:00")
    return intervals


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _minute_of_day(text: str) -> int:
    if not _TIME_OF_DAY.fullmatch(text):
        raise ValueError(f"times of the day read HH:MM, from 00:00 to 24:00; found {text!r}")
    return int(text[:2]) * 60 + int(text[3:])
