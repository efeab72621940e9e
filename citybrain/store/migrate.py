"""Brings the store's tables to the newest revision, or waits until somebody has; a store that is newer than this
program is used as it is."""

import logging
import os
import signal
import time
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, inspect, text

from citybrain.clock import now_ms
from citybrain.store import indexes
from citybrain.store.database import MOVED, Store, StoreUnavailable
from citybrain.store.locks import Lock, patiently, take
from citybrain.store.partitions import make_partitions

log = logging.getLogger(__name__)

FOLDER = Path(__file__).parent / "migrations"
TABLE = "alembic_version"
MOVED_TO = "moved_to"  # in an SQLite file whose record `citybrain copy` has moved: where to


def migrate(url: str) -> None:
    """Forward only: each revision in a transaction, then the indexes that it has noted. Does nothing when all is up to
    date; makes months ahead in any case. Raises StoreUnavailable for a store that was moved elsewhere, or when
    others never let a table go."""
    store = open_to_migrate(url)
    try:
        _refuse_moved(store)
        indexes.build(store)  # that an interrupted migration has left
        for number in _missing(store):
            patiently(store, f"revision {number}", partial(upgrade, until=number))
            indexes.build(store)
        if store.engine.dialect.name == "postgresql":
            with store.write() as tx:
                make_partitions(tx, now_ms(), now_ms())
    finally:
        store.close()


def _missing(store: Store) -> Sequence[str]:
    with store.read() as tx:
        present = revision(tx) or ""
    return [number for number in revisions() if number > present]


def open_to_migrate(url: str) -> Store:
    store = Store(url, patient=True)
    if store.engine.dialect.name == "sqlite":
        event.listen(store.engine, "connect", _let_tables_be_rebuilt)
    return store


def _refuse_moved(store: Store) -> None:
    with store.read() as tx:
        if inspect(tx).has_table(MOVED_TO):
            url = tx.execute(text(f"SELECT url FROM {MOVED_TO}")).scalar()  # noqa: S608
            raise StoreUnavailable(f"{MOVED} to {url}: start with that CITYBRAIN_DATABASE_URL")


def is_behind(store: Store) -> bool:
    """Whether the store lacks tables, or revisions of them, or indexes, that this program needs."""
    with store.read() as tx:
        present = revision(tx)
        return present is None or present < newest() or bool(indexes.noted(tx))


def revision(tx: Connection) -> str | None:
    """Of the store's tables; None where there are none."""
    if not inspect(tx).has_table(TABLE):
        return None
    present: str | None = tx.execute(text(f"SELECT version_num FROM {TABLE}")).scalar()  # noqa: S608
    return present


def await_tables(url: str) -> None:
    """Returns when the store answers and is not behind: another machine may still be migrating it."""
    # The default action, also for process 1 of a container, which has none; the part sets its own when it begins.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    store = Store(url)
    told = ""
    while reason := _not_ready(store):
        if reason != told:
            log.warning("waiting for the store: %s", reason)
            told = reason
        time.sleep(0.5)
    store.close()


def _not_ready(store: Store) -> str:
    try:
        return "its tables are older than this program; run `citybrain migrate`" if is_behind(store) else ""
    except StoreUnavailable as error:
        return str(error)


def newest() -> str:
    return revisions()[-1]


@cache
def revisions() -> Sequence[str]:
    """They are numbered, and a file's name begins with its number."""
    return sorted(path.name[:4] for path in (FOLDER / "versions").glob("[0-9]*.py"))


def _let_tables_be_rebuilt(connection: Any, _record: Any) -> None:
    """Dropping a table that was rebuilt must not look into those that refer to it; `upgrade` does, at the end."""
    connection.execute("PRAGMA foreign_keys=OFF")


def upgrade(tx: Connection, until: str = "head") -> None:
    """Sees what another process may have done since `is_behind` looked."""
    from alembic import command  # a quarter of a second to import, and most starts need none of it
    from alembic.config import Config

    take(tx, Lock.TABLES)
    if until != "head" and until <= (revision(tx) or ""):
        return
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = tx
    command.upgrade(config, until)
    if tx.dialect.name == "sqlite" and (wrong := tx.execute(text("PRAGMA foreign_key_check")).first()):
        raise RuntimeError(f"the migration would leave rows of {wrong[0]} without what they refer to")
