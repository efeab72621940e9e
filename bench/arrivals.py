"""When each event's webhook came: written by the receiver, read by the bench, through a file both have in memory."""

from pathlib import Path
from typing import Literal

import numpy as np

COUNTS = ("messages", "distinct", "forged")


class Arrivals:
    """`times` holds, by event number, when its first webhook had been read (time.monotonic, 0: not yet); `counts` what
    the receiver counted: all messages, distinct webhook-ids, signatures that do not fit."""

    def __init__(self, path: Path, events: int) -> None:
        mode: Literal["r+", "w+"] = "r+" if path.exists() else "w+"
        whole = np.memmap(path, np.float64, mode, shape=(len(COUNTS) + events,))
        self._counts, self.times = whole[: len(COUNTS)], whole[len(COUNTS) :]

    def count(self, what: str, number: int = 1) -> None:
        self._counts[COUNTS.index(what)] += number

    def counted(self, what: str) -> int:
        return int(self._counts[COUNTS.index(what)])

    def arrived(self, first: int, last: int) -> int:
        """How many of the events first … last-1 have arrived."""
        return int(np.count_nonzero(self.times[first:last]))
