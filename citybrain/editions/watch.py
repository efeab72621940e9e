"""Keeps an API process on the edition in use: asks the store once a second, takes up another one between batches."""

import logging
import threading

from citybrain.installation import Installation
from citybrain.store.database import StoreUnavailable

log = logging.getLogger(__name__)

SECONDS = 1.0


class Watch:
    """A thread of its own. While the store does not answer, the ground stays what it is."""

    def __init__(self, here: Installation) -> None:
        self._here, self._stop = here, threading.Event()
        self._thread = threading.Thread(target=self._run, name="editions", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(SECONDS):
            try:
                self._here.take_up()
            except StoreUnavailable as error:
                log.warning("which edition is in use cannot be asked now: %s", error)
            except Exception:
                log.exception("the edition in use could not be taken up; tried again in %.0f s", SECONDS)
