"""What an event and a page cost while the record grows: `python -m bench.growth` looks at several sizes."""

import shutil
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import click
import uvloop

from bench import costs
from bench.__main__ import opened, tell
from bench.contestants import Citybrain
from bench.measuring import Plan, Running, running
from bench.reports import make_reports
from bench.table import lines

PAGES = {
    "events": "/api/v1/events?limit=50",
    "cases": "/api/v1/cases?limit=50",
    "overdue cases": "/api/v1/cases?overdue=true&limit=50",
    "cases of a county": "/api/v1/cases?division=441402&limit=50",
    "cases by words": "/api/v1/cases?q=%E8%B7%AF%E7%81%AF&limit=50",
    "deliveries": "/api/v1/deliveries?limit=50",
    "queues": "/api/v1/queues",
    "coverage": "/api/v1/indicators/coverage?level=county",
}
LOOKS = 5  # at each page; the median counts
MEASURED = 3_000  # events for what one costs
FILLED = 10_000  # at once


class Reports(Sequence[bytes]):
    """Made when they are asked for, in order: ten million do not lie in memory."""

    def __init__(self, made: Iterator[bytes], number: int) -> None:
        self._made, self._number = made, number

    def __len__(self) -> int:
        return self._number

    def __getitem__(self, which: Any) -> Any:
        return list(islice(self._made, which.stop - which.start))


@click.command(context_settings={"show_default": True})
@click.option("--events", default="10000,100000", help="Sizes of the record at which to look.")
@click.option("--endpoints", default=1, help="In all; all but one want nothing of what comes.")
@click.option("--workers", default=2)
@click.option("--store", type=click.Choice(["sqlite", "postgresql"]), default="sqlite")
@click.option("--work", type=click.Path(path_type=Path), default="build/bench", help="Folder of everything it writes.")
def main(events: str, endpoints: int, workers: int, store: str, work: Path) -> None:
    """Cost of an event and of the pages at several sizes of the record."""
    sizes = [int(each) for each in events.split(",")]
    runs, editions = (work / "growth").resolve(), (work / "editions").resolve()
    shutil.rmtree(runs, ignore_errors=True)
    plan = Plan(seconds=5, events=MEASURED, idle=20, connections=64, batch=1_000)
    reports = Reports(make_reports(editions), sizes[-1] + len(sizes) * (2 * MEASURED + plan.idle))
    citybrain = Citybrain(runs / "data", editions, workers, opened(store))
    rows = []
    with running(citybrain, reports, plan, runs / "receiver") as here:
        _add_endpoints(citybrain, endpoints - 1)
        parts = list(citybrain.processes())
        for size in sizes:
            rows.append(uvloop.run(_at(size, here)))
            tell(" | ".join(rows[-1]))
    shutil.rmtree(runs)
    head = [
        "events",
        "single POST, CPU ms",
        "NDJSON, CPU ms",
        "idle, 202 to webhook",
        *(f"{page}, ms" for page in PAGES),
    ]
    text = lines([*head, f"PSS MiB: {', '.join(parts)}", "bytes an event"], rows)
    (work / f"growth-{store}-{endpoints}.md").write_text(text + "\n")
    click.echo(text)


async def _at(size: int, here: Running[Citybrain]) -> list[str]:
    """One line of the table: fills up to `size` events, then looks."""
    while here.stored < size:
        await here.flood("batch", min(FILLED, size - here.stored))
    single, _ = await here.flood("single", MEASURED)
    batch, _ = await here.flood("batch", MEASURED)
    idle = median((await here.idle()).delivered)
    pages = [median(_look(here.contestant, path) for _ in range(LOOKS)) for path in PAGES.values()]
    held = costs.memory(here.contestant).values()
    return [
        f"{size:,}", *(f"{sum(found.cpu_ms.values()):.2f}" for found in (single, batch)), f"{idle:.1f} ms",
        *(f"{page:.0f}" for page in pages), ", ".join(f"{part.pss:.0f}" for part in held),
        f"{here.contestant.stored_bytes() / here.stored:,.0f}",
    ]  # fmt: skip


def _look(citybrain: Citybrain, path: str) -> float:
    begun = time.perf_counter()
    citybrain.call("GET", path)
    return 1000 * (time.perf_counter() - begun)


def _add_endpoints(citybrain: Citybrain, number: int) -> None:
    """Each of them is asked about every message, and wants none: no fire is a street light."""
    for each in range(number):
        wanted = {"domains": ["fire"], "types": ["c01039"]}
        citybrain.call("POST", "/api/v1/endpoints", {"name": f"idle-{each}", "url": "http://127.0.0.1:9/", **wanted})


if __name__ == "__main__":
    main()
