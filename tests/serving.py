"""What tests of the whole service share: a running installation of their own, and receivers for its webhooks."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ports import free_port
from postgres import Server

from citybrain.clock import now_ms
from citybrain.config import database_url
from citybrain.keys import create_key
from citybrain.store.database import Store

EDITIONS = Path(__file__).parent.parent / ".pytest_cache" / "editions"  # compiled ground, made once


def wait_until(holds: Callable[[], Any], seconds: float = 120) -> Any:
    """What `holds()` answers, as soon as that is true."""
    ends = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < ends, "it never came so far"
        time.sleep(0.02)
    return found


@dataclass
class Answer:
    status: int
    body: Any
    headers: dict[str, str]


class Api:
    """The HTTP that a user of an installation would speak."""

    admin_key: str

    def connection(self) -> http.client.HTTPConnection:
        raise NotImplementedError

    def call(self, method: str, path: str, body: Any = None, key: str | None = None, **headers: str) -> Answer:
        """`body` goes as JSON, or as it is when it is bytes. The admin's key unless another is given ("" for none)."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
        if key != "":
            sent["Authorization"] = f"Bearer {key or self.admin_key}"
        with closing(self.connection()) as connection:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            return _answer(answer.status, answer.read(), answer.headers)

    def get(self, path: str, key: str | None = None) -> Any:
        answer = self.call("GET", path, key=key)
        assert answer.status == 200, answer
        return answer.body

    def post(self, path: str, body: Any = None, key: str | None = None) -> Any:
        answer = self.call("POST", path, body, key)
        assert answer.status < 300, answer
        return answer.body

    def page(self, path: str, key: str | None = None) -> str:
        """A page of the console, by a session of its own."""
        signed_in = self.call("POST", "/api/v1/session", {"key": key or self.admin_key}, key="")
        answer = self.call("GET", path, key="", Cookie=signed_in.headers["set-cookie"].partition(";")[0])
        assert answer.status == 200, answer
        return str(answer.body.decode())

    def until(self, path: str, holds: Any, seconds: float = 120, key: str | None = None) -> Any:
        """The answer as soon as `holds(answer)`."""
        ends = time.monotonic() + seconds
        while True:
            found = self.get(path, key)
            if holds(found):
                return found
            assert time.monotonic() < ends, f"{path} never came so far: {json.dumps(found, ensure_ascii=False)[:1500]}"
            time.sleep(0.05)


@dataclass
class Service(Api):
    """A `citybrain up` of its own."""

    data: Path
    port: int
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def database_url(self) -> str:
        return database_url(self.environment.get("CITYBRAIN_DATABASE_URL"), self.data)

    @property
    def admin_key(self) -> str:  # type: ignore[override]
        return (self.data / "admin.key").read_text().strip()

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def start(self, *flags: str) -> None:
        argv = [sys.executable, "-m", "citybrain", "up", "--data", str(self.data), "--port", str(self.port), *flags]
        log = (self.data.parent / f"{self.data.name}.log").open("ab")
        self.process = subprocess.Popen(argv, env=self.environment, stdout=subprocess.PIPE, stderr=log)
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        assert line == f"ready {self.url}\n", f"{line!r}; {self.log()[-2000:]}"

    def stop(self, how: int = signal.SIGTERM) -> float:
        """Seconds it took."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(how)
        self.process.wait(60)
        return time.monotonic() - began

    def log(self) -> str:
        return (self.data.parent / f"{self.data.name}.log").read_text(errors="replace")

    def command(self, *argv: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """`citybrain ARGV` on this installation's data."""
        return subprocess.run(
            [sys.executable, "-m", "citybrain", *argv],
            env=self.environment, input=text, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip

    def key(self, role: str, name: str, **scope: str) -> str:
        """As `citybrain keys create` makes it, without starting a process for each."""
        codes = {option: text.split(",") for option, text in scope.items() if option != "datum"}
        store = Store(self.database_url)
        with store.write() as tx:
            plain = create_key(tx, name, role, now_ms(), "test", datum=scope.get("datum"), **codes)
        store.close()
        return plain


def _answer(status: int, raw: bytes, headers: Any) -> Answer:
    is_json = "json" in headers.get("Content-Type", "")
    return Answer(status, json.loads(raw) if raw and is_json else raw, dict(headers.items()))


@pytest.fixture(scope="session")
def editions() -> Path:
    """The compiled ground, made once for all tests."""
    EDITIONS.mkdir(parents=True, exist_ok=True)
    return EDITIONS


@pytest.fixture(scope="session")
def new_store(store_kind: str, request: pytest.FixtureRequest) -> Any:
    """A maker of the environment that names a service's store: nothing for SQLite, an empty database's address."""
    if store_kind == "sqlite":
        return dict
    server: Server = request.getfixturevalue("postgres")
    return lambda: {"CITYBRAIN_DATABASE_URL": server.empty_database().replace("+psycopg", "")}


@pytest.fixture
def new_service(tmp_path: Path, editions: Path, new_store: Any) -> Iterator[Any]:
    """A maker of installations: `new_service(**environment)` on empty data, not started."""
    made: list[Service] = []

    def make(**environment: str) -> Service:
        made.append(make_service(tmp_path / f"data{len(made)}", editions, **new_store() | environment))
        return made[-1]

    yield make
    for service in made:
        if service.process is not None and service.process.poll() is None:
            service.stop()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, editions: Path, new_store: Any) -> Iterator[Service]:
    """One running installation for a module; webhooks may reach this machine."""
    made = make_service(tmp_path_factory.mktemp("city") / "data", editions, **new_store())
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def shared_services(postgres: Server) -> Iterator[dict[str, Service]]:
    """By kind of store; ended before PostgreSQL is. (A fixture with the kind as its parameter would be made anew
    whenever that changes.)"""
    made: dict[str, Service] = {}
    yield made
    for each in made.values():
        each.stop()


