"""The clients: gateways that post reports singly and in batches, again with the same ids until they are answered, some
of them twice at once, some giving up; and departments that answer work orders.

`ledger` says what was attempted and what was acknowledged; `waiting` holds what was acknowledged and has not reached a
receiver yet.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import orjson

from bench.reports import make_reports
from faults.ledgers import Ledger

CLIENTS = 6
TWICE, GIVES_UP, TRIAGE, FEEDBACK = 0.05, 0.05, 0.02, 0.03  # shares
BATCHES = (10, 20, 50, 100)
BURST_BATCH = 250
TIMEOUT = aiohttp.ClientTimeout(total=8)
AGAIN_SECONDS = 0.3
NDJSON = "application/x-ndjson"
UNCLEAR = {"domain": "grid", "title": "嗯", "attributes": {}}  # which no rule decides
Bodies = dict[int, bytes]


class Load:
    def __init__(
        self, apis: Sequence[str], key: str, system_key: str, ledger: Ledger, editions: Path, seed: int
    ) -> None:
        self._apis, self._ledger, self._rng = apis, ledger, Random(seed)
        self._headers = {"Authorization": f"Bearer {key}"}
        self._system = {"Authorization": f"Bearer {system_key}", "Content-Type": "application/json"}
        self._reports = self._numbered(make_reports(editions, seed))
        self.attempted = 0
        self.acknowledged: set[int] = set()
        self.refused: list[str] = []  # answers that nobody should get
        self.received: set[int] = set()
        self.triage: set[int] = set()
        self.waiting: set[int] = set()
        self._going = asyncio.Event()
        self._going.set()
        self._ended = False
        self._in_work: set[asyncio.Task[None]] = set()

    async def run(self, a_second: float) -> None:
        """Until `end`: about that many events a second."""
        self._http = aiohttp.ClientSession(timeout=TIMEOUT, connector=aiohttp.TCPConnector(limit=0))
        await asyncio.gather(*(self._client(a_second / CLIENTS) for _ in range(CLIENTS)))

    def pause(self) -> None:
        """Nothing new is posted; what is not answered yet is still repeated."""
        self._going.clear()

    def go(self) -> None:
        self._going.set()

    def burst(self, events: int) -> list[asyncio.Task[None]]:
        """So many at once, beside the rest."""
        sizes = [BURST_BATCH] * (events // BURST_BATCH)
        return [self._begin(self._post(self._some(size), patient=True)) for size in sizes]

    async def end(self) -> None:
        """When everything that will be answered has been."""
        self._ended = True
        self.go()
        while self._in_work:
            await asyncio.gather(*self._in_work)

    async def close(self) -> None:
        await self._http.close()

    def heard(self, number: int, order: str) -> None:
        """A receiver has said yes to this event's work order."""
        self.received.add(number)
        self.waiting.discard(number)
        if int(order[-4:], 16) / 0x10000 < FEEDBACK and not self._ended:
            self._begin(self._answer(order))

    async def _client(self, a_second: float) -> None:
        while not self._ended:
            await self._going.wait()
            chance = self._rng.random()
            size = 1 if chance < 0.6 else self._rng.choice(BATCHES)
            posted = self._begin(self._post(self._some(size), patient=self._rng.random() > GIVES_UP))
            pause = self._rng.expovariate(1) * size / a_second
            await asyncio.gather(posted, asyncio.sleep(min(pause, 5.0)))

    def _begin(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._in_work.add(task)
        task.add_done_callback(self._in_work.discard)
        return task

    def _some(self, size: int) -> Bodies:
        made = dict(islice(self._reports, size))
        self.attempted += size
        self._ledger.add("attempted", *made)
        self._ledger.flush()
        return made

    def _numbered(self, reports: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
        for number, body in enumerate(reports):
            if self._rng.random() < TRIAGE:
                body = orjson.dumps(orjson.loads(body) | UNCLEAR)
                self.triage.add(number)
            yield number, body

    async def _post(self, bodies: Bodies, patient: bool) -> None:
        """As gateways do: the same again until the service has said yes; somebody who gives up does after one no."""
        twice = len(bodies) == 1 and self._rng.random() < TWICE
        while True:
            apis = self._rng.sample(self._apis, 2 if twice else 1)
            answers = await asyncio.gather(*(self._try(api, bodies) for api in apis))
            if any(answers) or not patient:
                return
            await asyncio.sleep(AGAIN_SECONDS * self._rng.uniform(0.5, 2))

    async def _try(self, api: str, bodies: Bodies) -> bool:
        """Whether it was acknowledged."""
        single = len(bodies) == 1
        path, kind = ("/api/v1/events", "application/json") if single else ("/api/v1/events/batch", NDJSON)
        headers = self._headers | {"Content-Type": kind}
        try:
            async with self._http.post(api + path, data=b"\n".join(bodies.values()), headers=headers) as answer:
                status, raw = answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False
        if status in (429, 500, 502, 503):
            if status == 500:
                self.refused.append(f"500 {raw[:200]!r}")
            return False
        told = orjson.loads(raw)
        if status not in (200, 202):
            self.refused.append(f"{status} {raw[:200]!r}")
            return True
        results = [{"outcome": "accepted"} | told] if single else told["results"]
        for number, result in zip(bodies, results, strict=True):
            if result["outcome"] not in ("accepted", "duplicate"):
                self.refused.append(str(result)[:200])
                continue
            self._ledger.add("acknowledged", number, result["id"])
            self._acknowledge(number)
        self._ledger.flush()
        return True

    def _acknowledge(self, number: int) -> None:
        self.acknowledged.add(number)
        if number not in self.received and number not in self.triage:
            self.waiting.add(number)

    async def _answer(self, order: str) -> None:
        """A department accepts and completes; each answer until it is taken, and then once more."""
        for status in ("accepted", "completed"):
            body = orjson.dumps({"feedback_id": f"{order}-{status}", "status": status})
            for _ in range(2):
                await self._until_taken(f"/api/v1/work-orders/{order}/feedback", body)
            self._ledger.add("answered", order, f"{order}-{status}")

    async def _until_taken(self, path: str, body: bytes) -> None:
        ends = time.monotonic() + 120
        while time.monotonic() < ends:
            try:
                api = self._rng.choice(self._apis)
                async with self._http.post(api + path, data=body, headers=self._system) as answer:
                    if answer.status < 300:
                        return
                    if answer.status < 500 and answer.status != 429:
                        self.refused.append(f"feedback {answer.status} {(await answer.read())[:200]!r}")
                        return
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass
            await asyncio.sleep(AGAIN_SECONDS)
        raise RuntimeError(f"{path} was not taken for two minutes")
