"""Indexes that a migration adds to tables which may be large. SQLite and empty tables get them at once. On PostgreSQL
making one locks out who writes, so that the migration only notes them, in its own transaction; when it is over, they
are built beside the writers. Whatever interrupts that, the note stays, and the next `migrate` goes on."""

import logging
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    Row,
    Table,
    TableClause,
    Text,
    TextClause,
    delete,
    insert,
    inspect,
    literal_column,
    select,
    text,
)

from citybrain.store.database import Store
from citybrain.store.locks import Lock, patiently, take

log = logging.getLogger(__name__)

notes = Table(  # is there as long as there are any
    "indexes_to_build", MetaData(), Column("name", Text), Column("of_table", Text), Column("definition", Text)
)
PAUSE_SECONDS = 1.0

_MINE = text(f"SELECT pg_try_advisory_lock({Lock.INDEXES.value})")
_PARTS = text(  # of a partitioned table, with the part of the index that each has
    "SELECT part.inhrelid::regclass::text AS part, child.indexrelid AS own FROM pg_inherits part "
    "LEFT JOIN pg_index child ON child.indrelid = part.inhrelid AND child.indexrelid IN "
    "(SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass(:index)) "
    "WHERE part.inhparent = to_regclass(:table)"
)
_VALID = text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:index)")


def index(name: str, table: str, columns: Sequence[str | TextClause], where: str | None = None) -> None:
    """For migrations, in place of `op.create_index`. What the program before still needs of the old indexes is dropped
    in a later release: it runs on while the new ones are built."""
    from alembic import op  # as in `migrate`: most starts need none of it

    tx = op.get_bind()
    if tx.dialect.name == "postgresql" and _has_rows(tx, table):
        definition = f"({', '.join(map(str, columns))})" + (f" WHERE {where}" if where else "")
        notes.create(tx, checkfirst=True)
        tx.execute(insert(notes).values(name=name, of_table=table, definition=definition))
        return
    condition = text(where) if where else None
    op.create_index(name, table, list(columns), sqlite_where=condition, postgresql_where=condition)


def _has_rows(tx: Connection, table: str) -> bool:
    some = select(literal_column("1", Integer)).select_from(TableClause(table)).limit(1)
    return tx.execute(some).first() is not None


def noted(tx: Connection) -> Sequence[Row[Any]]:
    """What is still to be built."""
    if tx.dialect.name != "postgresql" or not inspect(tx).has_table(notes.name):
        return []
    return tx.execute(select(notes).order_by(notes.c.name)).all()


def build(store: Store) -> None:
    """All that is noted. Raises StoreUnavailable."""
    with store.read() as tx:
        if not noted(tx):
            return
    with store.apart() as alone:
        while not alone.execute(_MINE).scalar():  # asked again and again: who waits for it would be waited for
            time.sleep(PAUSE_SECONDS)
        alone.execute(text("SET lock_timeout = 0"))  # it waits for who reads for long, and nobody for it
        for note in noted(alone):
            log.info("building the index %s beside who writes", note.name)
            _build(store, alone, note.name, note.of_table, note.definition)
        patiently(store, "the last index", _forget)


def _build(store: Store, alone: Connection, name: str, table: str, definition: str) -> None:
    if not alone.execute(_PARTS, {"index": name, "table": table}).all():
        _build_one(alone, name, table, definition)
    else:  # first the whole, which is not valid yet: months that are made from now on come with their part
        _briefly(store, name, f"CREATE INDEX IF NOT EXISTS {name} ON ONLY {table} {definition}")
        for part in alone.execute(_PARTS, {"index": name, "table": table}).all():
            if part.own is None:
                own = f"{part.part}_{name}"
                _build_one(alone, own, part.part, definition)
                _briefly(store, own, f"ALTER INDEX {name} ATTACH PARTITION {own}")
    with store.write() as tx:
        tx.execute(delete(notes).where(notes.c.name == name))


def _build_one(alone: Connection, name: str, table: str, definition: str) -> None:
    """What an interrupted run has left is not valid, and begun anew."""
    valid = alone.execute(_VALID, {"index": name}).scalar()
    if valid is False:
        alone.execute(text(f"DROP INDEX CONCURRENTLY {name}"))
    if not valid:
        alone.execute(text(f"CREATE INDEX CONCURRENTLY {name} ON {table} {definition}"))


def _briefly(store: Store, name: str, statement: str) -> None:
    patiently(store, f"index {name}", lambda tx: tx.execute(text(statement)))


def _forget(tx: Connection) -> None:
    take(tx, Lock.TABLES)
    if not noted(tx):
        notes.drop(tx, checkfirst=True)
