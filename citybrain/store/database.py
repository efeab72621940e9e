"""The store's transactions: readers see one snapshot, writers commit whole and on disk. What keeps the store from
answering, whichever it is, is one error, after which repeating is safe."""

import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import BigInteger, Connection
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from citybrain.store.engine import BUSY_MS, engines
from citybrain.store.writers import Writers

T = TypeVar("T")
MOVED = "this installation has moved"  # as the record says itself, to whoever writes after `citybrain copy`
TRIES = 5  # of a transaction that others stood in the way of
IN_THE_WAY = ("40001", "40P01")  # serialization failure, deadlock
# What SQLite says of locks, disks and files. To the driver a wrong statement is the same kind of error.
SQLITE_OUTAGES = frozenset({
    sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOTADB,
})  # fmt: skip
POSTGRESQL_OUTAGES = ("25", "XX001", "XX002")  # it has become a standby; its files are damaged


class StoreUnavailable(Exception):
    """The store could not take or answer this now. Nothing was kept, unless the answer to the commit itself was lost;
    either way repeating is safe."""

    quotes_nothing = True  # the store's own words


class Conflict(StoreUnavailable):
    """Two transactions waited for each other, and PostgreSQL rolled this one back: it may go again at once."""


class now_ms(FunctionElement[int]):
    """The database's own clock in milliseconds since 1970, so that leases never depend on a worker's clock."""

    type = BigInteger()
    inherit_cache = True


@compiles(now_ms, "sqlite")
def _now_sqlite(*_: Any, **__: Any) -> str:
    # unixepoch('subsec') is NULL on SQLite 3.40.
    return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"


@compiles(now_ms)
def _now_postgresql(*_: Any, **__: Any) -> str:
    # Of the statement, as on SQLite: what changes while it runs could not be looked up in an index.
    return "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000 AS BIGINT)"


class Store:
    def __init__(self, url: str, *, patient: bool = False) -> None:
        """`patient`: for commands that look at everything and may take their time."""
        self.url = url
        self.engine, self._reader, self._writer = engines(url, patient=patient)
        file = self.engine.url.database if self.engine.dialect.name == "sqlite" else None
        self._writers = Writers(Path(file).resolve()) if file else None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot."""
        with _unavailable_as_such(), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction that is on disk when the block ends. On SQLite it is the only writer from its start; on
        PostgreSQL others write meanwhile, and each statement sees what they have committed by then."""
        with self._turn(), _unavailable_as_such(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def apart(self) -> Iterator[Connection]:
        """Each statement by itself: for what PostgreSQL does in no transaction."""
        with _unavailable_as_such(), self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """SQLite's writers wait here, where waiting takes no connection from readers."""
        if self._writers is None:
            yield
            return
        with ExitStack() as held:
            try:
                held.enter_context(self._writers.turn(BUSY_MS / 1000))
            except OSError as error:  # a turn that does not come, or a disk that locks nothing
                raise StoreUnavailable(str(error)) from None
            yield

    def transact(self, do: Callable[[Connection], T]) -> T:
        """`do` in a transaction as of `write`, again when others stood in its way: it must have no other effects."""
        for left in reversed(range(TRIES)):
            try:
                with self.write() as tx:
                    return do(tx)
            except Conflict:
                if not left:
                    raise
                time.sleep(random.uniform(0.005, 0.05))  # noqa: S311 - so that they do not meet again
        raise AssertionError

    def close(self) -> None:
        self.engine.dispose()


@contextmanager
def _unavailable_as_such() -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise StoreUnavailable("all connections are in use") from error
    except DBAPIError as error:
        if not _is_outage(error):
            raise
        in_the_way = getattr(error.orig, "sqlstate", None) in IN_THE_WAY
        raise (Conflict if in_the_way else StoreUnavailable)(str(error.orig)) from error


def _is_outage(error: DBAPIError) -> bool:
    """Locked, disk full, I/O error, connection gone, moved elsewhere; and no mistake of this program."""
    if error.connection_invalidated or MOVED in str(error.orig):
        return True
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in SQLITE_OUTAGES  # without what SQLite adds to it
    state = getattr(error.orig, "sqlstate", None) or ""
    return isinstance(error, OperationalError) or state.startswith(POSTGRESQL_OUTAGES)
