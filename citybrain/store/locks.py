"""Locks for what must happen one at a time although no row says so. SQLite has one writer; PostgreSQL takes an advisory
lock until the end of the transaction.

Who needs several locks takes them in this order, so that nobody waits in a circle: numbering (a row of `counters`),
JOINING, cases by id, ENDPOINTS, endpoints by id, deliveries, and the city's chain of the ledger last.
"""

from enum import IntEnum

from sqlalchemy import Connection, func, select


class Lock(IntEnum):
    """The keys of the advisory locks."""

    SEQUENCER = 441_400  # positions of the stream
    ENDPOINTS = 441_401  # which endpoints there are, enabled and deleted: shared while messages are addressed
    TABLES = 441_402  # migrations and partitions
    ROOTS = 441_403  # of the ledger; nobody who decides waits for it
    JOINING = 441_404  # of one domain: which case a report joins, or opens for those that come after


def take(tx: Connection, lock: Lock, *, shared: bool = False, of: str | None = None) -> None:
    """`of`: there are several of these locks, and this is the one of that name."""
    if tx.dialect.name == "postgresql":
        acquire = func.pg_advisory_xact_lock_shared if shared else func.pg_advisory_xact_lock
        tx.execute(select(acquire(int(lock)) if of is None else acquire(int(lock), func.hashtext(of))))
