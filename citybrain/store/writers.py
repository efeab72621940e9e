"""Who may write to SQLite next: threads of one process take turns at a lock, processes at the folder of the database.
The system wakes who waits and frees what a dead process held; asking SQLite itself costs a wake-up every millisecond.
"""

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
    """One at a time, of all that name the same `folder`. Whoever takes no part in this is kept apart by SQLite's own
    lock."""

    def __init__(self, folder: Path) -> None:
        self._folder = os.open(folder, os.O_RDONLY)
        weakref.finalize(self, os.close, self._folder)
        self._here = threading.Lock()
        self._waiting = ThreadPoolExecutor(1, "writers")  # waits in the system's queue, which knows no time limit

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
                fcntl.flock(self._folder, fcntl.LOCK_UN)
        finally:
            self._here.release()

    def _take(self, ends: float) -> None:
        try:
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            turn = self._waiting.submit(fcntl.flock, self._folder, fcntl.LOCK_EX)
            try:
                turn.result(max(ends - time.monotonic(), 0))
            except TimeoutError:
                if not turn.cancel():
                    turn.add_done_callback(lambda _: fcntl.flock(self._folder, fcntl.LOCK_UN))
                raise TimeoutError("a writer of another process does not end") from None
