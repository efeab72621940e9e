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
from urllib.parse import urlsplit

import uvloop
from sqlalchemy import Connection, Row, select

from citybrain.dispatch.address import AllowList
from citybrain.dispatch.delivery import Attempt, anything_due, claim_due, settle
from citybrain.dispatch.sender import Outgoing, Sender
from citybrain.installation import Installation
from citybrain.queue import DISPATCH
from citybrain.store.claims import ClaimLost
from citybrain.store.database import StoreUnavailable
from citybrain.store.tables import endpoints
from workers.process import installation

log = logging.getLogger(__name__)

IN_FLIGHT = 256
LANE = 32  # of them at most for one host, so that none waits for a slow host longer than its lease
LEAST = 8  # a host with less room than this left is passed over
STOP_SECONDS = 4.0


def deliver() -> None:
    post_room().claim()


@cache
def post_room() -> "PostRoom":
    return PostRoom(installation())


def drain() -> None:
    """At the end of a worker: lets what is in flight arrive and be recorded, for a few seconds."""
    if not post_room.cache_info().currsize:
        return
    ends = time.monotonic() + STOP_SECONDS
    while post_room().size():
        if time.monotonic() > ends:
            return  # what is in flight is sent again when its lease has ended
        time.sleep(0.02)
    post_room().close()


class PostRoom:
    """The sender's loop and what is in flight on it."""

    def __init__(self, here: Installation) -> None:
        self._here = here
        self._in_flight: Counter[str] = Counter()  # by host
        self._lock = threading.Lock()
        self._ended: list[tuple[str, Attempt]] = []
        self._loop = uvloop.new_event_loop()
        self._sender = Sender(AllowList.parse(",".join(here.config.webhook_allow)), limit_per_host=LANE)
        self._recording: asyncio.Task[None] | None = None
        threading.Thread(target=self._loop.run_forever, name="post-room", daemon=True).start()

    def claim(self) -> None:
        """Takes what is due, as far as there is room, and leaves the sending to the loop."""
        while (room := self._room()) > 0:
            with self._here.store.write() as tx:
                found = claim_due(tx, self._busy(tx), room)
            if not found:
                return
            with self._lock:
                self._in_flight.update(_host(outgoing.url) for _, outgoing in found)
            for row, outgoing in found:
                asyncio.run_coroutine_threadsafe(self._send(row, outgoing), self._loop)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._sender.close(), self._loop).result(1)

    def size(self) -> int:
        with self._lock:
            return self._in_flight.total()

    def _room(self) -> int:
        """How many may be claimed so that they fit into the lane of any host that is not passed over."""
        with self._lock:
            fullest = max((number for number in self._in_flight.values() if number <= LANE - LEAST), default=0)
            return min(IN_FLIGHT - self._in_flight.total(), LANE - fullest)

    def _busy(self, tx: Connection) -> list[str]:
        """The endpoints of every host whose lane is full or nearly so."""
        with self._lock:
            full = {host for host, number in self._in_flight.items() if number > LANE - LEAST}
        known = tx.execute(select(endpoints.c.id, endpoints.c.url)) if full else ()
        return [endpoint_id for endpoint_id, url in known if _host(url) in full]

    async def _send(self, row: Row[Any], outgoing: Outgoing) -> None:
        at = self._here.clock()
        outcome = await self._sender.send(outgoing)
        self._ended.append((_host(outgoing.url), Attempt(row, outcome, at)))
        if self._recording is None or self._recording.done():
            self._recording = asyncio.ensure_future(self._record())

    async def _record(self) -> None:
        """One transaction for all attempts that ended while the last one was written."""
        while self._ended:
            batch, self._ended = self._ended, []
            more = await asyncio.to_thread(self._settle, [attempt for _, attempt in batch])
            with self._lock:
                self._in_flight.subtract(host for host, _ in batch)
                self._in_flight += Counter()  # drops what fell to zero
            if more:
                self._here.ringer.ring(DISPATCH)

    def _settle(self, batch: list[Attempt]) -> bool:
        """Returns whether more is due. What cannot be recorded is sent again when its lease has ended."""
        rng = random.Random()  # noqa: S311 - jitter
        try:
            self._here.store.transact(lambda tx: settle(tx, batch, self._here.clock(), rng))
            with self._here.store.read() as tx:
                return anything_due(tx)
        except ClaimLost:
            if len(batch) > 1:
                settled = [self._settle([each]) for each in batch]  # all of them, whatever the first one says
                return any(settled)
            log.warning("delivery %s was claimed by another worker meanwhile", batch[0].delivery.id)
        except StoreUnavailable as error:
            log.warning("%d attempts could not be recorded: %s", len(batch), error)
        except Exception:  # whatever it is, the places in flight must be given back
            log.exception("%d attempts could not be recorded", len(batch))
        return False


def _host(url: str) -> str:
    return urlsplit(url).netloc
