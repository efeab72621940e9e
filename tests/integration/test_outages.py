"""When PostgreSQL stops, fills up or answers no more, nothing is acknowledged that is not on disk, and when it is back
all goes on by itself."""

import asyncio
import shutil
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from desk import Desk
from postgres import Server, only_postgresql, refusing
from sqlalchemy import insert, select, text
from sqlalchemy.engine import make_url

from citybrain.app import build
from citybrain.keys import create_key
from citybrain.store.database import Store, StoreUnavailable
from citybrain.store.tables import counters, events, receipts, reporters, stream

pytestmark = only_postgresql


@pytest.fixture
def server() -> Iterator[Server]:
    """One that may be stopped: nobody else's, and on disk as a real one."""
    made = Server(fsync="on", max_connections="12")
    yield made
    made.stop()
    shutil.rmtree(made.folder)


def count(store: Store, name: str) -> None:
    with store.write() as tx:
        tx.execute(insert(counters).values(name=name, value=1))


def names(store: Store) -> list[str]:
    with store.read() as tx:
        return list(tx.execute(select(counters.c.name).order_by(counters.c.name)).scalars())


def _event(number: int) -> dict[str, Any]:
    return {
        "source_event_id": f"e-{number}",
        "domain": "grid",
        "type": "m06001",
        "occurred_at": "2025-03-01T08:00:00+08:00",
        "location": {"lng": 116.1222, "lat": 24.2886, "datum": "gcj02"},
        "reporter": {"name": "陈小明", "phone": "13800001234"},
    }


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL], ids=["stopped", "halted", "killed"])
def test_what_was_committed_is_there_after_the_server_and_the_store_goes_on(server: Server, how: int) -> None:
    store = Store(server.database())
    for number in range(20):
        count(store, f"{number:02}")

    def stopped_half_way() -> None:
        with store.write() as tx:
            tx.execute(insert(counters).values(name="by half", value=1))
            server.stop(how)
            tx.execute(insert(counters).values(name="never", value=1))

    with pytest.raises(StoreUnavailable):
        stopped_half_way()
    with pytest.raises(StoreUnavailable):
        names(store)
    server.start()
    assert names(store) == [f"{number:02}" for number in range(20)]
    count(store, "20")
    store.close()


def test_no_free_connection_is_unavailable_for_as_long_as_it_lasts(server: Server) -> None:
    url = server.database()
    store, others = Store(url), _all_connections(url.replace("+psycopg", ""))
    with pytest.raises(StoreUnavailable):
        names(store)
    for other in others:
        other.close()
    assert names(store) == []
    store.close()


def _all_connections(url: str) -> list[psycopg.Connection[Any]]:
    found = []
    try:
        while True:
            found.append(psycopg.connect(url))
    except psycopg.OperationalError:
        return found


def test_a_server_that_has_become_a_standby_is_unavailable(server: Server) -> None:
    store = Store(server.database())

    def as_on_a_standby() -> None:
        with store.write() as tx:
            tx.execute(text("SET TRANSACTION READ ONLY"))
            tx.execute(insert(counters).values(name="never", value=1))

    with pytest.raises(StoreUnavailable):
        as_on_a_standby()
    count(store, "later")
    assert names(store) == ["later"]
    store.close()


def test_full_disk_and_stopped_server_are_503_and_keep_nothing(desk: Desk, server: Server, new_desk: Any) -> None:
    here = new_desk(desk.here.config.data, server.database()).here
    here.broker_url = "redis://127.0.0.1:1"  # nobody there
    with here.store.write() as tx:
        key = create_key(tx, "phone", "source", here.clock(), "test")
    batch = [_event(number) for number in range(100, 200)]

    async def story() -> None:
        transport = httpx.ASGITransport(build(here))
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://city", headers=headers) as client:
            assert (await client.post("/api/v1/events", json=_event(1))).status_code == 202
            with refusing(here.store, "events", full=True):
                refused = await client.post("/api/v1/events/batch", json=batch)
                assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)
            server.stop()
            refused = await client.post("/api/v1/events/batch", json=batch)
            assert refused.status_code == 503
            assert refused.headers["content-type"] == "application/problem+json"
            assert (await client.get("/readyz")).status_code == 503
            server.start()
            with here.store.read() as tx:
                kept = [len(tx.execute(select(table)).all()) for table in (receipts, events, reporters, stream)]
            assert kept == [1, 1, 1, 1]
            assert (await client.post("/api/v1/events/batch", json=batch)).json()["accepted"] == 100

    asyncio.run(story())


class Cutter:
    """Stands between a client and the server, and cuts the line when `at` goes through: the server gets it, the client
    never hears what became of it."""

    def __init__(self, port: int) -> None:
        self._port, self.at = port, b"\0nothing"
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            client, _ = self._door.accept()
            server = socket.create_connection(("127.0.0.1", self._port))
            threading.Thread(target=self._up, args=(client, server), daemon=True).start()
            threading.Thread(target=self._down, args=(server, client), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        while data := client.recv(65536):
            if self.at in data:
                client.shutdown(socket.SHUT_RDWR)
                self.at = b"\0nothing"
            server.sendall(data)

    def _down(self, server: socket.socket, client: socket.socket) -> None:
        try:
            while data := server.recv(65536):
                client.sendall(data)
        except OSError:
            return


def test_a_commit_whose_answer_is_lost_is_not_acknowledged_and_repeating_it_is_safe(
    desk: Desk, postgres: Server, new_desk: Any
) -> None:
    url = postgres.database()
    cutter = Cutter(postgres.port)
    through = make_url(url).set(port=cutter.port).render_as_string()
    there: Desk = new_desk(desk.here.config.data, through)
    there.report({"source_event_id": "before"})
    cutter.at = b"COMMIT"
    with pytest.raises(StoreUnavailable):
        there.report({"source_event_id": "a"})
    again = there.report({"source_event_id": "a"})
    assert [row.id for row in there.rows(events)][1:] == again
    there.here.store.close()
