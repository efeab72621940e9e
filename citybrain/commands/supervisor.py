"""`citybrain up`: broker, API, workers and patrol as child processes of one supervisor that restarts what dies."""

import ctypes
import errno
import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from citybrain import broker
from citybrain.config import Config

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
HEAD_START_SECONDS = 5.0  # at most, for the API: whoever reports at once is answered, the record waits for the workers
GRACE_SECONDS = 7.0  # then SIGKILL; the broker follows the others, and all is over within ten seconds
BROKER_GRACE_SECONDS = 2.0
LONGEST_PAUSE = 10.0
SETTLED_SECONDS = 30.0  # a child that lived this long starts again at once
PR_SET_PDEATHSIG = 1


class AlreadyRunning(Exception):
    """Another supervisor works on this data folder."""


@dataclass
class Child:
    """One part that is kept running; `start` makes its process."""

    name: str
    start: Callable[[], subprocess.Popen[bytes]]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    again_at: float = 0.0  # at the latest
    after: threading.Event | None = None  # or when this is set, if that is sooner
    pause: float = 0.2

    def look(self, now: float) -> None:
        if self.process is not None and self.process.poll() is not None:
            lived = now - self.started_at
            self.pause = 0.2 if lived > SETTLED_SECONDS else min(self.pause * 2, LONGEST_PAUSE)
            log.warning(
                "%s ended (%s) after %.0f s; again in %.1f s", self.name, self.process.returncode, lived, self.pause
            )
            self.process, self.again_at = None, now + self.pause
        if self.process is None and (now >= self.again_at or self._may_start()):
            self.after = None
            self.started_at = now
            try:
                self.process = self.start()
            except (OSError, broker.BrokerError) as error:
                log.error("%s does not start: %s", self.name, error)
                self.pause = min(self.pause * 2, LONGEST_PAUSE)
                self.again_at = now + self.pause

    def _may_start(self) -> bool:
        return self.after is not None and self.after.is_set()


@dataclass
class Supervisor:
    config: Config
    say: Callable[[str], None]
    guidance: Sequence[str] = ()  # said after the address, once it answers
    children: list[Child] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    ready: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Until a signal; raises AlreadyRunning, BrokerError, or what keeps the store from being opened."""
        with lock(self.config.data):
            _refuse_taken(self.config.host, self.config.port)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: self.stop.set())
            started, where = broker.start(self.config.data, self.config.redis_url)
            config = replace(self.config, redis_url=where.url)
            if started is not None:
                self.children.append(Child("broker", self._broker, started, time.monotonic()))
            self.children += _parts(config, self.ready)
            try:
                threading.Thread(target=self._announce, daemon=True).start()
                while not self.stop.is_set():
                    for child in self.children:
                        child.look(time.monotonic())
                    time.sleep(LOOK_SECONDS)  # not stop.wait(): a signal handler must not meet its own lock
            finally:
                end([child for child in self.children if child.name != "broker"], GRACE_SECONDS)
                end([child for child in self.children if child.name == "broker"], BROKER_GRACE_SECONDS)

    def _broker(self) -> subprocess.Popen[bytes]:
        process, _ = broker.start(self.config.data, self.config.redis_url)
        if process is None:
            raise broker.BrokerError("the broker is somebody else's")
        return process

    def _announce(self) -> None:
        url = f"http://{self.config.host}:{self.config.port}"
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever proxy the environment names
        while not self.stop.is_set():
            try:
                with direct.open(f"{url}/readyz", timeout=2):
                    for line in (f"ready {url}", *self.guidance):
                        self.say(line)
                    self.ready.set()
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)


def end(children: list[Child], grace: float) -> None:
    """Asks all to stop at once, and kills what has not stopped in time."""
    running = [child.process for child in children if child.process is not None and child.process.poll() is None]
    for process in running:
        process.terminate()
    ends = time.monotonic() + grace
    for process in running:
        try:
            process.wait(max(0.1, ends - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def lock(data: Path) -> Iterator[None]:
    """One supervisor a data folder; the lock ends with its process, however that ends."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (data / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise AlreadyRunning(
                f"another `citybrain up` runs on {data}; stop it, or give --data another folder"
            ) from None
        file.write(str(os.getpid()))
        file.flush()
        yield


def _refuse_taken(host: str, port: int) -> None:
    """Who answers at the address of another program would be taken for our own."""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise AlreadyRunning(
            f"{host}:{port} cannot be listened at ({error.strerror}): give --port or --host another value"
        ) from None


def _parts(config: Config, ready: threading.Event) -> list[Child]:
    commands = [("api", "serve"), *((f"worker-{number + 1}", "work") for number in range(config.workers))]
    commands.append(("patrol", "patrol"))
    if config.demo:
        commands.append(("demo", "demo"))
    later = time.monotonic() + HEAD_START_SECONDS
    api, *others = (Child(name, _starter(command, config)) for name, command in commands)
    for child in others:
        child.again_at, child.after = later, ready
    return [api, *others]


def _starter(command: str, config: Config) -> Callable[[], subprocess.Popen[bytes]]:
    def start() -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "citybrain", command]
        return subprocess.Popen(argv, env=config.environment(), stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent)

    return start


def _die_with_parent() -> None:
    """A killed supervisor leaves nobody behind (Linux). Ctrl-C reaches the supervisor alone, which asks politely."""
    os.setpgrp()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
