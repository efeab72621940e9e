"""The store: what is written is written whole and on disk, or not at all, and its tables are those of the code."""

import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.command import upgrade
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from desk import Desk
from postgres import Server, both_stores, only_sqlite
from sqlalchemy import event, insert, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from citybrain.casework.numbers import next_numbers
from citybrain.store.database import Store, StoreUnavailable
from citybrain.store.dispatch_tables import attempts
from citybrain.store.ids import new_id
from citybrain.store.migrate import FOLDER, is_behind, migrate, open_to_migrate
from citybrain.store.tables import cases, counters, events, metadata, receipts, reporters

pytestmark = both_stores

COUNTING = """
import sys
from sqlalchemy import select, update
from citybrain.store.database import Store
from citybrain.store.tables import counters
store = Store(sys.argv[1])
for _ in range(int(sys.argv[2])):
    with store.write() as tx:
        value = tx.execute(select(counters.c.value).with_for_update()).scalar_one()
        tx.execute(update(counters).values(value=value + 1))
"""
BEFORE_MONTHS = (
    "INSERT INTO events (id, source, source_event_id, body_hash, domain, title, description, occurred_at, received_at,"
    " demo, state, place, location, attributes, due_at, tries) VALUES ('e1', 'app', 'a-1', CAST('hash' AS BLOB),"
    " 'grid', '路灯不亮', '', 1, 1, 0, 'received', '{}', '{}', '{}', 1, 2)",
    "INSERT INTO reporters (event_id, name) VALUES ('e1', '陈小明')",
    "INSERT INTO deliveries (id, case_order, type, grade, body, status, created_at, due_at)"
    " VALUES ('msg_1', 1, 'endpoint.test', 1, '{}', 'delivered', 1, 1)",
    "INSERT INTO attempts (id, delivery_id, at, duration_ms) VALUES ('a1', 'msg_1', 1, 1)",
)
OF_BEFORE = (  # a row of each table that grows
    "INSERT INTO events (id, source, source_event_id, domain, title, description, occurred_at, received_at, demo,"
    " state, place, location, attributes, due_at, case_id) VALUES ('e1', 'app', 'a-1', 'grid', '路灯不亮', '', 1, 1,"
    " false, 'received', '{}', '{}', '{}', 1, 'a')",
    "INSERT INTO deliveries (id, case_order, type, grade, body, status, created_at, due_at)"
    " VALUES ('msg_1', 1, 'endpoint.test', 1, '{}', 'pending', 1, 1)",
    "INSERT INTO attempts (id, delivery_id, at, duration_ms) VALUES ('a1', 'msg_1', 1, 1)",
    "INSERT INTO work_orders (id, case_id, role, department, status, created_at, updated_at)"
    " VALUES ('w1', 'a', 'lead', '441402-cg', 'sent', 1, 1)",
    "INSERT INTO ledger (chain, seq, at, actor, action, data, hash) VALUES ('a', 1, 1, 'liu', 'filed', '{}', '')",
)
CASE_OF_BEFORE = (
    "INSERT INTO cases (id, number, status, version, domain, grade, title, demo, place, event_count, opened_at,"
    " updated_at, overdue_supervised, entries, head)"
    " VALUES (:id, :id, :status, 1, 'grid', 4, '路灯不亮', false, '{}', 1, 1, 1, :overdue, 1, '')"
)
DYING = """
import os, signal, sys
from sqlalchemy import insert
from citybrain.store.database import Store
from citybrain.store.tables import counters
store = Store(sys.argv[1])
with store.write() as tx:
    tx.execute(insert(counters).values(name="committed", value=1))
with store.write() as tx:
    tx.execute(insert(counters).values(name="not committed", value=1))
    os.kill(os.getpid(), signal.SIGKILL)
"""


