"""Opens a database for readers and for writers: SQLite in the data folder, or PostgreSQL at its address."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext, make_url

BUSY_MS = 10_000  # a writer waits so long for another (on SQLite, see `writers`)
CONNECTIONS, AT_PEAK = 5, 20  # of one process to PostgreSQL; its own default is 100 for all
STATEMENT_SECONDS = 60
_LOST = {  # a server that is gone is noticed within half a minute, and a black hole is no server
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
_SESSION = {
    "synchronous_commit": "on",  # whatever the server's default: a commit is on disk, or it is none
    "lock_timeout": f"{BUSY_MS}ms",
    "timezone": "UTC",
}
_LIMITS = {
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "idle_in_transaction_session_timeout": "30s",  # what a frozen process has locked is freed
}


def engines(url: str, *, patient: bool = False) -> tuple[Engine, Engine, Engine]:
    """The database, and the same for readers, who see one snapshot, and for writers. `patient` sets no limit to a
    statement."""
    made = make_url(url)
    if made.get_backend_name() == "sqlite":
        engine = _sqlite(made)
        return engine, engine, engine.execution_options(citybrain_write=True)
    engine = _postgresql(made, patient)
    snapshot = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    return engine, engine.execution_options(**snapshot), engine.execution_options(isolation_level="READ COMMITTED")


def _postgresql(url: URL, patient: bool) -> Engine:
    limits = dict.fromkeys(_LIMITS, "0") if patient else _LIMITS
    options = " ".join(f"-c {name}={value}" for name, value in (_SESSION | limits).items())
    given = url.query.get("options", "")
    arguments = {**_LOST, "application_name": "citybrain", "options": f"{options} {given}".strip()}
    engine = create_engine(
        url.difference_update_query(["options"]),
        hide_parameters=True,  # errors end up in logs: reports don't
        connect_args={name: value for name, value in arguments.items() if name not in url.query},
        pool_size=CONNECTIONS,
        max_overflow=AT_PEAK - CONNECTIONS,
        pool_timeout=BUSY_MS / 1000,
        pool_pre_ping=True,
        pool_use_lifo=True,
    )
    event.listen(engine, "handle_error", _hide_values)
    return engine


def _hide_values(context: ExceptionContext) -> None:
    quote_nothing(context.original_exception, context.sqlalchemy_exception)


def quote_nothing(error: BaseException, wrapped: BaseException | None = None) -> None:
    """PostgreSQL's DETAIL and CONTEXT quote values; what is left says which rule was broken."""
    told = getattr(getattr(error, "diag", None), "message_primary", None)
    if told:
        error.args = (told,)
        if wrapped is not None:
            wrapped.args = (told,)


def _sqlite(url: URL) -> Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
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
