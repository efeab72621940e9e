"""A backup is the whole record at one moment, taken while events come in; a store of either kind is made of it."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from crowd import post_until_answered
from desk import Desk
from postgres import Server, both_stores, only_sqlite
from serving import Service, wait_until
from sqlalchemy import select, text
from steps import completed

from citybrain.clock import now_ms
from citybrain.commands.backup import MANIFEST, BackupRefused, Manifest, backup
from citybrain.commands.restore import RestoreRefused, restore
from citybrain.config import Config
from citybrain.store.database import Store
from citybrain.store.tables import events, metadata
from geo.edition import file_of

pytestmark = both_stores
NOT_KEPT = {"sessions", "leases"}


def lived(desk: Desk) -> None:
    """A record with something in most tables, awkward texts among it."""
    desk.endpoint("platform", domains=["grid"])
    desk.report({"title": "tab\t back\\slash \\N 'quote' \"double\" 换行\n 😀", "attributes": {"价": 0.1, "空": None}})
    desk.report({"reporter": {"name": "陈小明", "phone": "13800001234"}}, {"description": "嗯"})
    desk.handle()
    completed(desk, type="m06001")
    with desk.here.store.write() as tx:  # a photo's bytes
        values = {"sha": "ab", "content": bytes(range(256))}
        photo = "INSERT INTO blobs VALUES (:sha, 'image/jpeg', 1, 1, :content, :content)"
        tx.execute(text(photo), values)


def rows(config: Config) -> dict[str, list[Any]]:
    store = Store(config.database_url)
    with store.read() as tx:
        found = {
            table.name: sorted(tx.execute(select(table)).all(), key=str)
            for table in metadata.sorted_tables
            if table.name not in NOT_KEPT
        }
    store.close()
    return found


def elsewhere(desk: Desk, kind: str, folder: Path, postgres: Server) -> Config:
    """An empty installation."""
    folder.mkdir()
    url = f"sqlite:///{folder / 'citybrain.db'}" if kind == "sqlite" else postgres.empty_database()
    return replace(desk.here.config, data=folder, database_url=url)


@pytest.mark.parametrize("other", ["sqlite", "postgresql"])
def test_what_was_backed_up_is_restored_to_either_store(
    desk: Desk, tmp_path: Path, postgres: Server, other: str
) -> None:
    lived(desk)
    said: list[str] = []
    file = backup(desk.here.config, tmp_path, said.append)
    assert oct(file.stat().st_mode & 0o777) == "0o600"
    there = elsewhere(desk, other, tmp_path / "there", postgres)
    restore(there, file, said.append)
    assert rows(there) == rows(desk.here.config)
    assert said[-1].startswith("all is there")
    assert "every chain of the ledger is whole: yes" in said
    assert "the ledger holds what its 1 roots saw, and nothing older: yes" in said
    with pytest.raises(RestoreRefused, match="is not empty"):
        restore(there, file, said.append)


def test_a_backup_is_one_moment_whatever_is_written_between_its_tables(desk: Desk, tmp_path: Path) -> None:
    lived(desk)
    before: dict[str, int] = {}

    def write(_said: str) -> None:  # after each table
        if not before:
            before.update({name: len(found) for name, found in rows(desk.here.config).items()})
            desk.open(title="其间")
        desk.report({"reporter": {"name": "陈小明"}})

    file = backup(desk.here.config, tmp_path, write)
    with ZipFile(file) as made:
        manifest = Manifest.model_validate_json(made.read(MANIFEST))
    assert {each.name: each.rows for each in manifest.tables} == before
    assert len(desk.rows(events)) > before["events"]


def test_ground_that_only_its_machine_kept_is_laid_again_and_what_is_there_stays(
    desk: Desk, tmp_path: Path, postgres: Server, store_kind: str
) -> None:
    desk.report({})
    ground = desk.here.config.data / "editions" / file_of(desk.here.locator.edition.id)
    ground.parent.mkdir()
    with ZipFile(ground, "w") as some:
        some.writestr("county.code.npy", b"ground" * 1000)
    file = backup(desk.here.config, tmp_path / "backup.zip", print)
    there = elsewhere(desk, store_kind, tmp_path / "there", postgres)
    restore(there, file, print)
    laid = there.data / "editions" / ground.name
    assert (list(laid.parent.iterdir()), laid.read_bytes()) == ([laid], ground.read_bytes())
    laid.write_bytes(b"its own")
    restore(replace(there, database_url=f"sqlite:///{tmp_path / 'another.db'}"), file, print)
    assert laid.read_bytes() == b"its own"


def test_a_target_that_exists_is_left_alone(desk: Desk, tmp_path: Path) -> None:
    target = tmp_path / "mine.zip"
    target.write_text("mine")
    with pytest.raises(BackupRefused, match="is there already"):
        backup(desk.here.config, target, print)
    assert target.read_text() == "mine"


def test_a_target_without_room_is_refused_and_nothing_is_left(desk: Desk, tmp_path: Path) -> None:
    full = Path("/proc/self")  # a folder with no room at all
    with pytest.raises(BackupRefused, match="make room"):
        backup(desk.here.config, full / "b.zip", print)


@pytest.mark.parametrize("at", [0.1, 0.5, 0.97])
def test_a_changed_byte_is_found_before_anything_is_written(
    desk: Desk, tmp_path: Path, postgres: Server, at: float, store_kind: str
) -> None:
    lived(desk)
    file = backup(desk.here.config, tmp_path, print)
    content = bytearray(file.read_bytes())
    content[int(len(content) * at)] ^= 0x10
    file.write_bytes(content)
    there = elsewhere(desk, store_kind, tmp_path / "there", postgres)
    with pytest.raises(RestoreRefused):
        restore(there, file, print)
    store = Store(there.database_url)
    with store.read() as tx:
        assert "events" not in tx.dialect.get_table_names(tx)
    store.close()


@only_sqlite  # nothing is written
def test_a_row_that_was_changed_in_a_sound_file_is_found_too(desk: Desk, tmp_path: Path, postgres: Server) -> None:
    lived(desk)
    file, forged = backup(desk.here.config, tmp_path, print), tmp_path / "forged.zip"
    with ZipFile(file) as made, ZipFile(forged, "w") as other:
        for name in made.namelist():
            content = made.read(name)
            other.writestr(name, content.replace(b'"grid"', b'"fire"', 1) if name == "events.jsonl" else content)
    with pytest.raises(RestoreRefused, match="events is not what was backed up"):
        restore(elsewhere(desk, "sqlite", tmp_path / "there", postgres), forged, print)


@pytest.mark.long
def test_what_runs_is_backed_up_whole_and_goes_on_elsewhere(
    new_service: Any, new_desk: Any, tmp_path: Path, empty_url: str
) -> None:
    """Somebody posts all the time: what was acknowledged before the backup began is in it, the rest whole or not."""
    service: Service = new_service()
    service.start("--workers", "1")
    before = post_until_answered(service, range(50))
    over, after = threading.Event(), list[str]()

    def keep_posting() -> None:
        number = 1_000
        while not over.wait(0.02):
            after.extend(post_until_answered(service, range(number, number := number + 3)))

    thread = threading.Thread(target=keep_posting)
    thread.start()
    wait_until(lambda: after)
    before |= set(after)
    made = service.command("backup", str(tmp_path / "backup.zip"))
    over.set()
    thread.join()
    assert made.returncode == 0, made.stderr
    service.stop()
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    service.environment |= {"CITYBRAIN_DATA": str(folder), "CITYBRAIN_DATABASE_URL": empty_url.replace("+psycopg", "")}
    restored = service.command("restore", str(tmp_path / "backup.zip"))
    assert restored.returncode == 0, restored.stdout + restored.stderr
    desk: Desk = new_desk(folder, empty_url)
    desk.now = now_ms()
    there = {row.id for row in desk.rows(events)}
    assert before <= there <= before | set(after)
    desk.set(events, events.c.lease_until > 0, lease_until=0)  # what a worker had in hand
    for domain in desk.here.domains:
        desk.handle(domain)
    assert "received" not in {row.state for row in desk.rows(events)}
    assert desk.broken() == []
    desk.here.store.close()