SCHEMA = {  # of every table and index that is no partition
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'alembic%'",
    "postgresql": """
        SELECT relname || '.' || attname, concat_ws(' ', format_type(atttypid, atttypmod), attnotnull, collname,
               pg_get_expr(adbin, adrelid), pg_get_partkeydef(pg_class.oid), pg_get_indexdef(pg_class.oid))
        FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
        LEFT JOIN pg_attrdef ON adrelid = pg_class.oid AND adnum = attnum
        LEFT JOIN pg_collation ON pg_collation.oid = attcollation
        WHERE relnamespace = 'public'::regnamespace AND NOT relispartition AND relname NOT LIKE 'alembic%%'
        UNION ALL
        SELECT conname, pg_get_constraintdef(pg_constraint.oid)
        FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
        WHERE pg_class.relnamespace = 'public'::regnamespace AND conparentid = 0 AND relname NOT LIKE 'alembic%%'
    """,
}


@pytest.fixture
def store(empty_url: str) -> Iterator[Store]:
    migrate(empty_url)
    made = Store(empty_url)
    yield made
    made.close()


def count(store: Store, name: str) -> None:
    with store.write() as tx:
        tx.execute(insert(counters).values(name=name, value=1))


def names(store: Store) -> list[str]:
    with store.read() as tx:
        return list(tx.execute(select(counters.c.name).order_by(counters.c.name)).scalars())


def schema(store: Store) -> dict[str, str]:
    """Every table and index as the database has it; the partial ones with their condition."""
    with store.read() as tx:
        found = tx.exec_driver_sql(SCHEMA[tx.dialect.name])
        return {name: " ".join(sql.split()) for name, sql in found}


# Tables


@pytest.fixture
def made(tmp_path: Path, store_kind: str, postgres: Server) -> Iterator[Store]:
    """A store with the tables of the code."""
    store = Store(f"sqlite:///{tmp_path / 'made.db'}" if store_kind == "sqlite" else postgres.empty_database())
    with store.write() as tx:
        metadata.create_all(tx)
    yield store
    store.close()


