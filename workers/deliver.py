"""The dispatch bell has rung: claims deliveries that are due and hands them to the sender, which runs beside the
worker on a loop of its own. A hanging endpoint holds its own lane, never the worker and never another endpoint."""

import asyncio
import logging
import random
import threading
import time
from collections import Counter
from functools import cache
from typing import Any

import uvloop
from sqlalchemy import Row

from citybrain.dispatch.address import AllowList
from citybrain.dispatch.delivery import Attempt, anything_due, claim_due, settle
from citybrain.dispatch.sender import Outgoing, Sender
from citybrain.installation import Installation
from citybrain.queue import DISPATCH
from citybrain.store.claims import ClaimLost
from citybrain.store.database import StoreUnavailable
from workers.process import installation

log = logging.getLogger(__name__)

IN_FLIGHT = 256
LANE = 32  # of them at most for one endpoint
STOP_SECONDS = 4.0


def deliver() -> None:
    post_room().claim()


@cache
def post_room() -> "PostRoom":
    return PostRoom(installation())


def drain() -> None:
    """At the end of a worker: lets what is in flight arrive and be recorded, for a few seconds."""
    ends = time.monotonic() + STOP_SECONDS
    while post_room.cache_info().currsize and post_room().size() and time.monotonic() < ends:
        time.sleep(0.02)


class PostRoom:
    """The sender's loop and what is in flight on it."""

    def __init__(self, here: Installation) -> None:
        self._here = here
        self._in_flight: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._ended: list[Attempt] = []
        self._loop = uvloop.new_event_loop()
        self._sender = Sender(AllowList.parse(",".join(here.config.webhook_allow)), limit_per_host=LANE)
        self._recording: asyncio.Task[None] | None = None
        threading.Thread(target=self._loop.run_forever, name="post-room", daemon=True).start()

    def claim(self) -> None:
        """Takes what is due, as far as there is room, and leaves the sending to the loop."""
        while (room := IN_FLIGHT - self.size()) > 0:
            with self._here.store.write() as tx:
                found = claim_due(tx, self._busy(), min(room, LANE))
            if not found:
                return
            with self._lock:
                self._in_flight.update(row.endpoint_id for row, _ in found)
            for row, outgoing in found:
                asyncio.run_coroutine_threadsafe(self._send(row, outgoing), self._loop)

    def size(self) -> int:
        with self._lock:
            return self._in_flight.total()

    def _busy(self) -> list[str]:
        with self._lock:
            return [endpoint for endpoint, number in self._in_flight.items() if number >= LANE]

    async def _send(self, row: Row[Any], outgoing: Outgoing) -> None:
        at = self._here.clock()
        outcome = await self._sender.send(outgoing)
        self._ended.append(Attempt(row, outcome, at))
        if self._recording is None or self._recording.done():
            self._recording = asyncio.ensure_future(self._record())

    async def _record(self) -> None:
        """One transaction for all attempts that ended while the last one was written."""
        while self._ended:
            batch, self._ended = self._ended, []
            more = await asyncio.to_thread(self._settle, batch)
            with self._lock:
                self._in_flight.subtract(each.delivery.endpoint_id for each in batch)
                self._in_flight += Counter()  # drops what fell to zero
            if more:
                self._here.ringer.ring(DISPATCH)

    def _settle(self, batch: list[Attempt]) -> bool:
        """Returns whether more is due. What cannot be recorded is sent again when its lease has ended."""
        rng = random.Random()  # noqa: S311 - jitter
        try:
            with self._here.store.write() as tx:
                settle(tx, batch, self._here.clock(), rng)
                return anything_due(tx)
        except ClaimLost:
            if len(batch) > 1:
                return any([self._settle([each]) for each in batch])
            log.warning("delivery %s was claimed by another worker meanwhile", batch[0].delivery.id)
        except StoreUnavailable as error:
            log.warning("%d attempts could not be recorded: %s", len(batch), error)
        return False
