"""One contestant's turn: how much it sustains, how long an event takes when it is idle and at half of that load."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import uvloop

from bench import costs
from bench.arrivals import Arrivals
from bench.contestants import NDJSON, Contestant
from bench.posting import Posted, connected, flood, pace

BATCH_CONNECTIONS = 2
FIRST = 64  # events in the first try of how much is sustained
C = TypeVar("C", bound=Contestant)
PATIENCE = 30.0  # seconds without a webhook after which the rest is taken for lost


@dataclass(frozen=True, slots=True)
class Plan:
    """`seconds` is how long each measurement should take; `events` how many one may use."""

    seconds: float
    events: int
    idle: int
    connections: int
    batch: int


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds: of the acknowledgement, and from the acknowledgement to the webhook."""

    acknowledged: Sequence[float]
    delivered: Sequence[float]


@dataclass(slots=True)
class Sustained:
    """As fast as it goes, until the last webhook. Rates in events a second; costs in CPU milliseconds an event."""

    events: int
    acknowledged: float
    delivered: float
    cpu_ms: dict[str, float]
    lost: int
    messages: int
    stored_bytes: float = 0.0


@dataclass(slots=True)
class Turn:
    """What was measured of one contestant in one round, by way of posting (`single`, `batch`)."""

    contestant: str
    sustained: dict[str, Sustained] = field(default_factory=dict)
    idle: Latency | None = None
    half: dict[str, Latency] = field(default_factory=dict)
    memory: dict[str, costs.Memory] = field(default_factory=dict)
    load: float = 0.0  # the machine's load average before the turn, the others on it included


