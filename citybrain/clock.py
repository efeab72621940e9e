"""The service's time: milliseconds since 1970 UTC inside, RFC 3339 with the city's offset outside."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from functools import lru_cache

Clock = Callable[[], int]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def to_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def to_datetime(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


@lru_cache(maxsize=1_000)
def rfc3339(ms: int | None, zone: tzinfo) -> str | None:
    if ms is None:
        return None
    return datetime.fromtimestamp(ms / 1000, zone).isoformat(timespec="milliseconds" if ms % 1000 else "seconds")
