"""What changes in an SQLite record while `copy` moves it: triggers note the key of every row that anybody writes, and
in the end refuse whoever still wants to write. The service knows nothing of it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Table, func, select, tuple_
from sqlalchemy import column as column_
from sqlalchemy import table as table_

from citybrain.store.database import MOVED
from citybrain.store.migrate import MOVED_TO

NOTED = "moving_rows"  # the keys, in the order of their changes
TARGET = "moving_to"  # which copy has begun; its rows are in the new database when that names it too
AT_ONCE = 500
KEYS = ("k1", "k2", "k3")

_noted = table_(NOTED, column_("number"), column_("name"), *map(column_, KEYS))
_target = table_(TARGET, column_("token"))


def begin(tx: Connection, tables: Sequence[Table], token: str) -> None:
    """From here on every change is noted."""
    forget(tx, tables)
    tx.exec_driver_sql(f"CREATE TABLE {NOTED} (number INTEGER PRIMARY KEY, name TEXT, k1, k2, k3)")
    tx.exec_driver_sql(f"CREATE TABLE {TARGET} (token TEXT)")
    tx.execute(_target.insert().values(token=token))
    for table in tables:
        for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            keys = [f"{row}.{column.name}" for column in table.primary_key.columns]
            tx.exec_driver_sql(
                f"CREATE TRIGGER {_trigger(table, event)} AFTER {event} ON {table.name} BEGIN INSERT INTO {NOTED} "  # noqa: S608 - our own names
                f"(name, {', '.join(KEYS[: len(keys)])}) VALUES ('{table.name}', {', '.join(keys)}); END"
            )


def begun(tx: Connection) -> str | None:
    """The token of a copy that was begun and not ended."""
    if not tx.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = ?", (TARGET,)).first():
        return None
    return token_in(tx)


def forget(tx: Connection, tables: Sequence[Table]) -> None:
    """As if no copy had been begun."""
    for table in tables:
        for event in ("INSERT", "UPDATE", "DELETE"):
            tx.exec_driver_sql(f"DROP TRIGGER IF EXISTS {_trigger(table, event)}")
    for name in (NOTED, TARGET):
        tx.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")


def close(tx: Connection, tables: Sequence[Table], where: str) -> None:
    """Nobody writes here any more: what would have been kept here alone is refused, with 503."""
    forget(tx, tables)
    tx.exec_driver_sql(f"CREATE TABLE {MOVED_TO} (url TEXT)")
    tx.execute(table_(MOVED_TO, column_("url")).insert().values(url=where))
    for table in tables:
        for event in ("INSERT", "UPDATE", "DELETE"):
            tx.exec_driver_sql(
                f"CREATE TRIGGER {_trigger(table, event)} BEFORE {event} ON {table.name} "
                f"BEGIN SELECT RAISE(ABORT, '{MOVED}'); END"
            )


def token_in(tx: Connection) -> str:
    """Of the copy that the database names, either one."""
    token: str = tx.execute(select(_target.c.token)).scalar_one()
    return token


def last(tx: Connection) -> int:
    """The number of the newest change."""
    number: int = tx.execute(select(func.coalesce(func.max(_noted.c.number), 0))).scalar_one()
    return number


def changed(tx: Connection, table: Table, after: int, until: int) -> Iterator[tuple[list[Any], list[dict[str, Any]]]]:
    """The keys that changed after the one number and until the other, some at a time, and the rows that they have."""
    width = len(table.primary_key.columns)
    between = (_noted.c.name == table.name) & (_noted.c.number > after) & (_noted.c.number <= until)
    found = tx.execute(select(*(_noted.c[key] for key in KEYS[:width])).where(between).distinct()).all()
    for start in range(0, len(found), AT_ONCE):
        some = [tuple(row) for row in found[start : start + AT_ONCE]]
        rows = tx.execute(select(table).where(with_keys(table, some))).mappings()
        yield some, [dict(row) for row in rows]


def with_keys(table: Table, keys: Sequence[Any]) -> Any:
    columns = list(table.primary_key.columns)
    if len(columns) == 1:
        return columns[0].in_([key for (key,) in keys])
    return tuple_(*columns).in_(keys)


def _trigger(table: Table, event: str) -> str:
    return f"moving_{table.name}_{event.lower()}"
