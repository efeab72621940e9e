"""The processes of an installation: each can be killed, frozen and started again; what should run is kept running."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

PR_SET_PDEATHSIG = 1
AGAIN_SECONDS = 0.5  # as soon as that somebody starts again what has ended: systemd, a kubelet


class Part:
    """One command line. `held` is not started again when it ends."""

    def __init__(self, name: str, argv: list[str], environment: dict[str, str], log: Path) -> None:
        self.name, self.argv, self.environment, self.log = name, argv, environment, log
        self.process: subprocess.Popen[bytes] | None = None
        self.held = False
        self._ended_at: float | None = None

    def start(self, **more: str) -> None:
        self.held, self._ended_at = False, None
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.argv, env=self.environment | more, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=_end_with_the_campaign,
            )  # fmt: skip

    def keep_running(self) -> None:
        """To be called now and then."""
        if self.held or self.process is None or self.process.poll() is None:
            return
        self._ended_at = self._ended_at or time.monotonic()
        if time.monotonic() - self._ended_at > AGAIN_SECONDS:
            self.start()

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()

    def stop(self, seconds: float = 15.0) -> None:
        """Politely; what does not hear is killed. It stays down until it is started."""
        self.held = True
        if self.process is None:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def children(self, command: str) -> list[int]:
        """The process ids of the children that run `citybrain COMMAND`."""
        if not self.is_running():
            return []
        with suppress(psutil.Error):
            return [each.pid for each in psutil.Process(self.pid).children() if each.cmdline()[-1:] == [command]]
        return []


def citybrain(*argv: str) -> list[str]:
    return [sys.executable, "-m", "citybrain", *argv]


def tell(pid: int, number: signal.Signals) -> None:
    """What is gone already needs to be told nothing."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _end_with_the_campaign() -> None:
    os.setpgrp()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
