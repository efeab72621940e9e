"""What is broken: an installation of two hosts as a city runs it, every process its own, behind links that can be cut.

Host `city` is one `citybrain up` (API, worker, patrol under their supervisor); host `parts` is `serve`, `work` and
`patrol` on their own, which the campaign starts again as systemd would. They share a store and a broker that keeps
nothing.
"""

import asyncio
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import aiohttp

from bench.stores import Postgresql
from citybrain.broker import find_server
from citybrain.clock import now_ms
from citybrain.config import database_url
from citybrain.keys import create_key, ensure_admin
from citybrain.store.database import Store
from citybrain.store.migrate import migrate
from faults.ledgers import Ledger
from faults.parts import Part, citybrain, tell
from faults.ports import free_port
from faults.proxy import Link
from faults.receiver import Receiver

Heard = Callable[[int, str], None]
HOSTS = ("city", "parts")
COMMANDS = ("serve", "work", "patrol")
DOMAINS = (("grid", "fire"), ("water", "environment"), ("emergency", "market"))
START_SECONDS = 120.0
READY_SECONDS = 30.0  # a process that was started again is waited for before anything else is done
POSTGRESQL = "-c shared_buffers=128MB -c max_wal_size=96MB -c min_wal_size=80MB -c max_connections=60"
INSIDE = Path(__file__).parent / "inside"


