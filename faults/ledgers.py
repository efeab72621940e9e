"""The two ledgers that the outside keeps: what its clients were told, and what its receivers were sent.

Lines of text, appended before anything follows from them, so that they can be compared with the store's own two ledgers
by whoever does not trust the campaign's memory.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

FSYNC_SECONDS = 0.1


class Ledger:
    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1 << 16)
        self._dirty = False

    def add(self, *words: object) -> None:
        """One line: the time in ms, and the words, none of which has a space."""
        print(time.time_ns() // 1_000_000, *words, file=self._file)
        self._dirty = True

    def flush(self) -> None:
        """Now in the hands of the operating system: it survives the death of this process."""
        self._file.flush()

    async def keep_on_disk(self) -> None:
        """Until it is cancelled: as a client with a disk of its own would, beside its work."""
        while True:
            await asyncio.sleep(FSYNC_SECONDS)
            if self._dirty:
                self._dirty = False
                self._file.flush()
                await asyncio.to_thread(os.fsync, self._file.fileno())

    def close(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def lines(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield line.split()