def test_migrated_tables_are_those_of_the_code(store: Store, made: Store) -> None:
    assert schema(store) == schema(made)
    if store.engine.dialect.name == "postgresql":
        return  # Alembic takes what PostgreSQL makes for its partitions for somebody's
    with store.read() as tx:
        options = {"compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(tx, opts=options), metadata) == []


def test_migrating_again_changes_nothing(store: Store) -> None:
    count(store, "kept")
    before = schema(store)
    migrate(store.url)
    assert schema(store) == before
    assert names(store) == ["kept"]


def test_several_processes_may_migrate_at_once(empty_url: str) -> None:
    code = "import sys; from citybrain.store.migrate import migrate; migrate(sys.argv[1])"
    started = [subprocess.Popen([sys.executable, "-c", code, empty_url], stderr=subprocess.PIPE) for _ in range(3)]
    assert [(process.communicate()[1][-500:], process.returncode) for process in started] == [(b"", 0)] * 3
    assert schema(Store(empty_url))


def test_a_store_that_is_newer_than_the_program_is_used_as_it_is(store: Store) -> None:
    with store.write() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    before = schema(store)
    assert not is_behind(store)
    migrate(store.url)
    assert schema(store) == before


def test_a_store_is_behind_until_it_has_the_newest_revision(empty_url: str) -> None:
    store = Store(empty_url)
    assert is_behind(store)
    migrate(empty_url)
    assert not is_behind(store)
    with store.write() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert is_behind(store)


@only_sqlite  # no version before it ran on PostgreSQL
def test_what_was_recorded_before_there_were_months_is_kept(empty_url: str) -> None:
    store = Store(empty_url)
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    with store.write() as tx:
        config.attributes["connection"] = tx
        upgrade(config, "0002")
        for statement in BEFORE_MONTHS:
            tx.execute(text(statement))
    migrate(empty_url)
    with store.read() as tx:
        assert tx.execute(select(events.c.id, events.c.title, events.c.tries)).all() == [("e1", "路灯不亮", 2)]
        assert tx.execute(select(receipts)).all() == [("app", "a-1", "e1", b"hash")]
        assert tx.execute(select(reporters.c.name)).scalars().all() == ["陈小明"]
        assert tx.execute(select(attempts.c.delivery_id, attempts.c.id)).all() == [("msg_1", "a1")]
    with pytest.raises(IntegrityError), store.write() as tx:
        tx.execute(insert(reporters).values(event_id="nobody"))


def test_a_full_store_of_before_becomes_that_of_the_code_and_its_cases_keep_what_was_supervised(
    empty_url: str, made: Store
) -> None:
    store = open_to_migrate(empty_url)
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    with store.write() as tx:
        config.attributes["connection"] = tx
        upgrade(config, "0005")
        for id_, status, overdue in (("a", "dispatched", True), ("b", "triage", False), ("c", "closed", True)):
            values = {"id": id_, "status": status, "overdue": overdue}
            tx.execute(text(CASE_OF_BEFORE), values)
        for statement in OF_BEFORE:
            tx.execute(text(statement))
    migrate(empty_url)
    assert schema(store) == schema(made)
    assert not is_behind(store)
    with store.read() as tx:
        columns = (cases.c.id, cases.c.supervision, cases.c.look_at, cases.c.returns, cases.c.appointed)
        found = tx.execute(select(*columns).order_by(cases.c.id)).all()
    assert found == [("a", 3, 0, 0, False), ("b", 0, 0, 0, False), ("c", 3, None, 0, False)]


def test_a_migration_that_fails_half_way_leaves_nothing(empty_url: str) -> None:
    store = Store(empty_url)
    with store.write() as tx:
        tx.execute(text("CREATE TABLE sessions (other TEXT)"))  # in the way of one of the last tables
    with pytest.raises((OperationalError, ProgrammingError)):
        migrate(empty_url)
    assert {name.partition(".")[0] for name in schema(store)} == {"sessions"}


# Transactions


def test_a_block_that_raises_leaves_nothing(store: Store) -> None:
    def write_half() -> None:
        with store.write() as tx:
            tx.execute(insert(counters).values(name="half", value=1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert names(store) == []
    count(store, "next")


def test_a_killed_process_leaves_what_it_committed_and_nothing_else(store: Store) -> None:
    killed = subprocess.run([sys.executable, "-c", DYING, store.url], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert names(store) == ["committed"]
    count(store, "next")


def test_a_commit_waits_for_the_disk(store: Store) -> None:
    with store.write() as tx:
        if tx.dialect.name == "postgresql":
            assert tx.execute(text("SHOW synchronous_commit")).scalar_one() == "on"
            return
        assert tx.execute(text("PRAGMA synchronous")).scalar_one() == 2
        assert tx.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert tx.execute(text("PRAGMA foreign_keys")).scalar_one() == 1


def test_writers_in_several_processes_and_threads_wait_for_each_other(store: Store) -> None:
    with store.write() as tx:
        tx.execute(insert(counters).values(name="n", value=0))
    argv = [sys.executable, "-c", COUNTING, store.url, "60"]
    started = [subprocess.Popen(argv, stderr=subprocess.PIPE) for _ in range(3)]

    def count_here(_: int) -> None:
        for _ in range(60):
            with store.write() as tx:
                value = tx.execute(select(counters.c.value).with_for_update()).scalar_one()
                tx.execute(update(counters).values(value=value + 1))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(count_here, range(3)))
    assert [process.communicate()[1] for process in started] == [b""] * 3
    with store.read() as tx:
        assert tx.execute(select(counters.c.value)).scalar_one() == 6 * 60


@only_sqlite
def test_a_store_that_stays_locked_is_unavailable(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("citybrain.store.database.BUSY_MS", 100)
    impatient = Store(store.url)
    with store.write():
        with pytest.raises(StoreUnavailable):
            count(impatient, "never")
        assert names(impatient) == []  # reading goes on
    count(impatient, "later")


@only_sqlite
def test_a_full_disk_is_unavailable_and_leaves_nothing_by_half(store: Store) -> None:
    with store.read() as tx:
        pages = tx.execute(text("PRAGMA page_count")).scalar_one() + 4
    store.close()
    small = Store(store.url)
    event.listen(small.engine, "connect", lambda connection, _: connection.execute(f"PRAGMA max_page_count={pages}"))
    stored: list[str] = []

    def fill() -> None:
        for number in range(1_000):
            five = [f"{number}-{part}-{'x' * 500}" for part in range(5)]
            with small.write() as tx:
                tx.execute(insert(counters), [{"name": name, "value": 1} for name in five])
            stored.extend(five)

    with pytest.raises(StoreUnavailable, match="full"):
        fill()
    assert stored
    assert names(small) == sorted(stored)
    with small.read() as tx:
        assert tx.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
    small.close()
    count(store, "room again")


@only_sqlite
def test_a_full_disk_loses_no_event_that_was_answered_and_keeps_none_that_was_not(desk: Desk) -> None:
    with desk.here.store.read() as tx:
        pages = tx.execute(text("PRAGMA page_count")).scalar_one() + 40
    desk.here.store.close()
    limit = f"PRAGMA max_page_count={pages}"
    event.listen(desk.here.store.engine, "connect", lambda connection, _: connection.execute(limit))
    answered: list[str] = []

    def report() -> None:
        for _ in range(1_000):
            answered.extend(desk.report({}, {}, {}))

    with pytest.raises(StoreUnavailable):
        report()
    assert {row.id for row in desk.rows(events)} == set(answered)
    assert desk.broken() == []


def test_more_askers_than_connections_is_unavailable_and_no_unforeseen_error(store: Store) -> None:
    pool: Any = store.engine.pool
    pool._timeout = 0.05
    held = [store.engine.connect() for _ in range(pool.size() + pool._max_overflow)]
    with pytest.raises(StoreUnavailable):
        names(store)
    for connection in held:
        connection.close()
    assert names(store) == []


def test_an_error_of_the_store_quotes_nothing_of_what_was_to_be_stored(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """Such errors end up in logs and in the trace of a quarantined event."""
    phone = "138" + "1234" + "0000"  # in parts, since a traceback quotes this very line
    count(store, phone)
    with pytest.raises(IntegrityError) as refused:
        count(store, phone)
    logging.getLogger().error("failed", exc_info=refused.value)
    assert phone not in str(refused.value)
    assert phone not in caplog.text


# Ids and numbers


def test_ids_sort_as_they_were_made() -> None:
    made = [new_id() for _ in range(10_000)]
    assert made == sorted(set(made))


def test_case_numbers_never_double_whoever_asks_at_once(desk: Desk) -> None:
    def ask(size: int) -> list[str]:
        found: list[str] = []
        for _ in range(10):
            with desk.here.store.write() as tx:
                found += next_numbers(tx, "grid", size, desk.here.city.zone, desk.now)
        return found

    with ThreadPoolExecutor(5) as pool:
        found = [number for some in pool.map(ask, range(1, 6)) for number in some]
    assert len(set(found)) == len(found) == 10 * (1 + 2 + 3 + 4 + 5)
    assert sorted(found) == [f"20250303-grid-{number:05}" for number in range(1, 151)]


def test_numbers_begin_again_each_local_day_and_for_each_domain(desk: Desk) -> None:
    def ask(domain: str) -> str:
        with desk.here.store.write() as tx:
            return next_numbers(tx, domain, 1, desk.here.city.zone, desk.now)[0]

    assert [ask("grid"), ask("grid")] == ["20250303-grid-00001", "20250303-grid-00002"]
    assert ask("fire") == "20250303-fire-00001"
    desk.pass_time(hours=14, minutes=59)  # 23:59 in the city
    assert ask("grid") == "20250303-grid-00003"
    desk.pass_time(minutes=1)
    assert ask("grid") == "20250304-grid-00001"