class Installation:
    """`disk` is where the store lies, `small` whether that is a disk of its own; `planted` names a bug."""

    def __init__(
        self, folder: Path, disk: Path, editions: Path, store: str, rng: Random, small: bool = False, planted: str = ""
    ) -> None:
        self.folder, self.disk, self.editions, self.store_kind, self.small = folder, disk, editions, store, small
        self.rng, self.planted = rng, planted
        self.points = folder / "points"
        self.server = Postgresql(disk / "postgresql", POSTGRESQL) if store == "postgresql" else None
        self.broker_port = free_port()
        self.broker = Part("broker", self._broker(), dict(os.environ), folder / "broker.log")
        self.broker_links = {host: Link(self.broker_port) for host in HOSTS}
        self.store_links: dict[str, Link] = {}
        self.parts: dict[str, Part] = {}
        self.ports = {host: free_port() for host in HOSTS}
        self.receivers: list[Receiver] = []
        self.admin_key = f"cbfaults.{secrets.token_urlsafe(24)}"

    @property
    def apis(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.ports.values()]

    async def start(self, ledger: Ledger, heard: Heard) -> None:
        self.points.mkdir(parents=True)
        self.database_url = database_url(await asyncio.to_thread(self._open_store), self.folder)
        for link in self.broker_links.values():
            await link.start()
        if self.server:
            self.store_links = {host: Link(self.server.port) for host in HOSTS}
            for link in self.store_links.values():
                await link.start()
        for number in range(len(DOMAINS)):
            self.receivers.append(Receiver(f"receiver{number}", ledger, heard))
            await self.receivers[-1].start()
        self.broker.start()
        await asyncio.to_thread(self._prepare_record)
        self._make_parts()
        for part in self.parts.values():
            part.start()
        self._keeper = asyncio.create_task(self._keep_running())
        self.http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10))
        if not await self.until_whole(START_SECONDS):
            raise RuntimeError(f"the installation does not start; see the logs in {self.folder}")
        for receiver, domains in zip(self.receivers, DOMAINS, strict=True):
            body = {"name": receiver.name, "url": receiver.url, "domains": domains}
            self.endpoint_ids.append((await self.call("POST", "/api/v1/endpoints", body))["id"])

    endpoint_ids: list[str]

    def _open_store(self) -> str:
        self.endpoint_ids = []
        if self.server is None:
            return f"sqlite:///{self.disk / 'citybrain.db'}"
        (self.disk / "postgresql").mkdir()
        return self.server.start()

    def _prepare_record(self) -> None:
        migrate(self.database_url)
        self.record = Store(self.database_url)
        with self.record.write() as tx:
            ensure_admin(tx, self.admin_key, now_ms())
            self.source_key = create_key(tx, "gateway", "source", now_ms(), "faults")
            self.system_key = create_key(tx, "departments", "system", now_ms(), "faults")

    def _broker(self) -> list[str]:
        keeps_nothing = ("--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction")
        return [*find_server(), "--bind", "127.0.0.1", "--port", str(self.broker_port), *keeps_nothing]

    def _make_parts(self) -> None:
        up = ("up", "--port", str(self.ports["city"]), "--workers", "1")
        self.parts["up"] = self._part("city", "up", *up)
        self.parts["serve"] = self._part("parts", "serve", "serve", "--port", str(self.ports["parts"]))
        for name in ("work", "patrol"):
            self.parts[name] = self._part("parts", name, name)

    def _part(self, host: str, name: str, *argv: str) -> Part:
        data = self.folder / host
        data.mkdir(exist_ok=True)
        if not (data / "editions").exists():
            (data / "editions").symlink_to(self.editions.resolve())
        return Part(name, citybrain(*argv), self.environment(host), self.folder / f"{host}.log")

    def environment(self, host: str) -> dict[str, str]:
        inherited = {name: text for name, text in os.environ.items() if not name.startswith("CITYBRAIN_")}
        root = str(Path(__file__).parent.parent)
        own = {
            "CITYBRAIN_DATA": str(self.folder / host),
            "CITYBRAIN_DATABASE_URL": self._url_through(host),
            "CITYBRAIN_REDIS_URL": f"redis://127.0.0.1:{self.broker_links[host].port}/0",
            "CITYBRAIN_WEBHOOK_ALLOW": "127.0.0.0/8",
            "PYTHONPATH": os.pathsep.join([str(INSIDE), root]),
            "FAULTS_POINTS": str(self.points),
            "FAULTS_PLANTED": self.planted,
        }
        return inherited | own

    def _url_through(self, host: str) -> str:
        if self.server is None:
            return self.database_url
        return self.database_url.replace(f":{self.server.port}/", f":{self.store_links[host].port}/")

    async def _keep_running(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            for part in (*self.parts.values(), self.broker):
                part.keep_running()

    def processes(self, command: str) -> list[int]:
        """The ids of all processes that run `citybrain COMMAND`: the supervised one first, if it is there."""
        alone = [self.parts[command].pid] if self.parts[command].is_running() else []
        return [*self.parts["up"].children(command), *alone]

    def arm(self, point: str, order: signal.Signals) -> Path:
        """The next process that passes there obeys; the file is gone by then."""
        made = self.points / f"{point}.new"
        made.write_text(order.name)
        return made.rename(self.points / point)

    def taken(self, point: str) -> int | None:
        """The process that has taken the order."""
        for path in self.points.glob(f"{point}.[0-9]*"):
            pid = int(path.suffix[1:])
            path.unlink()
            return pid
        return None

    async def missing(self) -> str:
        """What does not run, or says that it does not; nothing when all is whole."""
        for command in COMMANDS:
            if (running := len(self.processes(command))) < len(HOSTS):
                return f"{running} of {len(HOSTS)} `citybrain {command}`"
        for host, port in self.ports.items():
            try:
                async with self.http.get(f"http://127.0.0.1:{port}/readyz", timeout=aiohttp.ClientTimeout(2)) as answer:
                    told = await answer.json()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                return f"no answer from host {host} ({type(error).__name__})"
            if told["status"] != "ok":
                return f"host {host} says {told}"
        return ""

    async def until_whole(self, seconds: float) -> bool:
        """Whether it became whole in time: it cannot while something else is broken."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if not await self.missing():
                return True
            await asyncio.sleep(0.1)
        return False

    async def call(self, method: str, path: str, body: object = None) -> dict[str, str]:
        """As the admin, at the first API."""
        headers = {"Authorization": f"Bearer {self.admin_key}"}
        async with self.http.request(method, self.apis[0] + path, json=body, headers=headers) as answer:
            answer.raise_for_status()
            found: dict[str, str] = await answer.json()
            return found

    async def stop(self) -> None:
        """Every process; the store can still be read."""
        self._keeper.cancel()
        await asyncio.gather(*(asyncio.to_thread(part.stop) for part in self.parts.values()))
        await self.http.close()

    def end(self) -> None:
        """Whatever is left, in any state."""
        for part in (*self.parts.values(), self.broker):
            for child in (each for command in COMMANDS for each in part.children(command)):
                tell(child, signal.SIGKILL)
            part.held = True
            part.kill()
        if hasattr(self, "record"):
            self.record.close()
        if self.server and self.server.is_running():
            with suppress(Exception):
                self.server.halt()

    def command(self, *argv: str) -> "subprocess.CompletedProcess[str]":
        """`citybrain ARGV` on this record, as it is without any fault."""
        plain = self.environment("parts") | {"CITYBRAIN_DATABASE_URL": self.database_url}
        env = {name: text for name, text in plain.items() if not name.startswith("FAULTS_")}
        return subprocess.run(citybrain(*argv), env=env, capture_output=True, text=True, check=False)
