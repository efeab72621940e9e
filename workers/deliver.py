"""The dispatch bell has rung: claims deliveries that are due and hands them to the sender, which runs beside the
worker on a loop of its own. A hanging endpoint holds its own lane, never the worker and never another endpoint."""

import asyncio
import logging
import os
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import uvloop

from citybrain.dispatch.address import AllowList
from citybrain.dispatch.delivery import LEASE_MS, Attempt, anything_due, claim_due, settle
from citybrain.dispatch.lane import Lane
from citybrain.dispatch.pouch import Pouch
from citybrain.dispatch.sender import LATE, TIMEOUT_SECONDS, Outgoing, Sender
from citybrain.dispatch.turns import Turns
from citybrain.installation import Installation
from citybrain.queue import DISPATCH
from citybrain.store.claims import ClaimLost
from citybrain.store.database import StoreUnavailable
from workers.process import installation

log = logging.getLogger(__name__)

IN_FLIGHT = 2_000  # in one worker; the grave ones beyond
GATHER_SECONDS = 0.05  # attempts are recorded this often at most; the first after a quiet moment at once
BEGIN_SECONDS = LEASE_MS / 1000 - TIMEOUT_SECONDS - 2.0  # what begins later might be sent by another worker too
STOP_SECONDS = 4.0
NAMES_AT_ONCE = 64

Claimed = tuple[Any, Outgoing]  # a row, or a `Claim`


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
    """The sender's loop and the lanes on it, one for each endpoint."""

    def __init__(self, here: Installation) -> None:
        self._here = here
        self._lanes: defaultdict[str, Lane] = defaultdict(Lane)
        self._lock = threading.Lock()  # of what the lanes have claimed: the worker claims, the loop sends
        self._breaker = here.city.file.webhooks.breaker
        self._turns = Turns()
        self._ended: list[Attempt] = []
        # Names whose servers are silent hold a thread each; libuv has four, and reads this at its first look-up.
        os.environ.setdefault("UV_THREADPOOL_SIZE", str(NAMES_AT_ONCE))
        self._recorder = ThreadPoolExecutor(1, "recorder")
        self._loop = uvloop.new_event_loop()
        allow = AllowList.parse(",".join(here.config.webhook_allow))
        self._sender = Sender(allow, clock=lambda: here.clock() / 1000)
        self._sending: set[asyncio.Task[None]] = set()  # a loop holds its tasks weakly
        self._recording: asyncio.Task[None] | None = None
        self._recorded_at = 0.0
        threading.Thread(target=self._loop.run_forever, name="post-room", daemon=True).start()

    def pouch(self) -> Pouch:
        """For the next transaction of the worker, which alone claims."""
        left, taken = IN_FLIGHT - self.size(), Counter[str]()

        def takes(endpoint_id: str) -> bool:
            if taken.total() >= left or self._room(endpoint_id, False) <= taken[endpoint_id]:
                return False
            taken[endpoint_id] += 1
            return True

        return Pouch(takes)

    def send(self, pouch: Pouch) -> None:
        """After the transaction's commit."""
        self._take(pouch.claimed, pouch.begun + BEGIN_SECONDS)

    def claim(self) -> None:
        """Takes what is due, as far as there is room, and leaves the sending to the loop."""
        while True:
            with self._here.store.write() as tx:
                begun = time.monotonic()  # the leases begin later, however long the commit may take
                found = claim_due(tx, self._turns, self._room, IN_FLIGHT - self.size())
            if not found:
                return
            self._take(found, begun + BEGIN_SECONDS)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._sender.close(), self._loop).result(1)

    def size(self) -> int:
        with self._lock:
            return sum(lane.claimed for lane in self._lanes.values())

    def _room(self, endpoint_id: str, grave: bool) -> int:
        with self._lock:
            return self._lanes[endpoint_id].room(grave)

    def _take(self, claimed: Sequence[Claimed], begin_by: float) -> None:
        if not claimed:
            return
        with self._lock:
            for row, _ in claimed:
                self._lanes[row.endpoint_id].claimed += 1
        self._loop.call_soon_threadsafe(self._line_up, claimed, begin_by)

    def _line_up(self, claimed: Sequence[Claimed], begin_by: float) -> None:
        for row, outgoing in claimed:
            self._lanes[row.endpoint_id].add(row.grade, (row, outgoing, begin_by))
        for endpoint_id in {row.endpoint_id for row, _ in claimed}:
            self._send_next(endpoint_id)

    def _send_next(self, endpoint_id: str) -> None:
        while item := self._lanes[endpoint_id].next():
            task = self._loop.create_task(self._send(*item))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _send(self, row: Any, outgoing: Outgoing, begin_by: float) -> None:
        outcome = await self._sender.send(outgoing, begin_by)
        lane = self._lanes[row.endpoint_id]
        lane.ended(outcome)
        self._ended.append(Attempt(row, outcome, self._here.clock() - round(outcome.duration_ms)))
        if outcome.retry_after or lane.silent >= self._breaker.failures:  # its gate closes with this record
            self._ended += [Attempt(waiting, LATE, self._here.clock()) for waiting, _, _ in lane.clear()]
        self._send_next(row.endpoint_id)
        if self._recording is None or self._recording.done():
            self._recording = self._loop.create_task(self._record())

    async def _record(self) -> None:
        """One transaction for all attempts that ended while the last one was written."""
        while self._ended:
            await asyncio.sleep(self._recorded_at + GATHER_SECONDS - self._loop.time())
            batch, self._ended = self._ended, []
            self._recorded_at = self._loop.time()
            more = await self._loop.run_in_executor(self._recorder, self._settle, batch)
            with self._lock:
                for attempt in batch:
                    self._lanes[attempt.delivery.endpoint_id].claimed -= 1
            if more:
                self._here.ringer.ring(DISPATCH)

    def _settle(self, batch: list[Attempt]) -> bool:
        """Returns whether more is due. What cannot be recorded is sent again when its lease has ended."""
        rng = random.Random()  # noqa: S311 - jitter
        try:
            self._here.store.transact(lambda tx: settle(tx, batch, self._here.clock(), rng, self._breaker))
            with self._here.store.read() as tx:
                return anything_due(tx)
        except ClaimLost:
            if len(batch) > 1:
                settled = [self._settle([each]) for each in batch]  # all of them, whatever the first one says
                return any(settled)
            only = batch[0].delivery.id
            log.warning("delivery %s was claimed by another worker meanwhile", only, extra={"delivery": only})
        except StoreUnavailable as error:
            log.warning("%d attempts could not be recorded: %s", len(batch), error)
        except Exception:  # whatever it is, the places in flight must be given back
            log.exception("%d attempts could not be recorded", len(batch))
        return False