@contextmanager
def receiving(folder: Path, events: int) -> Iterator[tuple[str, Arrivals]]:
    """A receiver process: its address and what has arrived there."""
    folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen([sys.executable, "-m", "bench.receiver", str(folder), str(events)])
    try:
        while not (folder / "port").exists():
            if process.poll() is not None:
                raise RuntimeError("the receiver does not start")
            time.sleep(0.02)
        yield f"http://127.0.0.1:{(folder / 'port').read_text()}/hook", Arrivals(folder / "arrivals", events)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def running(contestant: C, reports: Sequence[bytes], plan: Plan, folder: Path) -> Iterator["Running[C]"]:
    """A contestant that takes events, until the block ends; its receiver is checked to have found no forgery."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # who is told to end ends what it started, too
    with receiving(folder, len(reports)) as (hook, arrivals):
        try:
            (folder / "secret").write_text(contestant.start(hook))
            yield Running(contestant, arrivals, reports, plan)
        finally:
            contestant.stop()
        if arrivals.counted("forged"):
            raise RuntimeError(f"{contestant.name}: {arrivals.counted('forged')} signatures do not fit")


def take_turn(contestant: Contestant, reports: Sequence[bytes], plan: Plan, folder: Path) -> Turn:
    turn = Turn(contestant.name, load=os.getloadavg()[0])
    with running(contestant, reports, plan, folder) as here:
        uvloop.run(here.measure(turn))
        turn.memory = costs.memory(contestant)
    return turn


class Running(Generic[C]):
    """A contestant at work, and what it is sent: every report once."""

    def __init__(self, contestant: C, arrivals: Arrivals, reports: Sequence[bytes], plan: Plan) -> None:
        self.contestant, self._arrivals, self._reports, self._plan = contestant, arrivals, reports, plan
        self._next = 0

    @property
    def stored(self) -> int:
        """How many events it has been sent so far."""
        return self._next

    async def measure(self, turn: Turn) -> None:
        ways = ["single", "batch"] if self.contestant.batch else ["single"]
        for way in ways:
            turn.sustained[way] = await self.sustain(way)
        turn.idle = await self.idle()
        for way in ways:
            turn.half[way] = await self.half(way, turn.sustained[way].delivered / 2)

    async def sustain(self, way: str) -> Sustained:
        """More and more events until they take as long as they should; the last try counts."""
        number = min(FIRST, self._plan.events) if way == "single" else self._plan.batch
        await self.flood(way, number)  # until everything has started and is warm
        while True:
            found, seconds = await self.flood(way, number)
            enough = seconds > self._plan.seconds / 2 or found.events < number or found.lost
            if enough or number >= self._plan.events:
                return found
            number = min(int(number * min(8.0, 1.1 * self._plan.seconds / seconds)) + 1, self._plan.events)

    async def flood(self, way: str, number: int) -> tuple[Sustained, float]:
        first, reports = self._some(number)
        before, stored = costs.cpu_seconds(self.contestant), self.contestant.stored_bytes()
        messages = self._arrivals.counted("distinct")
        posted = await self._post(way, reports)
        await self._arrive(first, len(reports))
        times = self._arrivals.times[first : first + len(reports)]
        begun, last = posted.sent.min(), max(times.max(), posted.acknowledged.max())
        used = costs.spent(before, costs.cpu_seconds(self.contestant))
        found = Sustained(
            events=len(reports),
            acknowledged=len(reports) / (posted.acknowledged.max() - begun),
            delivered=np.count_nonzero(times) / (last - begun),
            cpu_ms={part: 1000 * seconds / len(reports) for part, seconds in used.items()},
            lost=len(reports) - int(np.count_nonzero(times)),
            messages=self._arrivals.counted("distinct") - messages,
            stored_bytes=(self.contestant.stored_bytes() - stored) / len(reports),
        )
        return found, last - begun

    async def idle(self) -> Latency:
        """One event at a time, each after the last one's webhook."""
        waits, delays = [], []
        async with connected(self.contestant.post, self.contestant.headers, 1) as (connection,):
            for _ in range(self._plan.idle):
                first, (body,) = self._some(1)
                sent = time.monotonic()
                acknowledged = await connection.post(body)
                await self._arrive(first, 1)
                waits.append(1000 * (acknowledged - sent))
                delays.append(1000 * (self._arrivals.times[first] - acknowledged))
                await asyncio.sleep(0.02)
        return Latency(waits, delays)

    async def half(self, way: str, rate: float) -> Latency:
        first, reports = self._some(min(self._plan.events, max(int(rate * self._plan.seconds), 1)))
        posted = await self._post(way, reports, rate)
        await self._arrive(first, len(reports))
        times = self._arrivals.times[first : first + len(reports)]
        came = times > 0
        each = self._plan.batch if way == "batch" else 1
        acknowledged = np.repeat(posted.acknowledged, each)[: len(reports)]
        return Latency(1000 * posted.waits, (1000 * (times - acknowledged)[came]).tolist())

    async def _post(self, way: str, reports: Sequence[bytes], rate: float | None = None) -> Posted:
        """`rate` in events a second; without it, as fast as it goes."""
        bodies, url, headers, number = reports, self.contestant.post, self.contestant.headers, self._plan.connections
        if way == "batch":
            each = self._plan.batch
            bodies = [b"\n".join(reports[start : start + each]) for start in range(0, len(reports), each)]
            url, headers, number = self.contestant.batch, headers | {"Content-Type": NDJSON}, BATCH_CONNECTIONS
            rate = rate and rate / each
        async with connected(url, headers, number) as connections:
            return await (pace(connections, bodies, rate) if rate else flood(connections, bodies))

    async def _arrive(self, first: int, number: int) -> None:
        """Until all have arrived, or none has for a while."""
        came, moved = 0, time.monotonic()
        while came < number and time.monotonic() - moved < PATIENCE:
            now = self._arrivals.arrived(first, first + number)
            if now > came:
                came, moved = now, time.monotonic()
            await asyncio.sleep(0.001 if number == 1 else 0.02)

    def _some(self, number: int) -> tuple[int, Sequence[bytes]]:
        """The next reports that this contestant has not been sent, and the number of the first."""
        first = self._next
        self._next = min(first + number, len(self._reports))
        if self._next == first:
            raise RuntimeError("there are no reports left: make more of them")
        return first, self._reports[first : self._next]
