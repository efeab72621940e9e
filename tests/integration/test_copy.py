"""A city that outgrows its one machine moves to PostgreSQL: everything, the same, or nothing."""

import subprocess
import threading
from typing import Any

import pytest
from desk import Desk
from postgres import Server
from serving import wait_until
from sqlalchemy import insert, select, text
from steps import completed

from citybrain.commands.copy import CopyDiffers, CopyRefused, Move, copy, give_up
from citybrain.commands.walk import plain_tables
from citybrain.store.database import Store, StoreUnavailable
from citybrain.store.tables import cases, counters, events, metadata, stream

EVENT = {
    "domain": "grid", "type": "c01039", "occurred_at": "2026-11-20T08:00:00+08:00",
    "location": {"lng": 116.1222, "lat": 24.2886, "datum": "gcj02"},
}  # fmt: skip
SMOKE = {"domain": "fire", "attributes": {"device_id": "d1", "states": ["fire"], "component_type": 40}}  # merged


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
    copy(desk.here.config, url, said.append)
    there = Store(url)
    assert rows(there) == rows(desk.here.store)
    with there.read() as tx:
        months = tx.execute(text("SELECT count(*) FROM events WHERE tableoid = 'events_default'::regclass"))
        assert months.scalar_one() == 0
    there.close()
    assert f"events: {len(desk.rows(events))} rows copied" in said
    assert "every chain of the ledger is whole: yes" in said
    assert said[-1].startswith("all is there")


def test_what_was_moved_takes_nothing_any_more(desk: Desk, postgres: Server) -> None:
    lived(desk)
    copy(desk.here.config, url := postgres.empty_database(), print)
    before = rows(desk.here.store)
    with pytest.raises(StoreUnavailable, match="has moved"):
        desk.report({})
    with pytest.raises(StoreUnavailable, match="has moved"):
        desk.act(desk.rows(cases)[0].id, "note", text="已电话联系")
    assert rows(desk.here.store) == before
    with pytest.raises(StoreUnavailable, match="start with that CITYBRAIN_DATABASE_URL"):
        copy(desk.here.config, url, print)


def test_an_interrupted_copy_goes_on_with_what_has_changed_since(desk: Desk, postgres: Server) -> None:
    """Rows that are new, changed, gone, and a merge key that went from one case to the next."""
    lived(desk)
    first = desk.open(**SMOKE)
    url = postgres.database()
    there = Store(url, patient=True)
    Move(desk.here.store, there, url, print)._copy_all(plain_tables())
    desk.act(first.id, "reassign", department=first.lead, reason="指定主办")
    desk.set(cases, cases.c.id == first.id, merge_key=None)
    second = desk.open(**SMOKE)
    assert second.id != first.id
    lived_on = desk.report(*[{}] * 30)
    with desk.here.store.write() as tx:
        tx.execute(stream.delete().where(stream.c.event_id.is_(None)))
    said: list[str] = []
    copy(desk.here.config, url, said.append)
    assert said[0].startswith("going on")
    assert rows(there) == rows(desk.here.store)
    assert len(lived_on) == 30
    there.close()


def test_a_copy_that_is_given_up_leaves_no_trace(desk: Desk, postgres: Server) -> None:
    before = objects(desk.here.store)
    there = Store(postgres.database(), patient=True)
    Move(desk.here.store, there, there.url, print)._copy_all(plain_tables())
    there.close()
    assert objects(desk.here.store) != before
    give_up(desk.here.config)
    assert objects(desk.here.store) == before


def objects(store: Store) -> list[Any]:
    with store.read() as tx:
        return list(tx.exec_driver_sql("SELECT type, name FROM sqlite_master ORDER BY name").all())


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
    assert "moving_rows" not in str(objects(desk.here.store))
    assert desk.report({})
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
    with pytest.raises(CopyDiffers, match="not the same in both: cases"):
        copy(desk.here.config, url, said.append)
    assert [line.partition(":")[0] for line in said if "BUT THERE" in line] == ["cases"]
    assert not any(rows(there).values())
    there.close()


def test_a_difference_in_what_has_changed_is_found(desk: Desk, postgres: Server) -> None:
    lived(desk)
    there = Store(url := postgres.database(), patient=True)
    Move(desk.here.store, there, url, print)._copy_all(plain_tables())
    with there.write() as tx:
        tx.exec_driver_sql(
            "CREATE FUNCTION forge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.title = 'x'; RETURN NEW; END $$;"
            "CREATE TRIGGER forge BEFORE INSERT ON cases FOR EACH ROW EXECUTE FUNCTION forge()"
        )
    there.close()
    desk.open()
    with pytest.raises(CopyDiffers, match="what changed in cases"):
        copy(desk.here.config, url, print)
    assert desk.report({})


def test_the_command_moves_a_running_installation_with_everything_it_acknowledged(
    new_service: Any, postgres: Server
) -> None:
    service = new_service()
    service.start()
    acknowledged: dict[str, str] = {}
    refused: set[int] = set()  # with which status
    over = threading.Event()

    def keep_posting(who: int) -> None:
        number = 0
        while not over.wait(0.05):
            number += 1
            event = EVENT | {"source_event_id": f"{who}-{number}"}
            answer = service.call("POST", "/api/v1/events", event)
            if answer.status == 202:
                acknowledged[event["source_event_id"]] = answer.body["id"]
            else:
                refused.add(answer.status)

    threads = [threading.Thread(target=keep_posting, args=(who,)) for who in range(2)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(acknowledged) > 20)
    url = postgres.empty_database().replace("+psycopg", "")
    moved: subprocess.CompletedProcess[str] = service.command("copy", "--to", url)
    wait_until(lambda: refused)
    over.set()
    for thread in threads:
        thread.join()
    assert moved.returncode == 0, moved.stdout + moved.stderr
    assert refused == {503}
    assert "rows that had changed meanwhile" in moved.stdout
    there = Store(url.replace("postgresql:", "postgresql+psycopg:"))
    with there.read() as tx:
        assert {row.source_event_id: row.id for row in tx.execute(select(events))} == acknowledged
    there.close()
    service.stop()
    again = service.command("migrate")
    assert (again.returncode, "this installation has moved" in again.stderr) == (1, True)
    service.environment["CITYBRAIN_DATABASE_URL"] = url
    service.start()
    id_, event_id = next(iter(acknowledged.items()))
    answer = service.call("POST", "/api/v1/events", EVENT | {"source_event_id": id_})
    assert (answer.status, answer.body["id"]) == (200, event_id)
    service.until(f"/api/v1/events/{event_id}", lambda seen: seen["state"] == "cased")
