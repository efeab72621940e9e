"""`migrate`, `serve`, `work` and `patrol` on hosts that share the database and the broker, and no folder."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ports import free_port

from citybrain import broker

ADMIN = "an-admin-key-that-only-this-test-knows"
EVENT = {
    "source_event_id": "first-1",
    "domain": "grid",
    "title": "河边私搭乱建一间铁皮棚",
    "occurred_at": "2026-11-20T08:00:00+08:00",
    "location": {"lng": 116.1222, "lat": 24.2886, "datum": "gcj02"},
}


@dataclass
class Host:
    """A data folder of its own, and what runs on it."""

    data: Path
    shared: dict[str, str]
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def environment(self, **more: str) -> dict[str, str]:
        inherited = {name: text for name, text in os.environ.items() if not name.startswith("CITYBRAIN_")}
        return inherited | self.shared | {"CITYBRAIN_DATA": str(self.data)} | more

    def run(self, *argv: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "citybrain", *argv]
        environment = self.environment(**more)
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)

    def start(self, *argv: str, **more: str) -> subprocess.Popen[bytes]:
        log = (self.data.parent / f"{self.data.name}.log").open("ab")
        command = [sys.executable, "-m", "citybrain", *argv]
        self.running.append(subprocess.Popen(command, env=self.environment(**more), stderr=log))
        return self.running[-1]

    def log(self) -> str:
        return (self.data.parent / f"{self.data.name}.log").read_text()


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[list[Host]]:
    process, bells = broker.start(tmp_path / "broker-host")
    shared = {
        "CITYBRAIN_DATABASE_URL": f"sqlite:///{tmp_path / 'database-host' / 'citybrain.db'}",
        "CITYBRAIN_REDIS_URL": bells.url,
        "CITYBRAIN_PUBLIC_URL": "http://city.example",
        "CITYBRAIN_WEBHOOK_ALLOW": "127.0.0.0/8",
    }
    made = [Host(tmp_path / name, shared) for name in ("first", "second")]
    yield made
    running = [each for host in made for each in host.running]
    for each in running:
        each.send_signal(signal.SIGTERM)
    for each in running:
        each.wait(120)
    assert process is not None
    process.terminate()
    process.wait(120)


def call(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {ADMIN}"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as answer:
        return json.loads(answer.read())


def until(holds: Any, seconds: float = 240) -> Any:
    ends = time.monotonic() + seconds
    while True:
        try:
            if found := holds():
                return found
        except (urllib.error.URLError, OSError):
            pass
        assert time.monotonic() < ends
        time.sleep(0.1)


def test_parts_wait_for_the_tables_and_keep_nothing_on_their_hosts(hosts: list[Host], editions: Path) -> None:
    first, second = hosts
    for host in hosts:
        host.data.mkdir(mode=0o700)
        (host.data / "editions").symlink_to(editions)
    port = free_port()
    first.start("serve", "--port", str(port))
    first.start("work")
    second.start("patrol")
    until(lambda: all("run `citybrain migrate`" in host.log() for host in hosts))
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "it must not listen before there are tables"

    assert second.run("migrate", CITYBRAIN_ADMIN_KEY=ADMIN).returncode == 0
    api = f"http://127.0.0.1:{port}"
    until(lambda: call(f"{api}/readyz")["status"] == "ok")
    filed = call(f"{api}/api/v1/events", EVENT)
    until(lambda: call(f"{api}/api/v1/events/{filed['id']}")["state"] == "cased")
    kept = [path for host in hosts for path in host.data.iterdir() if path.name != "editions"]
    assert kept == []


def test_several_migrations_at_once_are_one(hosts: list[Host]) -> None:
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda host: host.run("migrate", CITYBRAIN_ADMIN_KEY=ADMIN), hosts * 3))
    assert [(each.returncode, each.stderr) for each in done] == [(0, "")] * 6
    assert hosts[0].run("keys", "list").stdout == "admin\tadmin\tvalid\tall\n"


def test_a_host_that_joins_leaves_the_admin_key_as_it_is(hosts: list[Host]) -> None:
    first, second = hosts
    first.run("migrate")
    kept = (first.data / "admin.key").read_text()
    for _ in range(2):
        assert second.run("keys", "list").stdout == "admin\tadmin\tvalid\tall\n"
    assert not (second.data / "admin.key").exists()

    assert second.run("migrate", CITYBRAIN_ADMIN_KEY=ADMIN).returncode == 0
    after = first.run("keys", "list").stdout
    assert after == "admin\tadmin\trevoked\tall\nadmin-2\tadmin\tvalid\tall\n", "an old file must not undo the change"
    assert (first.data / "admin.key").read_text() == kept


def test_a_revoked_admin_key_does_not_come_back(hosts: list[Host]) -> None:
    host = hosts[0]
    host.run("migrate")
    kept = (host.data / "admin.key").read_text()
    host.run("keys", "revoke", "admin")
    assert host.run("migrate").returncode == 0
    assert (host.data / "admin.key").read_text() != kept
    again = host.run("migrate", CITYBRAIN_ADMIN_KEY=kept.strip())
    assert again.returncode == 1
    assert "give a new one" in again.stderr
    assert "Traceback" not in again.stderr


def test_a_dry_run_does_not_touch_the_store(hosts: list[Host], editions: Path) -> None:
    host = hosts[0]
    host.data.mkdir(mode=0o700)
    (host.data / "editions").symlink_to(editions)
    found = host.run("locate", "116.1222", "24.2886", "--datum", "gcj02")
    assert json.loads(found.stdout)["method"] == "contains"
    assert not (host.data.parent / "database-host" / "citybrain.db").exists()
