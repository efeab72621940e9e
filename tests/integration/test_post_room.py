"""The post room: what is claimed goes out beside the worker, and a slow receiver holds up nobody but itself."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from desk import Desk
from postgres import both_stores, refusing
from posting import end_leases, until
from sqlalchemy import event, text

from citybrain.dispatch.lane import START
from citybrain.store.database import Store
from citybrain.store.dispatch_tables import attempts, deliveries
from workers import deliver
from workers.deliver import PostRoom

pytestmark = both_stores


@pytest.fixture
def hanging() -> Iterator[str]:
    """A receiver that takes a request and never answers."""
    release = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            release.wait(120)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook"
    release.set()
    server.shutdown()


def test_a_hanging_and_a_dead_endpoint_delay_no_other(desk: Desk, room: PostRoom, receiver: Any, hanging: str) -> None:
    desk.endpoint("hanging", url=hanging)
    desk.endpoint("dead")
    good = desk.endpoint("good", url=receiver.url)
    desk.report(*[{}] * 150)
    desk.handle()

    def all_arrived() -> bool:
        room.claim()
        found = desk.rows(deliveries, deliveries.c.endpoint_id == good, deliveries.c.status == "delivered")
        return len(found) == 150

    until(all_arrived, 60)  # behind the hanging one they would take five times its fifteen seconds
    assert len(receiver.messages) == 150
    assert "dispatch" in desk.bells.rung


def test_a_new_endpoint_is_trusted_with_a_few_messages_until_it_has_answered(
    desk: Desk, room: PostRoom, hanging: str
) -> None:
    for number in range(3):
        desk.endpoint(f"gateway {number}", url=f"{hanging}/{number}")
    desk.report(*[{}] * 40)
    desk.handle()
    for _ in range(3):
        room.claim()
    assert room.size() == 3 * START
    claimed = desk.rows(deliveries, deliveries.c.lease_until > 0)
    assert sorted(Counter(row.endpoint_id for row in claimed).values()) == [START] * 3
    assert {row.tries for row in desk.rows(deliveries, deliveries.c.lease_until == 0)} == {0}


def test_attempts_that_cannot_be_recorded_give_their_places_back_and_are_sent_again(
    desk: Desk, room: PostRoom, receiver: Any
) -> None:
    desk.endpoint("good", url=receiver.url)
    desk.open()
    rename(desk, "attempts", "elsewhere")
    room.claim()
    until(lambda: receiver.messages and not room.size())
    rename(desk, "elsewhere", "attempts")
    assert desk.row(deliveries).status == "pending"
    end_leases(desk)
    room.claim()
    until(lambda: desk.row(deliveries).status == "delivered")
    assert len({message.headers["webhook-id"] for message in receiver.messages}) == 1


def test_an_unforeseen_error_while_recording_gives_the_places_back_too(
    desk: Desk, room: PostRoom, receiver: Any
) -> None:
    desk.endpoint("good", url=receiver.url)
    desk.open()
    with refusing(desk.here.store, "attempts"):
        room.claim()
        until(lambda: receiver.messages and not room.size())
    assert desk.rows(attempts) == []


def test_a_worker_that_stood_still_before_its_claim_was_committed_sends_nothing(
    desk: Desk, room: PostRoom, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease may have ended meanwhile, and another worker may be sending."""
    desk.endpoint("good", url=receiver.url)
    desk.open()
    monkeypatch.setattr(deliver, "BEGIN_SECONDS", 0.2)
    with standing_still(desk.here.store, 0.4):
        room.claim()
        until(lambda: not room.size())
    assert receiver.messages == []
    assert (desk.row(deliveries).status, desk.row(deliveries).tries) == ("pending", 0)
    monkeypatch.undo()
    room.claim()
    until(lambda: desk.row(deliveries).status == "delivered")


@contextmanager
def standing_still(store: Store, seconds: float) -> Iterator[None]:
    """Who has written something stops for so long before its commit."""

    def stop(_: Any) -> None:
        time.sleep(seconds)

    event.listen(store.engine, "commit", stop)
    yield
    event.remove(store.engine, "commit", stop)


def rename(desk: Desk, table: str, name: str) -> None:
    with desk.here.store.write() as tx:
        tx.execute(text(f"ALTER TABLE {table} RENAME TO {name}"))
