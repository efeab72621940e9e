"""What time it is for a process that runs for long: the store's, whatever this machine's clock says.

Leases are judged by the database's clock, and so is what is due. A worker whose own clock is ten minutes ahead would
write messages that are due in ten minutes; one that is behind would use up their tries within seconds.
"""

import logging
import threading
from contextlib import suppress

from sqlalchemy import select

from citybrain import clock
from citybrain.clock import Clock
from citybrain.store.database import Store, StoreUnavailable, now_ms

log = logging.getLogger(__name__)

COMPARE_SECONDS = 60.0
TOLERATED_MS = 2_000  # asking takes time, and a clock that hops about is worse than one that is a little wrong


class StoreClock:
    """A clock: this machine's, set right by how far it is off. `own` is this machine's."""

    def __init__(self, store: Store, own: Clock = clock.now_ms) -> None:
        self._store, self._own = store, own
        self._ahead = 0

    def __call__(self) -> int:
        return self._own() - self._ahead

    def compare(self) -> None:
        """Raises StoreUnavailable."""
        with self._store.read() as tx:
            begun = self._own()
            theirs = tx.execute(select(now_ms())).scalar_one()
            ended = self._own()
        ahead = (begun + ended) // 2 - theirs
        before, self._ahead = self._ahead, ahead if abs(ahead) > max(TOLERATED_MS, ended - begun) else 0
        if abs(self._ahead - before) > TOLERATED_MS:
            log.warning("this machine's clock is %+.0f s off the store's, which is taken", ahead / 1000)

    def keep(self) -> None:
        """Compares now and, beside the process's work, every minute from now on."""
        with suppress(StoreUnavailable):
            self.compare()
        threading.Thread(target=self._keep, name="timekeeper", daemon=True).start()

    def _keep(self) -> None:
        pause = threading.Event()
        while not pause.wait(COMPARE_SECONDS):
            with suppress(StoreUnavailable):
                self.compare()
