"""The dispatch bell has rung: claims deliveries that are due and hands them to the sender, which runs beside the
worker on a loop of its own. A hanging endpoint holds its own lane, never the worker and never another endpoint."""

import asyncio
import logging
import random
import threading
import time
from collections import Counter
from functools import cache, lru_cache
from typing import Any
from urllib.parse import urlsplit

import uvloop
from sqlalchemy import Connection, select

from citybrain.dispatch.address import AllowList
from citybrain.dispatch.delivery import LEASE_MS, Attempt, anything_due, claim_due, give_back, settle
from citybrain.dispatch.pouch import Pouch
from citybrain.dispatch.sender import TIMEOUT_SECONDS, Outgoing, Sender
from citybrain.installation import Installation
from citybrain.queue import DISPATCH
from citybrain.store.claims import ClaimLost
from citybrain.store.database import StoreUnavailable
from citybrain.store.dispatch_tables import endpoints
from workers.process import installation

log = logging.getLogger(__name__)

IN_FLIGHT = 2_000
LANE = 32  # of them at most for one host that is new or failed last
WIDE_LANE = 1_000  # for one that answered: all that a batch makes, so that nothing of it has to be claimed again
GATHER_SECONDS = 0.05  # attempts are recorded this often at most; the first after a quiet moment at once
BEGIN_SECONDS = LEASE_MS / 1000 - TIMEOUT_SECONDS - 2.0  # what begins later might be sent by another worker too
STOP_SECONDS = 4.0

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
    """The sender's loop and what is in flight on it."""

    def __init__(self, here: Installation) -> None:
        self._here = here
        self._in_flight: Counter[str] = Counter()  # by host
        self._wide: set[str] = set()  # the hosts that answered last
        self._lock = threading.Lock()
        self._ended: list[tuple[str, Attempt]] = []
        self._loop = uvloop.new_event_loop()
        allow = AllowList.parse(",".join(here.config.webhook_allow))
        self._sender = Sender(allow, limit_per_host=LANE, clock=lambda: here.clock() / 1000)
        self._sending: set[asyncio.Task[None]] = set()  # a loop holds its tasks weakly
        self._recording: asyncio.Task[None] | None = None
        self._recorded_at = 0.0
        threading.Thread(target=self._loop.run_forever, name="post-room", daemon=True).start()

    def pouch(self) -> Pouch:
        """For the next transaction of the worker, which alone claims."""
        with self._lock:
            in_flight, total = self._in_flight.copy(), self._in_flight.total()

        def takes(url: str) -> bool:
            nonlocal total
            host = _host(url)
            if total >= IN_FLIGHT or in_flight[host] >= self._lane(host):
                return False
            in_flight[host] += 1
            total += 1
            return True

        return Pouch(takes)

    def send(self, pouch: Pouch) -> None:
        """After the transaction's commit."""
        if pouch.claimed:
            with self._lock:
                self._in_flight.update(_host(outgoing.url) for _, outgoing in pouch.claimed)
            self._loop.call_soon_threadsafe(self._send_all, pouch.claimed, pouch.begun + BEGIN_SECONDS)

    def claim(self) -> None:
        """Takes what is due, as far as there is room, and leaves the sending to the loop."""
        while (room := self._room()) > 0:
            with self._here.store.write() as tx:
                found = self._fitting(tx, claim_due(tx, self._full(tx), room))
            if not found:
                return
            self._loop.call_soon_threadsafe(self._send_all, found, time.monotonic() + BEGIN_SECONDS)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._sender.close(), self._loop).result(1)

    def size(self) -> int:
        with self._lock:
            return self._in_flight.total()

    def _room(self) -> int:
        """How many may be claimed so that they fit into the lane of any host that answered last and is not full."""
        with self._lock:
            fullest = max((number for host, number in self._in_flight.items() if not self._is_full(host)), default=0)
            return min(IN_FLIGHT - self._in_flight.total(), WIDE_LANE - fullest)

    def _fitting(self, tx: Connection, claimed: list[Claimed]) -> list[Claimed]:
        """Those for which their host has room; the others are given back at once."""
        with self._lock:
            fitting = [each for each in claimed if self._takes(_host(each[1].url))]
        kept = {row.id for row, _ in fitting}
        give_back(tx, [row for row, _ in claimed if row.id not in kept])
        return fitting

    def _takes(self, host: str) -> bool:
        if self._in_flight[host] >= self._lane(host):
            return False
        self._in_flight[host] += 1
        return True

    def _lane(self, host: str) -> int:
        return WIDE_LANE if host in self._wide else LANE

    def _is_full(self, host: str) -> bool:
        """More than half: a claim should be worth its transaction."""
        return self._in_flight[host] > self._lane(host) // 2

    def _full(self, tx: Connection) -> list[str]:
        """The endpoints of every host whose lane is full."""
        with self._lock:
            full = {host for host in self._in_flight if self._is_full(host)}
        known = tx.execute(select(endpoints.c.id, endpoints.c.url)) if full else ()
        return [endpoint_id for endpoint_id, url in known if _host(url) in full]

    def _send_all(self, claimed: list[Claimed], begin_by: float) -> None:
        for row, outgoing in claimed:
            task = self._loop.create_task(self._send(row, outgoing, begin_by))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _send(self, row: Any, outgoing: Outgoing, begin_by: float) -> None:
        outcome = await self._sender.send(outgoing, begin_by)
        at = self._here.clock() - round(outcome.duration_ms)
        self._ended.append((_host(outgoing.url), Attempt(row, outcome, at)))
        if self._recording is None or self._recording.done():
            self._recording = self._loop.create_task(self._record())

    async def _record(self) -> None:
        """One transaction for all attempts that ended while the last one was written."""
        while self._ended:
            await asyncio.sleep(self._recorded_at + GATHER_SECONDS - self._loop.time())
            batch, self._ended = self._ended, []
            self._recorded_at = self._loop.time()
            more = await asyncio.to_thread(self._settle, [attempt for _, attempt in batch])
            failed = {host for host, attempt in batch if attempt.outcome.kind != "delivered"}
            with self._lock:
                self._wide = (self._wide | {host for host, _ in batch}) - failed
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


@lru_cache(maxsize=10_000)
def _host(url: str) -> str:
    return urlsplit(url).netloc
