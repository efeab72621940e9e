"""Locks for what must happen one at a time although no row says so. SQLite has one writer; PostgreSQL takes an advisory
lock until the end of the transaction.

Who needs several locks takes them in this order, so that nobody waits in a circle: numbering (a row of `counters`),
JOINING, cases by id, ENDPOINTS, endpoints by id, deliveries, and the city's chain of the ledger last.
"""

import logging
import time
from collections.abc import Callable
from enum import IntEnum

from sqlalchemy import Connection, func, select, text

from citybrain.store.database import Store, StoreUnavailable

log = logging.getLogger(__name__)

LOCK_SECONDS = 2  # intake waits behind whoever waits for a table
PAUSE_SECONDS = 1.0
PATIENCE_SECONDS = 600.0


class Lock(IntEnum):
    """The keys of the advisory locks."""

    SEQUENCER = 441_400  # positions of the stream
    ENDPOINTS = 441_401  # which endpoints there are, enabled and deleted: shared while messages are addressed
    TABLES = 441_402  # migrations and partitions
    ROOTS = 441_403  # of the ledger; nobody who decides waits for it
    JOINING = 441_404  # of one domain: which case a report joins, or opens for those that come after
    INDEXES = 441_405  # that are built beside who writes; of a session


def take(tx: Connection, lock: Lock, *, shared: bool = False, of: str | None = None) -> None:
    """`of`: there are several of these locks, and this is the one of that name."""
    if tx.dialect.name == "postgresql":
        acquire = func.pg_advisory_xact_lock_shared if shared else func.pg_advisory_xact_lock
        tx.execute(select(acquire(int(lock)) if of is None else acquire(int(lock), func.hashtext(of))))


def patiently(store: Store, what: str, do: Callable[[Connection], object]) -> None:
    """`do` in a transaction that needs whole tables. Whoever waits for a table makes everybody wait who comes after: on
    PostgreSQL that is for a moment only, then they pass and it is asked for again. Raises StoreUnavailable."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with store.write() as tx:
                if tx.dialect.name == "postgresql":
                    tx.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
                do(tx)
            return
        except StoreUnavailable as error:
            if not _in_use(error) or time.monotonic() > ends:
                raise
            log.warning("%s waits for a table that is in use; again in %.0f s", what, PAUSE_SECONDS)
            time.sleep(PAUSE_SECONDS)


def _in_use(error: StoreUnavailable) -> bool:
    return getattr(getattr(error.__cause__, "orig", None), "sqlstate", None) == "55P03"
