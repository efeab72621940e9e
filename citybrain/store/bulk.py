"""Many rows in one statement. SQLite's executemany stays inside the process; PostgreSQL takes new rows by COPY and
changed ones as one JSON document (DECISIONS.md has the figures)."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson
import psycopg
from psycopg import sql
from sqlalchemy import JSON, Column, Connection, Table, bindparam, cast, column, func, insert, literal, select, update
from sqlalchemy.exc import DBAPIError

from citybrain.store.engine import quote_nothing
from citybrain.store.upsert import insert_or

Rows = Sequence[dict[str, Any]]
Convert = Callable[[Any], Any]


def insert_rows(tx: Connection, table: Table, rows: Rows) -> None:
    """All rows have the columns of the first one; the others get their defaults."""
    if not rows:
        return
    if tx.dialect.name != "postgresql":
        tx.execute(insert(table), rows)
        return
    names = list(rows[0])
    converts = [_convert(tx, table.c[name]) for name in names]
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    cursor = _driver(tx).cursor()
    try:
        with cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row([convert(row[name]) for name, convert in zip(names, converts, strict=True)])
    except psycopg.Error as error:
        raise _as_sqlalchemy_does(tx, f"COPY {table.name}", error) from None


def insert_new(tx: Connection, table: Table, rows: Rows) -> int:
    """Inserts, in their order, what no unique key forbids. Returns how many."""
    statement = insert_or(tx, table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
    if tx.dialect.name != "postgresql":
        return tx.execute(statement, rows).rowcount
    given = _recordset(tx, table, rows)
    return tx.execute(statement.from_select(list(rows[0]), select(*given))).rowcount


def update_rows(tx: Connection, table: Table, keys: Sequence[str], rows: Iterable[dict[str, Any]], **more: Any) -> int:
    """Sets the other columns of each row, and `more` for all, where its `keys` are equal. Returns how many were met."""
    given = list(rows)
    if not given:
        return 0
    changed = [name for name in given[0] if name not in keys]
    if tx.dialect.name == "postgresql":
        new: Any = _recordset(tx, table, given)
    else:
        new = {name: bindparam(f"b_{name}", type_=table.c[name].type) for name in given[0]}
    values = {name: new[name] for name in changed} | more
    statement = update(table).where(*(table.c[key] == new[key] for key in keys)).values(values)
    if tx.dialect.name == "postgresql":
        return tx.execute(statement).rowcount
    return tx.execute(statement, [{f"b_{name}": value for name, value in row.items()} for row in given]).rowcount


def _recordset(tx: Connection, table: Table, rows: Rows) -> Any:
    """The rows as a table that PostgreSQL reads from one JSON document."""
    converts = {str(name): _convert(tx, table.c[name]) for name in rows[0]}  # plain texts, or it would be no JSON
    converted = [{name: convert(row[name]) for name, convert in converts.items()} for row in rows]
    document = orjson.dumps(converted, default=_bytes).decode()
    columns = [column(name, table.c[name].type) for name in converts]
    read = func.json_to_recordset(cast(literal(document), JSON))
    return read.table_valued(*columns).render_derived("given", with_types=True).c


def _convert(tx: Connection, column_: Column[Any]) -> Convert:
    return column_.type.dialect_impl(tx.dialect).bind_processor(tx.dialect) or _unchanged


def _bytes(value: psycopg.Binary) -> str:
    return "\\x" + bytes(value.obj).hex()


def _unchanged(value: Any) -> Any:
    return value


def _driver(tx: Connection) -> psycopg.Connection[Any]:
    driver: psycopg.Connection[Any] = tx.connection.driver_connection  # type: ignore[assignment]
    return driver


def _as_sqlalchemy_does(tx: Connection, statement: str, error: psycopg.Error) -> Exception:
    """The error that the same failure would be in any other statement; a broken connection leaves the pool."""
    quote_nothing(error)
    lost = _driver(tx).closed
    if lost:
        tx.invalidate(error)
    return DBAPIError.instance(
        statement, None, error, psycopg.Error, hide_parameters=True, connection_invalidated=lost, dialect=tx.dialect
    )
