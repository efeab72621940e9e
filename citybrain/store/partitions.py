"""Months of the tables that grow with every event, on PostgreSQL: each row lies in the month that its id begins with.
Made ahead by `migrate` and by patrol; what no month was made for lies in a default partition, and is never refused."""

from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import ColumnClause, Connection, TableClause, column, select, text

from citybrain.clock import to_datetime, to_ms
from citybrain.store.locks import Lock, take

# The column that a table is partitioned by, and what stands before the time in it.
PARTITIONED = {
    "events": ("id", ""),
    "deliveries": ("id", "msg_"),
    "attempts": ("delivery_id", "msg_"),
    "ledger": ("chain", ""),
}
AHEAD = 3  # months


def make_partitions(tx: Connection, since: int, until: int) -> list[str]:
    """Makes the months from `since` to three after `until`, both in ms, where they are missing. Returns their names.
    A month that has rows in the default partition already stays there."""
    if tx.dialect.name != "postgresql" or not _missing(tx, since, until):
        return []
    take(tx, Lock.TABLES)
    tx.execute(text("SET LOCAL lock_timeout = '2s'"))  # intake waits behind whoever waits for a table
    made = []
    for table, name, begins, ends in _missing(tx, since, until):
        key: ColumnClause[str] = column(PARTITIONED[table][0])
        inside = select(key).select_from(TableClause(f"{table}_default")).where(key >= begins, key < ends)
        if tx.execute(inside.limit(1)).first() is not None:
            continue
        # Made apart and attached, which does not stop the table's readers and writers; our own names and digits.
        tx.execute(text(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"))
        tx.execute(text(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{begins}') TO ('{ends}')"))
        made.append(name)
    return made


def _missing(tx: Connection, since: int, until: int) -> list[tuple[str, str, str, str]]:
    """(table, partition, first id, first id after it)"""
    there = set(tx.execute(text("SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'")).scalars())
    months = list(_months(since, until))
    return [
        (table, name, f"{before}{begins:012x}", f"{before}{ends:012x}")
        for table, (_, before) in PARTITIONED.items()
        for month, begins, ends in months
        if (name := f"{table}_{month}") not in there
    ]


def _months(since: int, until: int) -> Iterator[tuple[str, int, int]]:
    """(name, begin, end) of each month in UTC; ids begin with 48 bits of milliseconds."""
    at, last = to_datetime(since), to_datetime(until)
    year, month = at.year, at.month
    while (year, month) <= (last.year + (last.month + AHEAD - 1) // 12, (last.month + AHEAD - 1) % 12 + 1):
        after = (year + month // 12, month % 12 + 1)
        yield f"{year}_{month:02}", _begin(year, month), _begin(*after)
        year, month = after


def _begin(year: int, month: int) -> int:
    return to_ms(datetime(year, month, 1, tzinfo=UTC))
