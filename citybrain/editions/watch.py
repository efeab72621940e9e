"""Keeps an API process on the edition in use: asks the store once a second, takes up another one between batches."""

import logging
import threading
from collections.abc import Callable

from citybrain.installation import Installation
from citybrain.store.database import StoreUnavailable

log = logging.getLogger(__name__)

SECONDS = 1.0


class Watch:
    """A thread of its own. While the store does not answer, the ground stays what it is. `taken` is called at the start
    and after each change, to make ready what others will ask of the ground."""

    def __init__(self, here: Installation, taken: Callable[[Installation], None]) -> None:
        self._here, self._taken, self._stop = here, taken, threading.Event()
        self._thread = threading.Thread(target=self._run, name="editions", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        ready = ""
        while True:
            try:
                if ready != (present := self._here.locator.edition.id):
                    ready = present
                    self._taken(self._here)
                if self._stop.wait(SECONDS):
                    return
                self._here.take_up()
            except StoreUnavailable as error:
                log.warning("which edition is in use cannot be asked now: %s", error)
            except Exception:
                log.exception("the edition in use could not be taken up; tried again in %.0f s", SECONDS)
