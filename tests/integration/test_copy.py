"""A city that outgrows its one machine moves to PostgreSQL: everything, the same, or nothing."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from postgres import Server
from sqlalchemy import insert, select, text
from steps import completed

from citybrain.commands.copy import CopyRefused, copy
from citybrain.commands.supervisor import AlreadyRunning, lock
from citybrain.store.database import Store
from citybrain.store.tables import counters, events, metadata


def lived(desk: Desk) -> None:
    """A record with something in most tables, awkward texts among it."""
    desk.endpoint("platform", domains=["grid"])
    desk.report({"title": "tab\t back\\slash \\N 'quote' \"double\" 换行\n 😀", "attributes": {"价": 0.1, "空": None}})
    desk.report({"reporter": {"name": "陈小明", "phone": "13800001234"}}, {"description": "嗯"})
    desk.handle()
    completed(desk, type="m06001")


def rows(store: Store) -> dict[str, list[Any]]:
    with store.read() as tx:
        return {table.name: sorted(tx.execute(select(table)).all(), key=str) for table in metadata.sorted_tables}


def test_everything_is_copied_and_compared(desk: Desk, postgres: Server) -> None:
    lived(desk)
    said: list[str] = []
    url = postgres.empty_database()
    assert copy(desk.here.config, url, said.append), said
    there = Store(url)
    assert rows(there) == rows(desk.here.store)
    with there.read() as tx:
        months = tx.execute(text("SELECT count(*) FROM events WHERE tableoid = 'events_default'::regclass"))
        assert months.scalar_one() == 0
    there.close()
    assert f"events: {len(desk.rows(events))} rows copied" in said
    assert "every chain of the ledger is whole: yes" in said
    assert said[-1].startswith("all is there")


def test_a_running_installation_is_not_copied(desk: Desk, postgres: Server) -> None:
    url = postgres.empty_database()
    with lock(desk.here.config.data), pytest.raises(AlreadyRunning):
        copy(desk.here.config, url, print)


def test_a_database_with_anything_in_it_is_refused_and_left_alone(desk: Desk, postgres: Server) -> None:
    lived(desk)
    url = postgres.database()
    there = Store(url)
    with there.write() as tx:
        tx.execute(insert(counters).values(name="mine", value=1))
    with pytest.raises(CopyRefused, match="counters"):
        copy(desk.here.config, url, print)
    assert {name: len(found) for name, found in rows(there).items() if found} == {"counters": 1}
    there.close()


def test_what_cannot_be_copied_leaves_the_new_database_empty(desk: Desk, postgres: Server) -> None:
    lived(desk)
    url = postgres.database()
    there = Store(url)
    with there.write() as tx:
        tx.execute(text("ALTER TABLE feedbacks ADD CHECK (status <> 'completed')"))
    with pytest.raises(Exception, match="check"):
        copy(desk.here.config, url, print)
    assert not any(rows(there).values())
    there.close()
    assert desk.broken() == []


def test_a_difference_is_found_in_any_table(desk: Desk, postgres: Server) -> None:
    """A trigger of the new database falsifies what is written: the copy says so and fails."""
    lived(desk)
    url = postgres.database()
    there = Store(url)
    with there.write() as tx:
        tx.exec_driver_sql(
            "CREATE FUNCTION forge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.title = 'x'; RETURN NEW; END $$;"
            "CREATE TRIGGER forge BEFORE INSERT ON cases FOR EACH ROW EXECUTE FUNCTION forge()"
        )
    said: list[str] = []
    assert not copy(desk.here.config, url, said.append)
    assert [line.partition(":")[0] for line in said if "BUT THERE" in line] == ["cases"]
    assert "NOT EVERYTHING" in said[-1]
    there.close()


def test_the_command_moves_an_installation_that_then_goes_on(new_service: Any, postgres: Server) -> None:
    service = new_service()
    service.start()
    event = {
        "source_event_id": "before", "domain": "grid", "type": "c01039", "occurred_at": "2026-11-20T08:00:00+08:00",
        "location": {"lng": 116.1222, "lat": 24.2886, "datum": "gcj02"},
    }  # fmt: skip
    before = service.post("/api/v1/events", event)
    url = postgres.empty_database().replace("+psycopg", "")
    refused = service.command("copy", "--to", url)
    assert (refused.returncode, "another `citybrain up` runs" in refused.stderr) == (1, True)
    service.stop()
    moved: subprocess.CompletedProcess[str] = service.command("copy", "--to", url)
    assert moved.returncode == 0, moved.stdout + moved.stderr
    Path(service.data, "citybrain.db").unlink()
    service.environment["CITYBRAIN_DATABASE_URL"] = url
    service.start()
    again = service.call("POST", "/api/v1/events", event)
    assert (again.status, again.body) == (200, before)
    service.until(f"/api/v1/events/{before['id']}", lambda seen: seen["state"] == "cased")
    assert not Path(service.data, "citybrain.db").exists()
