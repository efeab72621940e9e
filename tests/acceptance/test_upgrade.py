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
from sqlalchemy import select, text

from citybrain.store.database import Store
from citybrain.store.migrate import FOLDER, newest, revision
from citybrain.store.tables import events

NEXT = f'''
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9998", "{newest()}", None, None


def upgrade() -> None:
    op.add_column("events", sa.Column("next", sa.Text()))
    op.create_index("attempts_next", "attempts", ["duration_ms"])
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
