"""Who may write to SQLite next: threads of one process take turns in it, processes at locks of the system, which wakes
who waits and frees what a dead process held; asking SQLite itself costs a wake-up every millisecond."""

import fcntl
import os
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

TURN_SECONDS = 0.05


class Writers:
    """One at a time, of all that name the same `database`. Whoever takes no part in this is kept apart by SQLite's own
    lock.

    A process keeps its turn for a moment while more of its threads wait: an API with many short transactions would
    otherwise do one of them between two long ones of a worker.

    Two locks, since whoever ends a turn is quicker to begin the next one than the system to wake who waits for it: the
    first in the queue holds `_next`, at an empty file, until the turn is its own.
    """

    def __init__(self, database: Path) -> None:
        self._turn = os.open(database.parent, os.O_RDONLY)
        self._next = os.open(f"{database}-next", os.O_RDONLY | os.O_CREAT, 0o644)
        for each in (self._turn, self._next):
            weakref.finalize(self, os.close, each)
        self._here = threading.Condition()
        self._busy = self._kept = False  # a thread writes; the process has its turn although none does
        self._waiting, self._since = 0, 0.0
        self._queue = ThreadPoolExecutor(1, "writers")  # waits in the system's queue, which knows no time limit

    @contextmanager
    def turn(self, seconds: float) -> Iterator[None]:
        """Raises TimeoutError if it does not come within `seconds`."""
        ends = time.monotonic() + seconds
        self._begin(seconds)
        try:
            if not self._kept:
                self._take(ends)
                self._since, self._kept = time.monotonic(), True
            yield
        finally:
            self._end()

    def _begin(self, seconds: float) -> None:
        with self._here:
            self._waiting += 1
            free = self._here.wait_for(lambda: not self._busy, seconds)
            self._waiting -= 1
            if not free:
                raise TimeoutError("another writer of this process does not end")
            self._busy = True

    def _end(self) -> None:
        """Whoever waits here finds the turn kept, or has to queue for the next one."""
        with self._here:
            more = self._waiting and time.monotonic() - self._since < TURN_SECONDS
            if self._kept and not more:
                self._kept = False
                self._leave()
            self._busy = False
            self._here.notify()

    def _take(self, ends: float) -> None:
        try:
            self._stand_in_line(fcntl.LOCK_NB)
        except BlockingIOError:
            turn = self._queue.submit(self._stand_in_line)
            try:
                turn.result(max(ends - time.monotonic(), 0))
            except TimeoutError:
                if not turn.cancel():
                    turn.add_done_callback(lambda _: self._leave())
                raise TimeoutError("a writer of another process does not end") from None

    def _stand_in_line(self, how: int = 0) -> None:
        fcntl.flock(self._next, fcntl.LOCK_EX | how)
        try:
            fcntl.flock(self._turn, fcntl.LOCK_EX | how)
        finally:
            fcntl.flock(self._next, fcntl.LOCK_UN)

    def _leave(self) -> None:
        fcntl.flock(self._turn, fcntl.LOCK_UN)
