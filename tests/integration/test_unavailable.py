"""Whatever keeps the store or the process from answering, a client is told to send again, in the form that it reads;
a mistake of the program is another thing: it is told as one, and its trace is in the log."""

import http.client
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import uvicorn
from alerts import alert
from desk import Desk
from postgres import both_stores, held, only_sqlite
from serving import wait_until
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from citybrain.access import COOKIE
from citybrain.app import build
from citybrain.installation import Installation
from citybrain.keys import create_key
from citybrain.store.database import Store, StoreUnavailable

pytestmark = both_stores
EVENT: dict[str, Any] = {
    "source_event_id": "e-1",
    "domain": "grid",
    "type": "m06001",
    "occurred_at": "2025-03-01T08:00:00+08:00",
    "location": {"lng": 116.1222, "lat": 24.2886, "datum": "gcj02"},
    "reporter": {"name": "陈小明", "phone": "13800001234"},
}
CLOUD = {"specversion": "1.0", "id": "c-1", "source": "/gw", "type": "x.y", "time": EVENT["occurred_at"], "data": EVENT}
JSON, NDJSON, FORM = "application/json", "application/x-ndjson", "application/x-www-form-urlencoded"
PROBLEM = "application/problem+json"
SERVICE_REQUEST = b"service_code=m06001&lat=24.2886&long=116.1222"


def key(desk: Desk, role: str = "source") -> str:
    with desk.here.store.write() as tx:
        return create_key(tx, role, role, desk.now, "liu")


@contextmanager
def away(store: Store) -> Iterator[None]:
    """Nobody can open it."""
    if store.engine.dialect.name == "sqlite":
        file = Path(store.engine.url.database or "")
        store.close()
        there = file.rename(file.with_suffix(".elsewhere"))
        file.mkdir()
        yield
        file.rmdir()
        there.rename(file)
        return
    server = psycopg.connect(store.url.replace("+psycopg", "").rpartition("/")[0] + "/postgres", autocommit=True)
    name = store.engine.url.database
    server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    store.close()
    yield
    server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    server.close()


def test_every_door_says_send_again_while_the_store_is_away(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    source, system, operator = (key(desk, role) for role in ("source", "system", "operator"))
    cap = alert(sent=EVENT["occurred_at"]).encode()
    asked: list[tuple[str, str, str, Any, str, str]] = [
        ("POST", "/api/v1/events", source, EVENT, JSON, PROBLEM),
        ("POST", "/api/v1/events/batch", source, [EVENT], JSON, PROBLEM),
        ("POST", "/api/v1/events/batch", source, EVENT, NDJSON, PROBLEM),
        ("POST", "/cloudevents", source, CLOUD, "application/cloudevents+json", PROBLEM),
        ("POST", "/cap", source, cap, "application/cap+xml", PROBLEM),
        ("POST", "/open311/v2/requests.json", source, SERVICE_REQUEST, FORM, JSON),
        ("GET", "/open311/v2/requests.xml", source, None, JSON, "text/xml"),
        ("POST", "/api/v1/work-orders/1/feedback", system, {"feedback_id": "1", "status": "accepted"}, JSON, PROBLEM),
        ("POST", "/api/v1/session", "", {"key": operator}, JSON, PROBLEM),
        ("GET", "/api/v1/cases", operator, None, JSON, PROBLEM),
        ("GET", "/api/v1/stream", operator, None, JSON, PROBLEM),
        ("GET", "/cases/1", "", None, JSON, "text/html"),
    ]
    browser = TestClient(build(desk.here))
    assert (
        _ask(browser, "GET", "/api/v1/session", source, None, JSON).status_code == 200
    )  # all keys are known from now on
    with away(desk.here.store), caplog.at_level(logging.WARNING):
        answers = [_ask(browser, *each[:5]) for each in asked]
    told = [(each.status_code, each.headers["content-type"].partition(";")[0]) for each in answers]
    assert told == [(503, each[5]) for each in asked]
    assert ["retry-after" in each.headers for each in answers] == [True] * len(asked)
    assert "not acknowledged" in answers[0].json()["detail"]
    assert "the store cannot answer" in caplog.text
    assert "Traceback" not in caplog.text


def _ask(browser: TestClient, method: str, path: str, bearer: str, body: Any, kind: str) -> Any:
    signed_in = {"Authorization": f"Bearer {bearer}"} if bearer else {"Cookie": f"{COOKIE}=anybody"}
    content = body if isinstance(body, bytes) or body is None else json.dumps(body)
    return browser.request(method, path, content=content, headers=signed_in | {"Content-Type": kind})


def test_a_key_that_cannot_be_looked_up_is_no_wrong_key(desk: Desk) -> None:
    source = key(desk)
    browser = TestClient(build(desk.here))
    with away(desk.here.store):
        refused = _ask(browser, "POST", "/api/v1/events", source, EVENT, JSON)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    assert _ask(browser, "POST", "/api/v1/events", source, EVENT, JSON).status_code == 202


def test_a_mistake_of_the_program_is_told_as_one_and_its_trace_is_in_the_log(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """As a query of a column that is not there."""
    source = key(desk)
    browser = TestClient(build(desk.here))
    _rename(desk.here.store, "receipts", "mislaid")
    with caplog.at_level(logging.ERROR):
        failed = _ask(browser, "POST", "/api/v1/events", source, EVENT, JSON)
        _rename(desk.here.store, "sessions", "signed_in")
        page = _ask(browser, "GET", "/cases/1", "", None, JSON)
        _rename(desk.here.store, "signed_in", "sessions")
    _rename(desk.here.store, "mislaid", "receipts")
    assert (failed.status_code, failed.headers["content-type"]) == (500, PROBLEM)
    assert failed.json()["request_id"] == failed.headers["x-request-id"]
    assert page.status_code == 500
    assert page.headers["x-request-id"] in page.text
    assert "write_receipts" in caplog.text
    assert "13800001234" not in caplog.text


def _rename(store: Store, table: str, to: str) -> None:
    with store.write() as tx:
        tx.execute(text(f"ALTER TABLE {table} RENAME TO {to}"))


@only_sqlite
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda file: (file.unlink(), file.mkdir()), "unable to open"),
        (lambda file: file.write_bytes(b"no database " * 1000), "not a database"),
        (lambda file: file.write_bytes(file.read_bytes()[:20_000]), "malformed|disk I/O"),
    ],
    ids=["no file", "no database", "cut off"],
)
def test_a_file_that_cannot_be_read_is_an_outage(desk: Desk, spoil: Callable[[Path], Any], said: str) -> None:
    file = Path(desk.here.store.engine.url.database or "")
    spoil(file)
    with pytest.raises(StoreUnavailable, match=said):
        desk.report({})


