"""Many new rows in one statement, past what SQLAlchemy does with every single value."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect, Table, insert

Rows = Sequence[dict[str, Any]]
Convert = Callable[[Any], Any]


def insert_rows(tx: Connection, table: Table, rows: Rows) -> None:
    """All rows have the columns of the first one; the others get their defaults."""
    if not rows:
        return
    statement, columns = _prepared(table, frozenset(rows[0]), tx.dialect)
    values = [map(convert, map(itemgetter(name), rows)) if convert else map(itemgetter(name), rows)
              for name, convert in columns]  # fmt: skip
    tx.exec_driver_sql(statement, list(zip(*values, strict=True)))


@lru_cache(maxsize=100)
def _prepared(table: Table, names: frozenset[str], dialect: Dialect) -> tuple[str, list[tuple[str, Convert | None]]]:
    """The statement for the driver, its columns in order, and how values are turned to what the driver takes."""
    compiled = insert(table).compile(dialect=dialect, column_keys=list(names))
    order = list(compiled.positiontup or ())
    return str(compiled), [(name, _convert(table, name, dialect)) for name in order]


def _convert(table: Table, name: str, dialect: Dialect) -> Convert | None:
    return table.c[name].type.dialect_impl(dialect).bind_processor(dialect)
