"""One durable commit shared by concurrent requests: while one batch is being written, the next one gathers."""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence

from citybrain.intake.filing import Filing, Receipt
from citybrain.store.database import StoreUnavailable

AT_ONCE = 1_000  # filings in one transaction
BACKLOG = 20_000  # filings that wait at most; more is refused before memory is at risk
OF_BATCHES = 18_000  # and so many of batches: single reports still find a place

Waiting = tuple[Sequence[Filing], asyncio.AbstractEventLoop, "asyncio.Future[list[Receipt]]"]

Answer = tuple["asyncio.Future[list[Receipt]]", list[Receipt]]


class Overloaded(Exception):
    """More is waiting than should; nothing of this was kept."""


class Committer:
    """`file` writes a batch and returns its receipts; it runs in one thread of its own."""

    def __init__(self, file: Callable[[Sequence[Filing]], list[Receipt]]) -> None:
        self._file = file
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._waiting = 0
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    async def commit(self, filings: Sequence[Filing]) -> list[Receipt]:
        """Returns when these filings are on disk; raises what kept them from it."""
        if self._waiting + len(filings) > (BACKLOG if len(filings) == 1 else OF_BATCHES):
            raise Overloaded
        self._waiting += len(filings)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Receipt]] = loop.create_future()
        self._queue.put((filings, loop, future))
        try:
            return await future
        finally:
            self._waiting -= len(filings)

    def close(self) -> None:
        """Writes what somebody still waits for, then ends."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, size, ended = [first], len(first[0]), False
            while size < AT_ONCE:
                try:
                    more = self._queue.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    ended = True
                    break
                batch.append(more)
                size += len(more[0])
            self._write(batch)
            if ended:
                return

    def _write(self, batch: list[Waiting]) -> None:
        batch = [each for each in batch if not each[2].done()]  # a request that was cancelled was told to send again
        if not batch:
            return
        try:
            receipts = self._file([filing for filings, _, _ in batch for filing in filings])
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, StoreUnavailable):  # one request's fault is not the others'
                for each in batch:
                    self._write([each])
                return
            for _, loop, future in batch:
                loop.call_soon_threadsafe(_fail, future, error)
            return
        start = 0
        answers: dict[asyncio.AbstractEventLoop, list[Answer]] = {}
        for filings, loop, future in batch:
            answers.setdefault(loop, []).append((future, receipts[start : start + len(filings)]))
            start += len(filings)
        for loop, its in answers.items():  # waking a loop costs as much as an answer
            loop.call_soon_threadsafe(_answer, its)


def _answer(answers: Sequence[Answer]) -> None:
    for future, receipts in answers:
        if not future.done():
            future.set_result(receipts)


def _fail(future: "asyncio.Future[list[Receipt]]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