@only_sqlite
def test_a_wrong_statement_is_no_outage(desk: Desk) -> None:
    with pytest.raises(OperationalError, match="no such column"), desk.here.store.read() as tx:
        tx.execute(text("SELECT mislaid FROM events"))


class Server(uvicorn.Server):
    """As `citybrain serve` runs it, in a thread, and with no patience at its end."""

    def __init__(self, here: Installation) -> None:
        given = {"log_config": None, "log_level": "warning", "timeout_graceful_shutdown": 0}
        super().__init__(uvicorn.Config(build(here), host="127.0.0.1", port=0, **given))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.thread = threading.Thread(target=self.run, args=([self._listening],))

    def ask(self, method: str, path: str, bearer: str, body: bytes, kind: str) -> tuple[int, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body, {"Authorization": f"Bearer {bearer}", "Content-Type": kind})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}


def test_who_still_waits_when_a_process_is_stopped_is_told_to_send_again(desk: Desk) -> None:
    source, cap = key(desk), alert(sent=EVENT["occurred_at"]).encode()
    server = Server(desk.here)
    server.thread.start()
    wait_until(lambda: server.started)
    event = json.dumps(EVENT).encode()
    asked = [("/api/v1/events", event, JSON), ("/api/v1/events/batch", event, NDJSON)]
    asked += [("/open311/v2/requests.json", SERVICE_REQUEST, FORM), ("/cap", cap, "application/xml")]
    answers: list[tuple[int, dict[str, str]]] = []
    with held(desk.here.store, "receipts"):
        threads = [
            threading.Thread(target=lambda each=each: answers.append(server.ask("POST", each[0], source, *each[1:])))
            for each in asked
        ]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(server.server_state.tasks) == len(asked))
        server.should_exit = True
        for thread in threads:
            thread.join()
    server.thread.join()
    assert [(status, told["retry-after"]) for status, told in answers] == [(503, "2")] * len(asked)
    assert sorted(told["content-type"] for _, told in answers) == [f"{JSON}; charset=utf-8", *[PROBLEM] * 3]
    assert all("x-request-id" in told for _, told in answers)
