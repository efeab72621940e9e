"""`make bench-answers`: all departments answer at once, as after an outage, each again after some seconds of silence.
How many answers are taken a second, and how long an event waits for its acknowledgement meanwhile."""

import asyncio
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import aiohttp
import click
import numpy as np
import orjson
import uvloop
from sqlalchemy import select

from bench.__main__ import opened
from bench.contestants import Citybrain
from bench.measuring import Plan, Running, running
from bench.posting import connected
from bench.reports import make_reports
from citybrain.clock import now_ms
from citybrain.keys import create_key
from citybrain.store.database import Store
from citybrain.store.tables import work_orders

STATUSES = ("accepted", "completed")
PAUSE_SECONDS = 0.25  # after a refusal; nobody here obeys Retry-After
EVENTS_A_SECOND = 5
GIVES_UP_SECONDS = 300.0
WARM = 1_000


@dataclass
class Answers:
    """`ends`: when each was taken, by time.monotonic; `told`: every status or error that a sender saw."""

    expected: int
    ends: list[float] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    acknowledged_ms: list[float] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        return len(self.ends) == self.expected


def orders_of(city: Citybrain, number: int) -> tuple[list[str], str]:
    """As many work orders, and a key that may answer them."""
    store = Store(city.database_url)
    with store.write() as tx:
        key = create_key(tx, "departments", "system", now_ms(), "bench")
        found = [row.id for row in tx.execute(select(work_orders.c.id).limit(number))]
    store.close()
    return found, key


async def answer(session: aiohttp.ClientSession, url: str, order: str, answers: Answers) -> None:
    """Accepted, then completed; each until it is taken."""
    for status in STATUSES:
        body = orjson.dumps({"feedback_id": f"{order}-{status}", "status": status})
        while not await taken(session, f"{url}/api/v1/work-orders/{order}/feedback", body, answers):
            pass
        answers.ends.append(time.monotonic())


async def taken(session: aiohttp.ClientSession, url: str, body: bytes, answers: Answers) -> bool:
    try:
        async with session.post(url, data=body) as got:
            await got.read()
            answers.told[str(got.status)] += 1
            if got.status < 300:
                return True
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        answers.told[type(error).__name__] += 1
    await asyncio.sleep(PAUSE_SECONDS)
    return False


async def report_beside(here: Running[Citybrain], reports: list[bytes], answers: Answers) -> None:
    async with connected(here.contestant.post, here.contestant.headers, 1) as (connection,):
        for report in reports:
            sent = time.monotonic()
            answers.acknowledged_ms.append(1000 * (await connection.post(report) - sent))
            await asyncio.sleep(1 / EVENTS_A_SECOND)


async def measure(here: Running[Citybrain], departments: int, patience: float, reports: list[bytes]) -> str:
    await here.flood("batch", departments + WARM)
    orders, key = orders_of(here.contestant, departments)
    answers = Answers(len(STATUSES) * len(orders))
    began, url = time.monotonic(), f"http://127.0.0.1:{here.contestant.port}"
    beside = asyncio.create_task(report_beside(here, reports, answers))
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=patience)
    async with aiohttp.ClientSession(headers=headers, connector=connector, timeout=timeout) as session:
        sending = asyncio.gather(*(answer(session, url, order, answers) for order in orders))
        await asyncio.wait([asyncio.ensure_future(sending)], timeout=GIVES_UP_SECONDS)
        sending.cancel()
    beside.cancel()
    return told(answers, max(answers.ends, default=began) - began)


def told(answers: Answers, seconds: float) -> str:
    rate = len(answers.ends) / seconds if seconds else 0.0
    p50, p99 = np.percentile(answers.acknowledged_ms, (50, 99))
    seen = ", ".join(f"{what}: {number:,}" for what, number in answers.told.most_common())
    return (
        f"{len(answers.ends):,} of {answers.expected:,} answers taken in {seconds:.0f} s, {rate:.0f} a second "
        f"({seen}); an event was acknowledged in {p50:.1f} ms (p99 {p99:.1f}, {len(answers.acknowledged_ms)} events)"
    )


@click.command(context_settings={"show_default": True})
@click.option("--departments", default=2_000)
@click.option("--patience", default=8.0, help="Seconds after which an answer is sent again.")
@click.option("--store", type=click.Choice(["sqlite", "postgresql"]), default="sqlite")
@click.option("--work", type=click.Path(path_type=Path), default="build/bench-answers")
def main(departments: int, patience: float, store: str, work: Path) -> None:
    """What happens when all departments answer at once."""
    runs, editions = (work / "runs").resolve(), (work / "editions").resolve()
    shutil.rmtree(runs, ignore_errors=True)
    beside = int(EVENTS_A_SECOND * GIVES_UP_SECONDS)
    reports = list(islice(make_reports(editions), departments + WARM + beside))
    city = Citybrain(runs / "data", editions, store=opened(store))
    plan = Plan(5.0, len(reports), 0, 1, 1_000)
    with running(city, reports, plan, runs / "receiver") as here:
        text = uvloop.run(measure(here, departments, patience, reports[departments + WARM :]))
    shutil.rmtree(runs)
    click.echo(text)
    if not text.startswith(f"{len(STATUSES) * departments:,} of"):
        raise click.ClickException("not all answers were taken")


if __name__ == "__main__":
    main()
