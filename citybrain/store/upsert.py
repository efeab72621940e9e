"""`INSERT … ON CONFLICT` in the words of whichever store is there."""

from sqlalchemy import Dialect, Table
from sqlalchemy.dialects.postgresql import Insert as PostgresqlInsert
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert


def insert_or(dialect: Dialect, table: Table) -> SqliteInsert | PostgresqlInsert:
    """An insert that knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
    return sqlite_insert(table) if dialect.name == "sqlite" else postgresql_insert(table)
