"""Writes down when each key was used last, now and then and not with every request."""

import logging
import threading

from citybrain.keyring import Keyring
from citybrain.keys import record_uses
from citybrain.store.database import Store, StoreUnavailable

log = logging.getLogger(__name__)

SECONDS = 30.0
STOP_SECONDS = 1.0  # for the last of it: a store that is locked for longer keeps nobody from stopping


class Uses:
    """A thread of its own: nobody who asks waits for it. What a crash loses is told by the next use."""

    def __init__(self, store: Store, keyring: Keyring) -> None:
        self._store, self._keyring, self._stop = store, keyring, threading.Event()
        self._thread = threading.Thread(target=self._run, name="key uses", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._stop.wait(SECONDS):
            self._write()
        self._write()

    def _write(self) -> None:
        used = self._keyring.take_uses()
        if not used:
            return
        try:
            with self._store.write() as tx:
                record_uses(tx, used)
        except StoreUnavailable as error:
            log.warning("when keys were used last cannot be written down now: %s", error)
