"""The campaign: what is broken when, by a seed; how each breakage is healed and what must hold afterwards."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from citybrain.store.database import StoreUnavailable
from faults.checker import SOURCE, Findings, check
from faults.installation import READY_SECONDS, Installation
from faults.kinds import KINDS, Kind, NotReached
from faults.kinds.broker import wiped
from faults.ledgers import Ledger
from faults.load import Load
from faults.settling import source_ids, unsettled

SETTLE_SECONDS = 60.0
SINGLES = 2  # then several at once
AT_ONCE = 4
QUIET = 0.4  # of the breakages: nothing is posted from then until all has recovered, so nobody else rings
BURST_SECONDS = 1.0  # somewhere in the burst something breaks
FINALE = 1_000  # events
TOGETHER = "several at once"
LOOK_SECONDS = 0.1
ASK_SECONDS = 1.0
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Step:
    """What is broken at once."""

    kinds: tuple[Kind, ...]
    quiet: bool


@dataclass
class Outcome:
    """`recovery`: seconds from healing until everything acknowledged before was settled and everything ran again, by
    kind where it was alone."""

    injections: dict[str, int] = field(default_factory=dict)
    recovery: dict[str, list[float]] = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)


def plan(seed: int, kinds: Sequence[Kind], shard: int = 1, shards: int = 1) -> Iterator[Step]:
    """Without end, and the same for the same seed: every kind once, in another order, then again. Shards share it."""
    return islice(_plan(Random(seed), kinds), shard - 1, None, shards)


def _plan(rng: Random, kinds: Sequence[Kind]) -> Iterator[Step]:
    deck: list[Kind] = []
    while True:
        for number in range(SINGLES + 1):
            together: list[Kind] = []
            if len(deck) < AT_ONCE:
                deck += rng.sample(list(kinds), len(kinds))
            for each in list(deck):
                if len(together) < (AT_ONCE if number == SINGLES else 1) and each.target not in {
                    k.target for k in together
                }:
                    together.append(each)
                    deck.remove(each)
            yield Step(tuple(together), rng.random() < QUIET)


class Campaign:
    def __init__(self, here: Installation, folder: Path, seed: int, rate: float, tell: Tell, settle: float) -> None:
        self.here, self._folder, self._seed, self._rate, self._tell = here, folder, seed, rate, tell
        self._settle = settle
        self._clients, self._received = (folder / f"{name}.ledger" for name in ("clients", "receivers"))
        self.outcome = Outcome()
        self.begun = 0.0  # when breaking began (time.monotonic)
        self.late: list[str] = []  # what was not settled in time

    async def run(self, steps: Iterator[Step], goes_on: Callable[["Campaign"], bool]) -> Outcome:
        """Steps as long as `goes_on`, then the end that nobody but patrol can repair, then the checker."""
        clients, receivers = Ledger(self._clients), Ledger(self._received)
        await self.here.start(receivers, lambda number, order: self.load.heard(number, order))
        here = self.here
        self.load = Load(here.apis, here.source_key, here.system_key, clients, here.editions, self._seed)
        kept = [asyncio.create_task(ledger.keep_on_disk()) for ledger in (clients, receivers)]
        load = asyncio.create_task(self.load.run(self._rate))
        try:
            await asyncio.sleep(1)
            self.begun = time.monotonic()
            for step in steps:
                if not goes_on(self):
                    break
                await self._take(step)
            if not self.here.planted:
                await self._finale()
            await self.load.end()
            await load
            await self._recover(set(self.load.waiting), "the end")
            await self._release()
        finally:
            for task in (load, *kept):
                task.cancel()
            await self.load.close()
            await self.here.stop()
            clients.close()
            receivers.close()
        await asyncio.to_thread(self._check, self.outcome.findings)
        return self.outcome

    async def _take(self, step: Step) -> None:
        done: list[Kind] = []
        rng = self.here.rng
        self.load.burst(max(kind.burst for kind in step.kinds))
        await asyncio.sleep(rng.uniform(0, BURST_SECONDS))
        async with AsyncExitStack() as broken:
            for kind in step.kinds:
                with suppress(NotReached):
                    await broken.enter_async_context(kind.does(self.here))
                    done.append(kind)
            hold = max((rng.uniform(*kind.hold) for kind in done), default=0.0)
            if step.quiet:
                self.load.pause()
            await asyncio.sleep(hold)
            before = set(self.load.waiting)
        names = " + ".join(kind.name for kind in done) or "nothing was reached"
        took = await self._recover(before | set(self.load.waiting), names)
        self.load.go()
        for kind in done:
            self.outcome.injections[kind.name] = self.outcome.injections.get(kind.name, 0) + 1
        if done:
            word = done[0].name if len(done) == 1 else TOGETHER
            self.outcome.recovery.setdefault(word, []).append(round(took, 2))
        quiet = ", nothing posted" if step.quiet else ""
        self._tell(
            f"{names}: healed after {hold:.1f} s, recovered in {took:.1f} s{quiet} ({len(self.load.acknowledged):,})"
        )

    async def _recover(self, before: set[int], after: str) -> float:
        """Seconds until everything runs and what was acknowledged by now is settled; what is not in time is noted."""
        begun = asked = time.monotonic()
        missing = "not asked"
        while True:
            missing = missing and await self.here.missing()
            before &= self.load.waiting
            now = time.monotonic()
            if not missing and before and now - asked > ASK_SECONDS:
                asked = now
                before &= set(await self._unsettled(before))
            if not missing and not before:
                return time.monotonic() - begun
            if now - begun > self._settle:
                waits = await self._unsettled(before)
                self.late += [
                    f"event {number} {why} {self._settle:.0f} s after {after}" for number, why in waits.items()
                ]
                if missing:
                    self.outcome.findings.down.append(f"{missing}, {self._settle:.0f} s after {after}")
                return now - begun
            await asyncio.sleep(LOOK_SECONDS)

    async def _unsettled(self, numbers: set[int]) -> dict[int, str]:
        ids = source_ids(numbers)
        try:
            found = await asyncio.to_thread(unsettled, self.here.record, SOURCE, ids)
        except StoreUnavailable as error:
            return dict.fromkeys(numbers, f"cannot be asked for: {error}")
        return {ids[id_]: why for id_, why in found.items()}

    async def _finale(self) -> None:
        """Full queues, no worker, no bell, and nobody who posts anything more."""
        self.load.pause()
        posted = self.load.burst(FINALE)
        await asyncio.gather(*posted)
        for name in ("work", "up"):
            self.here.parts[name].kill()
        async for _ in wiped(self.here):
            pass

    async def _release(self) -> None:
        """Operators need not wait for the next attempt of what has failed: they switch an endpoint off and on."""
        await self.here.until_whole(READY_SECONDS)
        for endpoint in self.here.endpoint_ids:
            for action in ("disable", "enable"):
                await self.here.call("POST", f"/api/v1/endpoints/{endpoint}/{action}")
        ends = time.monotonic() + self._settle
        while time.monotonic() < ends:
            page: dict[str, Any] = await self.here.call("GET", "/api/v1/deliveries?status=pending&limit=1")
            if not page["items"]:
                return
            await asyncio.sleep(0.2)

    def _check(self, found: Findings) -> None:
        check(self._clients, self._received, self.here.record, found)
        found.unsettled += self.late
        found.unexpected += self.load.refused
        stored = self.here.command("check", "--store")
        if stored.returncode:
            wrong = [line for line in stored.stdout.splitlines() if "BROKEN" in line]
            found.broken += wrong or [stored.stderr[-500:]]


def usable(here: Installation, longest: float, only: Sequence[str] = ()) -> list[Kind]:
    """The kinds that exist for this store and this machine, and last no longer than `longest` seconds."""
    return [
        kind
        for kind in KINDS.values()
        if here.store_kind in kind.stores
        and kind.hold[0] < longest
        and (here.small or not kind.needs_small_disk)
        and (not only or kind.name in only)
    ]
