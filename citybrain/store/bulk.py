"""Many rows in one statement, past what SQLAlchemy does with every single value. SQLite's executemany stays inside the
process; PostgreSQL takes new rows by COPY and changed ones as one JSON document (DECISIONS.md has the figures)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from operator import itemgetter
from typing import Any

import orjson
import psycopg
from psycopg import sql
from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Dialect,
    Insert,
    Table,
    Text,
    Update,
    bindparam,
    cast,
    column,
    func,
    insert,
    literal_column,
    select,
    update,
)  # fmt: skip
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DBAPIError

from citybrain.store.engine import quote_nothing
from citybrain.store.upsert import insert_or

Rows = Sequence[dict[str, Any]]
Convert = Callable[[Any], Any]
GIVEN = "given_"  # before a column's name: its new value, or the one it is found by
Prepared = tuple[str, list[tuple[str, Convert | None]]]


def insert_rows(tx: Connection, table: Table, rows: Rows) -> None:
    """All rows have the columns of the first one; the others get their defaults."""
    if not rows:
        return
    if tx.dialect.name == "postgresql":
        _copy(tx, table, rows)
        return
    _for_each(tx, _inserting(table, _given(table, rows), tx.dialect), rows)


def _for_each(tx: Connection, prepared: Prepared, rows: Rows) -> int:
    """Runs a statement of SQLite once a row. Returns how many rows were met."""
    statement, columns = prepared
    values = [map(convert, map(itemgetter(name), rows)) if convert else map(itemgetter(name), rows)
              for name, convert in columns]  # fmt: skip
    return tx.exec_driver_sql(statement, list(zip(*values, strict=True))).rowcount


def _given(table: Table, rows: Rows) -> tuple[str, ...]:
    """The columns that have a value in any row: of a new case's, half are empty, and each costs like a value."""
    always = _with_default(table)
    return tuple(name for name in rows[0] if name in always or any(row[name] is not None for row in rows))


@cache
def _with_default(table: Table) -> frozenset[str]:
    """Where nothing is given, these would not stay empty."""
    return frozenset(str(column_.name) for column_ in table.c if column_.server_default is not None)


@lru_cache(maxsize=1_000)
def _inserting(table: Table, names: tuple[str, ...], dialect: Dialect, *, new_only: bool = False) -> Prepared:
    statement = sqlite_insert(table).on_conflict_do_nothing() if new_only else insert(table)
    return _prepared(table, statement.compile(dialect=dialect, column_keys=list(names)))


@lru_cache(maxsize=200)
def _updating(
    table: Table, keys: tuple[str, ...], names: tuple[str, ...], add: tuple[tuple[str, int], ...], dialect: Dialect
) -> Prepared:
    given = {name: bindparam(f"{GIVEN}{name}", type_=table.c[name].type) for name in names}
    return _prepared(table, _update(table, keys, given, add).compile(dialect=dialect))


def _prepared(table: Table, compiled: Any) -> Prepared:
    """The statement for the driver, its columns in order, and how values are turned to what the driver takes."""
    names = [name.removeprefix(GIVEN) for name in compiled.positiontup or ()]
    dialect = compiled.dialect
    return str(compiled), [(name, table.c[name].type.dialect_impl(dialect).bind_processor(dialect)) for name in names]


def _copy(tx: Connection, table: Table, rows: Rows) -> None:
    names = _given(table, rows)
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
    names = tuple(rows[0])
    if tx.dialect.name != "postgresql":
        return _for_each(tx, _inserting(table, names, tx.dialect, new_only=True), rows)
    return tx.execute(_inserting_new(table, names), {"document": _document(tx, table, rows)}).rowcount


def insert_or_renew(tx: Connection, table: Table, rows: Rows, by: str) -> None:
    """Inserts each row, or sets the one with its primary key where the new one is larger in the column `by`. No two of
    them have one key."""
    if not rows:
        return
    names = tuple(rows[0])
    if tx.dialect.name != "postgresql":
        _for_each(tx, _renewing_each(table, names, by, tx.dialect), rows)
    else:
        tx.execute(_renewing_by_document(table, names, by, tx.dialect), {"document": _document(tx, table, rows)})


def update_rows(tx: Connection, table: Table, keys: Sequence[str], rows: Rows, **add: int) -> int:
    """Sets the other columns of each row where its `keys` are equal, and adds to the columns that `add` names. Returns
    how many were met."""
    if not rows:
        return 0
    shape = tuple(keys), tuple(rows[0]), tuple(add.items())
    if tx.dialect.name != "postgresql":
        return _for_each(tx, _updating(table, *shape, tx.dialect), rows)
    return tx.execute(_updating_by_document(table, *shape), {"document": _document(tx, table, rows)}).rowcount


def _update(table: Table, keys: Sequence[str], given: Mapping[str, Any], add: Iterable[tuple[str, int]]) -> Update:
    changed = {name: value for name, value in given.items() if name not in keys}
    added = {name: table.c[name] + literal_column(str(number)) for name, number in add}
    return update(table).where(*(table.c[key] == given[key] for key in keys)).values(changed | added)


@lru_cache(maxsize=200)
def _inserting_new(table: Table, names: tuple[str, ...]) -> Insert:
    ignoring = postgresql_insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
    return ignoring.from_select(list(names), select(*_recordset(table, names).values()))


@lru_cache(maxsize=200)
def _renewing_each(table: Table, names: tuple[str, ...], by: str, dialect: Dialect) -> Prepared:
    return _prepared(table, _renewing(table, names, by, dialect).compile(dialect=dialect, column_keys=list(names)))


@lru_cache(maxsize=200)
def _renewing_by_document(table: Table, names: tuple[str, ...], by: str, dialect: Dialect) -> Insert:
    given = select(*_recordset(table, names).values())
    return _renewing(table, names, by, dialect).from_select(list(names), given)


def _renewing(table: Table, names: Sequence[str], by: str, dialect: Dialect) -> Insert:
    new = insert_or(dialect, table)
    keys = table.primary_key.columns
    changed = {name: new.excluded[name] for name in names if name not in keys}
    return new.on_conflict_do_update(index_elements=keys, set_=changed, where=new.excluded[by] > table.c[by])


@lru_cache(maxsize=200)
def _updating_by_document(
    table: Table, keys: tuple[str, ...], names: tuple[str, ...], add: tuple[tuple[str, int], ...]
) -> Update:
    return _update(table, keys, _recordset(table, names), add)


def _recordset(table: Table, names: Sequence[str]) -> Mapping[str, Any]:
    """The columns of a table that PostgreSQL reads from one JSON document."""
    read = func.json_to_recordset(cast(bindparam("document", type_=Text), JSON))
    given = read.table_valued(*(column(name, table.c[name].type) for name in names))
    return dict(given.render_derived("given", with_types=True).c)


def _document(tx: Connection, table: Table, rows: Rows) -> str:
    converts = {str(name): _convert(tx, table.c[name]) for name in rows[0]}  # plain texts, or it would be no JSON
    converted = [{name: convert(row[name]) for name, convert in converts.items()} for row in rows]
    return orjson.dumps(converted, default=_bytes).decode()


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