@pytest.fixture(scope="session")
def shared_service(
    shared_services: dict[str, Service], store_kind: str, tmp_path_factory: pytest.TempPathFactory, editions: Path,
    new_store: Any,
) -> Service:  # fmt: skip
    """One running installation for all modules whose tests use keys of their own and look at nobody else's events."""
    if store_kind not in shared_services:
        made = make_service(tmp_path_factory.mktemp("shared") / "data", editions, **new_store())
        made.start("--workers", "1")
        shared_services[store_kind] = made
    return shared_services[store_kind]


def make_service(data: Path, editions: Path, **environment: str) -> Service:
    data.mkdir(parents=True, exist_ok=True)
    (data / "editions").symlink_to(editions)
    port = free_port()
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("CITYBRAIN_")}
    own = {"CITYBRAIN_DATA": str(data), "CITYBRAIN_PORT": str(port), "CITYBRAIN_WEBHOOK_ALLOW": "127.0.0.0/8"}
    return Service(data, port, inherited | own | environment)


@dataclass
class Received:
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """A department's system: keeps every message and answers with `status`, as long as it is `open`."""

    url: str
    messages: list[Received] = field(default_factory=list)
    status: int = 204
    open: threading.Event = field(default_factory=threading.Event)  # while it is not set, answers wait

    def __post_init__(self) -> None:
        self.open.set()

    def of_type(self, type_: str) -> list[Received]:
        return [message for message in self.messages if message.json["type"] == type_]

    def wait(self, type_: str, number: int = 1, seconds: float = 120) -> Received:
        """The `number`-th message of that type."""
        ends = time.monotonic() + seconds
        while len(self.of_type(type_)) < number:
            assert time.monotonic() < ends, f"no {type_} number {number}: {[m.json['type'] for m in self.messages]}"
            time.sleep(0.02)
        return self.of_type(type_)[number - 1]

    @classmethod
    @contextmanager
    def listening(cls, at: socket.socket | None = None) -> Iterator["Receiver"]:
        """A receiver at a port of its own, or at the given socket, for as long as the block lasts."""

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                there.messages.append(Received(dict(self.headers.items()), body))
                there.open.wait()
                self.send_response(there.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        at = at or socket.create_server(("127.0.0.1", 0))
        server = ThreadingHTTPServer(at.getsockname(), Handler, bind_and_activate=False)
        server.socket.close()
        server.socket = at
        server.daemon_threads = True
        host, port = at.getsockname()
        there = cls(f"http://{host}:{port}/hook")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield there
        there.open.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver.listening() as there:
        yield there
