"""Who is measured: the real `citybrain up`, and the naive pipeline on RQ, Celery and dramatiq. Each starts on an empty
folder with its own broker, sends its webhooks to the bench's receiver, and ends with everything it started."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import orjson
import psutil

from bench.stores import Postgresql
from citybrain import broker
from citybrain.clock import now_ms
from citybrain.dispatch.signature import new_secret
from citybrain.keys import create_key
from citybrain.store.database import Store as Record

START_SECONDS = 120.0
STOP_SECONDS = 15.0
NDJSON = "application/x-ndjson"


class Contestant(ABC):
    """`post` and `batch` are the addresses that take one event and NDJSON; `batch` is empty where there is none."""

    name: str
    what: str
    roles: ClassVar[Mapping[str, str]]  # a part's name by what its command line matches
    post: str
    batch = ""

    def __init__(self, folder: Path, editions: Path, workers: int = 2, store: Postgresql | None = None) -> None:
        self.folder, self.editions, self.workers, self.store = folder, editions, workers, store
        self.port = _free_port()
        self.headers = {"Content-Type": "application/json"}
        self._processes: list[subprocess.Popen[bytes]] = []

    @abstractmethod
    def start(self, hook: str) -> str:
        """Starts everything; returns the secret that its webhooks are signed with when it takes events."""

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                for each in [*psutil.Process(process.pid).children(recursive=True), process]:
                    each.kill()
                process.wait()
        self._processes = []

    def processes(self) -> dict[str, list[psutil.Process]]:
        """Everything that runs, by its part."""
        found: dict[str, list[psutil.Process]] = {}
        for process in self._processes:
            parent = psutil.Process(process.pid)
            for each in [parent, *parent.children(recursive=True)]:
                command = " ".join(each.cmdline())
                part = next((name for pattern, name in self.roles.items() if re.search(pattern, command)), "other")
                found.setdefault(part, []).append(each)
        return found

    def stored_bytes(self) -> int:
        """Of the record, when it is at rest."""
        return sum(path.stat().st_size for path in self.folder.glob("*.db*"))

    def _run(self, *argv: str, **environment: str) -> None:
        log = (self.folder.parent / f"{self.folder.name}.log").open("ab")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CITYBRAIN_")}
        env = inherited | environment
        self._processes.append(subprocess.Popen(argv, env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL))

    def _until_ready(self, path: str) -> None:
        ends = time.monotonic() + START_SECONDS
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2):
                    return
            except OSError:
                dead = [process.args for process in self._processes if process.poll() is not None]
                if dead or time.monotonic() > ends:
                    log = (self.folder.parent / f"{self.folder.name}.log").read_text(errors="replace")
                    raise RuntimeError(f"{self.name} does not start: {dead}\n{log[-3000:]}") from None
                time.sleep(0.1)


class Citybrain(Contestant):
    name = "citybrain"
    what = "citybrain up: API, workers, patrol, broker"
    roles = MappingProxyType(
        {" serve": "api", " work": "workers", " patrol": "patrol", "valkey|redis": "broker", " up ": "supervisor"}
    )

    _session: str | None = None

    def start(self, hook: str) -> str:
        self.folder.mkdir(parents=True)
        self.editions.mkdir(parents=True, exist_ok=True)
        (self.folder / "editions").symlink_to(self.editions)
        base = f"http://127.0.0.1:{self.port}"
        self.post, self.batch = f"{base}/api/v1/events", f"{base}/api/v1/events/batch"
        url = self.store.start() if self.store else ""
        own = {"CITYBRAIN_WEBHOOK_ALLOW": "127.0.0.0/8"} | ({"CITYBRAIN_DATABASE_URL": url} if url else {})
        flags = ("--data", str(self.folder), "--port", str(self.port), "--workers", str(self.workers))
        self._run(sys.executable, "-m", "citybrain", "up", *flags, **own)
        self._until_ready("/readyz")
        self.database_url = url or f"sqlite:///{self.folder / 'citybrain.db'}"
        record = Record(self.database_url)
        with record.write() as tx:
            self.headers["Authorization"] = f"Bearer {create_key(tx, 'bench', 'source', now_ms(), 'bench')}"
        record.close()
        secret: str = self.call("POST", "/api/v1/endpoints", {"name": "bench", "url": hook})["secret"]
        self._until_workers()
        return secret

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """As the admin."""
        headers = {"Authorization": f"Bearer {(self.folder / 'admin.key').read_text().strip()}"}
        headers["Content-Type"] = "application/json"
        data = None if body is None else orjson.dumps(body)
        url = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=60) as answer:
            return orjson.loads(answer.read() or b"null")

    def post_batch(self, reports: list[Any]) -> Any:
        headers = self.headers | {"Content-Type": NDJSON}
        body = b"\n".join(map(orjson.dumps, reports))
        with urllib.request.urlopen(urllib.request.Request(self.batch, body, headers), timeout=60) as answer:
            return orjson.loads(answer.read())

    def look(self, path: str) -> bytes:
        """A page of the console, or an answer of the API, as a person gets it who has signed in."""
        if self._session is None:
            body = orjson.dumps({"key": (self.folder / "admin.key").read_text().strip()})
            url, headers = f"http://127.0.0.1:{self.port}/api/v1/session", {"Content-Type": "application/json"}
            with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=60) as answer:
                self._session = answer.headers["Set-Cookie"].partition(";")[0]
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={"Cookie": self._session})
        with urllib.request.urlopen(asked, timeout=300) as answer:
            found: bytes = answer.read()
        return found

    def _until_workers(self) -> None:
        ends = time.monotonic() + START_SECONDS
        while len(self.processes().get("workers", ())) < self.workers and time.monotonic() < ends:
            time.sleep(0.1)

    def processes(self) -> dict[str, list[psutil.Process]]:
        found = super().processes()
        if self.store:
            server = psutil.Process(self.store.process_id())
            found["postgresql"] = [server, *server.children(recursive=True)]
        return found

    def stop(self) -> None:
        super().stop()
        if self.store:
            self.store.stop()

    def stored_bytes(self) -> int:
        return self.store.stored_bytes() if self.store else super().stored_bytes()


class Peer(Contestant):
    module: str
    roles = MappingProxyType({"uvicorn": "api", "valkey|redis": "broker", "": "workers"})

    def start(self, hook: str) -> str:
        self.folder.mkdir(parents=True)
        server, where = broker.start(self.folder)
        if server is not None:
            self._processes.append(server)
        secret = new_secret()
        self._own = {
            "BENCH_FOLDER": str(self.folder), "BENCH_BROKER": where.url, "BENCH_HOOK": hook, "BENCH_SECRET": secret,
            "BENCH_EDITIONS": str(self.editions),
        }  # fmt: skip
        self.post = f"http://127.0.0.1:{self.port}/events"
        serve = ("uvicorn", "--factory", f"{self.module}:serve", "--port", str(self.port), "--no-access-log")
        self._run(sys.executable, "-m", *serve, "--log-level", "warning", **self._own)
        self._run(sys.executable, "-m", *self.worker(), **self._own)
        self._until_ready("/openapi.json")
        return secret

    @abstractmethod
    def worker(self) -> tuple[str, ...]: ...


class Naive(Peer):
    name, what = "naive on RQ", "one commit, one RQ job, one requests.post an event; one preloaded forking worker"
    module = "bench.peers.with_rq"

    def worker(self) -> tuple[str, ...]:
        return (self.module,)


class NaiveCelery(Peer):
    name, what = "naive on Celery", "the same work on Celery, prefork 2"
    module = "bench.peers.with_celery"

    def worker(self) -> tuple[str, ...]:
        return ("celery", "-A", self.module, "worker", "-c", "2", "--loglevel", "WARNING", "--without-gossip")


class NaiveDramatiq(Peer):
    name, what = "naive on dramatiq", "the same work on dramatiq, 2 processes with 8 threads"
    module = "bench.peers.with_dramatiq"

    def worker(self) -> tuple[str, ...]:
        return ("dramatiq", self.module, "--processes", "2", "--threads", "8")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
