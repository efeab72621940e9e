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


class Writers:
    """One at a time, of all that name the same `database`. Whoever takes no part in this is kept apart by SQLite's own
    lock.

    Two locks, since whoever ends a turn is quicker to begin the next one than the system to wake who waits for it: the
    first in the queue holds `_next`, at an empty file, until the turn is its own.
    """

    def __init__(self, database: Path) -> None:
        self._turn = os.open(database.parent, os.O_RDONLY)
        self._next = os.open(f"{database}-next", os.O_RDONLY | os.O_CREAT, 0o644)
        for each in (self._turn, self._next):
            weakref.finalize(self, os.close, each)
        self._here = threading.Lock()
        self._queue = ThreadPoolExecutor(1, "writers")  # waits in the system's queue, which knows no time limit

    @contextmanager
    def turn(self, seconds: float) -> Iterator[None]:
        """Raises TimeoutError if it does not come within `seconds`."""
        ends = time.monotonic() + seconds
        if not self._here.acquire(timeout=seconds):
            raise TimeoutError("another writer of this process does not end")
        try:
            self._take(ends)
            try:
                yield
            finally:
                self._leave()
        finally:
            self._here.release()

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
