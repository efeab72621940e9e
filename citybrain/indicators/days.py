"""Days of the city's calendar as moments of the record, and back."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from citybrain.clock import to_ms
from citybrain.problem import invalid, time_remedy

DAY_MS = 24 * 3600 * 1000


def day_of(ms: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(ms / 1000, zone).date()


def begin_of(day: date, zone: ZoneInfo) -> int:
    return to_ms(datetime.combine(day, time(), zone))


def end_of(day: date, zone: ZoneInfo) -> int:
    """The last millisecond of the day."""
    return begin_of(day + timedelta(days=1), zone) - 1


def state_of(day: date, now: int, zone: ZoneInfo) -> int:
    """The moment a day is judged by: its end, for today the present."""
    return now if day == day_of(now, zone) else end_of(day, zone)


def days_between(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def read_day(field: str, text: str) -> date:
    try:
        return date.fromisoformat(text) if len(text) == len("2026-11-22") else _moment(text).date()
    except ValueError:
        raise invalid(field, f"{text!r} is no day", "a date like 2026-11-22") from None


def read_moment(field: str, text: str, now: int, zone: ZoneInfo) -> int:
    """A moment with its offset, or a day, which stands for its end."""
    try:
        if len(text) == len("2026-11-22"):
            return state_of(date.fromisoformat(text), now, zone)
        moment = _moment(text)
        if moment.tzinfo is None:
            raise ValueError
        return to_ms(moment)
    except (ValueError, OverflowError):
        example = datetime(2026, 11, 22, 8, tzinfo=zone).isoformat()
        raise invalid(field, f"{text!r} is no moment", f"{time_remedy(example)}, or a date") from None


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace(" ", "+"))  # an unescaped + arrives as a space
