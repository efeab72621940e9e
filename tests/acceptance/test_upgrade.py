"""The next version's tables are made while this one takes events in: nobody who was answered is forgotten."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from crowd import all_moved_on, post_until_answered
from postgres import Server, both_stores, only_postgresql
from serving import Service, wait_until
from sqlalchemy import insert, select, text

from citybrain.store.database import Store
from citybrain.store.ids import new_id
from citybrain.store.migrate import FOLDER, is_behind, newest, revision
from citybrain.store.tables import events, keys, receipts

NEXT = f'''
import sqlalchemy as sa
from alembic import op
from citybrain.store.indexes import index

revision, down_revision, branch_labels, depends_on = "9998", "{newest()}", None, None


def upgrade() -> None:
    op.add_column("events", sa.Column("next", sa.Text()))
    index("events_next", "events", ["title"])
    index("receipts_next", "receipts", ["event_id"], "source <> ''")
'''
MIGRATING = """
import logging, sys
from pathlib import Path
from citybrain.store import migrate
logging.basicConfig()
migrate.FOLDER = Path(sys.argv[2])
migrate.migrate(sys.argv[1])
"""


@pytest.fixture
def next_version(tmp_path: Path) -> Any:
    """Starts `migrate` of a version with one revision more."""
    folder = shutil.copytree(FOLDER, tmp_path / "migrations")
    (folder / "versions" / "9998_next.py").write_text(NEXT)

    def start(url: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", MIGRATING, url, str(folder)]
        return subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)

    return start


@both_stores
@pytest.mark.long
def test_a_store_is_migrated_while_events_come_in(new_service: Any, next_version: Any) -> None:
    service: Service = new_service()
    service.start("--workers", "1")
    acknowledged = post_until_answered(service, range(100))
    over = threading.Event()

    def keep_posting() -> None:
        number = 1_000
        while not over.wait(0.02):
            acknowledged.update(post_until_answered(service, range(number, number := number + 3)))

    thread = threading.Thread(target=keep_posting)
    thread.start()
    wait_until(lambda: len(acknowledged) > 103)
    migrating = next_version(service.database_url)
    _, said = migrating.communicate()
    after = len(acknowledged)
    wait_until(lambda: len(acknowledged) > after)
    over.set()
    thread.join()
    assert migrating.returncode == 0, said
    assert service.get("/readyz")["store"] == "ok"
    all_moved_on(service)
    store = Store(service.database_url)
    with store.read() as tx:
        assert revision(tx) == "9998"
        assert acknowledged == set(tx.execute(select(events.c.id)).scalars())
    store.close()


@only_postgresql
def test_a_migration_lets_intake_pass_while_a_table_is_in_use(postgres: Server, next_version: Any) -> None:
    """It asks for the table's lock only for a moment at a time: who comes after it waits no longer than that."""
    url = postgres.database()
    store, other = Store(url), Store(url)
    with store.write() as long:
        long.execute(text("LOCK TABLE events IN ROW EXCLUSIVE MODE"))  # as whoever writes into it
        migrating = next_version(url)
        assert migrating.stderr is not None
        assert "waits for a table that is in use" in migrating.stderr.readline()
        for _ in range(3):
            with other.write() as intake:
                intake.execute(text("LOCK TABLE events IN ROW EXCLUSIVE MODE"))
        assert migrating.poll() is None
    migrating.communicate()
    assert migrating.returncode == 0
    with store.read() as tx:
        assert revision(tx) == "9998"
    store.close()
    other.close()


EVENT: dict[str, Any] = {
    "source": "app", "domain": "grid", "title": "路灯不亮", "description": "", "occurred_at": 1, "received_at": 1,
    "demo": False, "state": "received", "place": {}, "location": {}, "attributes": {}, "due_at": 1,
}  # fmt: skip
BUILDING = """
    SELECT {} FROM pg_stat_activity WHERE datname = current_database()
    AND query LIKE 'CREATE INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'
"""
NOT_VALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
PARTS = "SELECT count(*) FROM pg_inherits WHERE inhparent = '{}'::regclass"


def write(store: Store) -> None:
    """Whoever has to wait for a table gives up after ten seconds."""
    id_ = new_id()
    with store.write() as tx:
        tx.execute(insert(events).values(id=id_, source_event_id=id_, **EVENT))
        tx.execute(insert(receipts).values(source="app", source_event_id=id_, event_id=id_, body_hash=b""))


def asked(store: Store, statement: str) -> list[Any]:
    with store.read() as tx:
        return list(tx.execute(text(statement)).scalars())


@only_postgresql
def test_an_index_is_built_beside_who_writes_and_again_where_that_was_interrupted(
    postgres: Server, next_version: Any
) -> None:
    url = postgres.database()
    store, patient = Store(url), Store(url, patient=True)
    write(store)
    with patient.read() as long:
        long.execute(select(keys.c.name)).all()  # no index is finished while somebody sees what was before it
        migrating = next_version(url)
        wait_until(lambda: asked(store, BUILDING.format("pid")))
        write(store)
        assert is_behind(store)  # whoever needs the index waits
        asked(store, BUILDING.format("pg_terminate_backend(pid)"))
        migrating.communicate()
        assert migrating.returncode != 0
    left = asked(store, NOT_VALID)
    assert "events_next" in left
    assert len(left) == 2, left  # the whole, and the part that was being built
    write(store)
    again = next_version(url)
    assert (again.communicate()[1], again.returncode) == ("", 0)
    assert asked(store, NOT_VALID) == []
    assert asked(store, PARTS.format("events_next")) == asked(store, PARTS.format("events"))
    assert "WHERE (source <> ''::text)" in asked(store, "SELECT pg_get_indexdef('receipts_next'::regclass)")[0]
    assert not is_behind(store)
    store.close()
    patient.close()
