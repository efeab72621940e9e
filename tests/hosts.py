"""Several hosts on one machine: each a network namespace with an address of its own on a common bridge, and a link that
can be cut. All of it ends with the test, however that ends: a namespace lives as long as somebody is in it."""

import http.client
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from postgres import NOBODY, Server, binaries
from serving import Api, wait_until

# Whoever is not root becomes it in a user namespace.
NEW_USER, JOIN_USER = ([], []) if os.getuid() == 0 else (["--map-root-user"], ["-U", "--preserve-credentials"])
IP = shutil.which("ip", path=f"{os.environ['PATH']}:/usr/sbin:/sbin") or "ip"
# PostgreSQL refuses to be run by root.
NOT_ROOT = (
    ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--pdeathsig", "QUIT"]
    if os.getuid() == 0
    else ["unshare", "--user", "--map-user=1", "--map-group=1"]
)
DOORMAN = Path(__file__).with_name("doorman.py")
HTTP = 8000


class Network:
    """A bridge in a namespace of its own, so that nothing of the machine's network is touched."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment
        self.hosts: list[Host] = []
        for tool in ("unshare", "nsenter", "setpriv", IP):
            if not shutil.which(tool):
                pytest.fail(f"the tests of several machines need `{tool}`: apt-get install util-linux iproute2")
        argv = ["unshare", *NEW_USER, "--net", "sh", "-c", "echo here; exec cat"]  # which reads until we end
        self._keeper = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )  # fmt: skip
        self.enter = _entered(self._keeper)
        self.ip("link", "add", "name", "lan", "type", "bridge")
        self.ip("link", "set", "lan", "up")

    def ip(self, *argv: str) -> None:
        done = subprocess.run([*self.enter, IP, *argv], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.fail(f"this kernel forbids what hosts are made of, `ip {' '.join(argv)}`: {done.stderr}")

    def host(self, name: str) -> "Host":
        number = len(self.hosts) + 1
        ours, theirs = socket.socketpair()
        argv = [*self.enter, "unshare", "--net", sys.executable, "-I", "-S", str(DOORMAN), str(theirs.fileno())]
        doorman = subprocess.Popen(
            argv, pass_fds=[theirs.fileno()], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )  # fmt: skip
        theirs.close()
        enter = _entered(doorman)
        made = Host(self, name, number, enter, ours, doorman)
        self.ip("link", "add", made.link, "type", "veth", "peer", "name", "eth0", "netns", str(doorman.pid))
        self.ip("link", "set", made.link, "master", "lan", "up")
        for argv in (("addr", "add", f"{made.address}/24", "dev", "eth0"), ("link", "set", "eth0", "up")):
            subprocess.run([*enter, IP, *argv], check=True)
        subprocess.run([*enter, IP, "link", "set", "lo", "up"], check=True)
        self.hosts.append(made)
        return made

    def end(self) -> None:
        for host in self.hosts:
            host.die()
            host.doorman.kill()
            host.doorman.wait()
        self._keeper.kill()
        self._keeper.wait()


def _entered(process: subprocess.Popen[bytes]) -> list[str]:
    """The beginning of commands that run in the process's new network, once it is there; they end with the test."""
    assert process.stdout is not None
    assert process.stderr is not None
    if not process.stdout.readline():
        pytest.fail(f"this kernel forbids network namespaces: {process.stderr.read().decode()}")
    return ["nsenter", *JOIN_USER, "--net", "-t", str(process.pid), "setpriv", "--pdeathsig", "KILL"]


@dataclass
class Host:
    """A machine: an address, a data folder, and what runs on it."""

    network: Network
    name: str
    number: int
    enter: list[str]
    door: socket.socket
    doorman: subprocess.Popen[bytes]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    at_door: threading.Lock = field(default_factory=threading.Lock)

    @property
    def address(self) -> str:
        return f"10.77.0.{self.number}"

    @property
    def link(self) -> str:
        return f"to-{self.number}"

    @property
    def data(self) -> Path:
        return self.network.folder / self.name

    def cut(self) -> None:
        """Nothing comes or goes any more, and nobody is told."""
        self.network.ip("link", "set", self.link, "down")

    def heal(self) -> None:
        self.network.ip("link", "set", self.link, "up")

    def die(self) -> None:
        """As by a power cut."""
        self.cut()
        for process in self.running.values():
            process.kill()
            process.wait()

    def start(self, *argv: str) -> subprocess.Popen[bytes]:
        """`citybrain ARGV` on this host, called by its first word."""
        command = [*self.enter, sys.executable, "-m", "citybrain", *argv]
        with (self.network.folder / f"{self.name}.log").open("ab") as log:
            self.running[argv[0]] = subprocess.Popen(command, env=self._environment(), stdout=log, stderr=log)
        return self.running[argv[0]]

    def launch(self, name: str, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self.network.folder / f"{self.name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen([*self.enter, *argv], stdout=log, stderr=log)
        return self.running[name]

    def socket(self, what: str, address: str, port: int) -> socket.socket:
        """`connect` or `listen`, from here."""
        with self.at_door:
            self.door.send(f"{what} {address} {port}".encode())
            said, made, _, _ = socket.recv_fds(self.door, 200, 1)
        if not made:
            raise ConnectionError(said.decode())
        found = socket.socket(fileno=made[0])
        found.settimeout(60)
        return found

    def _environment(self) -> dict[str, str]:
        own = {"CITYBRAIN_DATA": str(self.data), "CITYBRAIN_HOST": self.address, "CITYBRAIN_PORT": str(HTTP)}
        inherited = {name: text for name, text in os.environ.items() if not name.startswith("CITYBRAIN_")}
        return inherited | self.network.environment | own


class From(Api):
    """What somebody on the host `here` speaks with the API on the host `there`."""

    def __init__(self, here: Host, there: Host, admin_key: str) -> None:
        self.here, self.there, self.admin_key = here, there, admin_key

    def connection(self) -> http.client.HTTPConnection:
        made = http.client.HTTPConnection(self.there.address, HTTP)
        made.sock = self.here.socket("connect", self.there.address, HTTP)
        return made

    def is_ready(self) -> bool:
        try:
            return self.call("GET", "/readyz", key="").status == 200
        except (OSError, http.client.HTTPException):
            return False


class Record(Server):
    """PostgreSQL on a host. The test itself speaks with it through a socket file, which knows no networks."""

    def __init__(self, host: Host) -> None:
        super().__init__(listen_addresses=host.address)
        self._host = host
        with (self.folder / "data" / "pg_hba.conf").open("a") as out:
            out.write("host all all 10.77.0.0/24 trust\n")

    def start(self) -> None:
        settings = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        argv = [binaries() / "postgres", "-D", self.folder / "data", "-p", str(self.port), "-k", self.folder, *settings]
        self.process = self._host.launch("postgres", [*NOT_ROOT, *map(str, argv)])
        wait_until(self._answers)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}&port={self.port}"

    def url_on_hosts(self, database: str) -> str:
        return f"postgresql://postgres@{self._host.address}:{self.port}/{database}"

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self) -> Any:
        return psycopg.connect(f"host={self.folder} port={self.port} user=postgres dbname=postgres", autocommit=True)
