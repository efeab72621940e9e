"""Opens the store and decides how a transaction begins: readers see one snapshot, writers take their lock at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

BUSY_MS = 10_000


class StoreUnavailable(Exception):
    """The store could not take or answer this now; nothing was kept, and repeating is safe."""


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
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"


class Store:
    def __init__(self, url: str) -> None:
        self.url = url
        sqlite = make_url(url).get_backend_name() == "sqlite"
        self.engine = _sqlite(url) if sqlite else create_engine(url, hide_parameters=True)
        self._writer = self.engine.execution_options(citybrain_write=True)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot."""
        with _unavailable_as_such(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction that holds the write lock from its start and is on disk when the block ends."""
        with _unavailable_as_such(), self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        self.engine.dispose()


@contextmanager
def _unavailable_as_such() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:  # locked, disk full, I/O error, connection gone
        raise StoreUnavailable(str(error.orig)) from error
    except PoolTimeout as error:
        raise StoreUnavailable("all connections are in use") from error


def _sqlite(url: str) -> Engine:
    path = make_url(url).database
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    patience = {"check_same_thread": False, "timeout": BUSY_MS / 1000}
    engine = create_engine(url, connect_args=patience, hide_parameters=True)  # errors end up in logs: reports don't

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin where _begin says so, not where the driver guesses
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_MS}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.execute("PRAGMA cache_size=-32768")
        cursor.execute("PRAGMA mmap_size=268435456")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A read that turns into a write fails at once whatever the timeout, so writers say so beforehand.
        writes = connection.get_execution_options().get("citybrain_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
