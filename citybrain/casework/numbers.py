"""Case numbers that people can say on the telephone: 20261122-grid-00012, counted per domain and local day."""

from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql.dml import ReturningInsert

from citybrain.store.tables import counters
from citybrain.store.upsert import insert_or


def next_numbers(tx: Connection, domain: str, count: int, zone: ZoneInfo, now: int) -> list[str]:
    """`count` numbers in one statement. Numbers that end unused are gaps, never doubles."""
    name = f"{datetime.fromtimestamp(now / 1000, zone):%Y%m%d}-{domain}"
    last: int = tx.execute(_counting(tx.dialect), {"name": name, "value": count}).scalar_one()
    return [f"{name}-{number:05d}" for number in range(last - count + 1, last + 1)]


@lru_cache(maxsize=8)
def _counting(dialect: Dialect) -> ReturningInsert[int]:
    first = insert_or(dialect, counters)
    return first.on_conflict_do_update(
        index_elements=[counters.c.name], set_={"value": counters.c.value + first.excluded.value}
    ).returning(counters.c.value)
