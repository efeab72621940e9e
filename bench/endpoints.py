"""`make bench-endpoints`: how long a message takes to a healthy endpoint, alone and while a fifth of all endpoints
hangs, drips, redirects, is overloaded or dead. By turns in one run, so that the machine has the same moods for both."""

import asyncio
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import click
import numpy as np
import orjson
import uvloop

from bench.arrivals import Arrivals
from bench.contestants import Citybrain
from bench.measuring import receiving
from bench.posting import connected, pace
from bench.reports import make_reports
from bench.sick import KINDS
from bench.stores import open_store

DEAD = "dead"  # nobody listens there
CONNECTIONS = 32
QUIET_SECONDS, PATIENCE = 1.0, 60.0


@dataclass
class Found:
    """Milliseconds from the acknowledgement to the webhook, of messages to healthy endpoints, turn by turn; `lost`
    never came."""

    alone: list[list[float]] = field(default_factory=list)
    beside: list[list[float]] = field(default_factory=list)
    lost: int = 0


class Bench:
    """Endpoints that share the event types among them; the first ones fall ill."""

    def __init__(
        self, city: Citybrain, arrivals: Arrivals, hook: str, reports: Sequence[bytes], endpoints: int
    ) -> None:
        self._city, self._arrivals, self._hook, self._reports = city, arrivals, hook, reports
        types = sorted({orjson.loads(report)["type"] for report in reports})
        self._of = {type_: number % endpoints for number, type_ in enumerate(types)}
        shares = [[type_ for type_, owner in self._of.items() if owner == number] for number in range(endpoints)]
        for each in city.call("GET", "/api/v1/endpoints")["items"]:
            city.call("DELETE", f"/api/v1/endpoints/{each['id']}")
        made = [self._endpoint(f"endpoint {number}", share) for number, share in enumerate(shares)]
        self._ids, self.secrets = [each["id"] for each in made], [each["secret"] for each in made]
        self._sick = max(endpoints // 5, 1)
        self._next = 0

    def _endpoint(self, name: str, types: list[str]) -> Any:
        return self._city.call("POST", "/api/v1/endpoints", {"name": name, "url": self._hook, "types": types})

    def point(self, url: str) -> None:
        """Where the first fifth of the endpoints is from now on."""
        for id_ in self._ids[: self._sick]:
            self._city.call("PATCH", f"/api/v1/endpoints/{id_}", {"url": url})

    async def turn(self, rate: float, seconds: float) -> tuple[list[float], int]:
        first, number = self._next, int(rate * seconds)
        self._next += number
        some = self._reports[first : first + number]
        async with connected(self._city.post, self._city.headers, CONNECTIONS) as connections:
            posted = await pace(connections, some, rate)
        healthy = np.array([self._of[orjson.loads(report)["type"]] >= self._sick for report in some])
        times = self._arrivals.times[first : first + number]
        await until(lambda: bool(np.all(times[healthy] > 0)))
        came = healthy & (times > 0)
        return list(1000 * (times - posted.acknowledged)[came]), int(healthy.sum() - came.sum())

    async def settle(self) -> None:
        """Until everything has arrived that was kept from the sick ones."""
        self.point(self._hook)
        await until(lambda: self._arrivals.arrived(0, self._next) == self._next)
        await asyncio.sleep(QUIET_SECONDS)


async def until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > ends:
            return
        await asyncio.sleep(0.02)


@contextmanager
def sick_ones(folder: Path) -> Iterator[dict[str, str]]:
    """The address of each kind."""
    process = subprocess.Popen([sys.executable, "-m", "bench.sick", str(folder)])
    try:
        while not (folder / "sick.json").exists():
            time.sleep(0.02)
        ports = json.loads((folder / "sick.json").read_text()) | {DEAD: 9}
        yield {kind: f"http://127.0.0.1:{port}/hook" for kind, port in ports.items()}
    finally:
        process.terminate()
        process.wait()


async def measure(bench: Bench, sick: dict[str, str], rounds: int, rate: float, seconds: float) -> dict[str, Found]:
    found = {kind: Found() for kind in sick}
    await bench.turn(rate, 2.0)  # until everything has started and is warm
    for _ in range(rounds):
        for kind, url in sick.items():
            await bench.settle()
            alone, lost = await bench.turn(rate, seconds)
            found[kind].alone.append(alone)
            found[kind].lost += lost
            bench.point(url)
            beside, lost = await bench.turn(rate, seconds)
            found[kind].beside.append(beside)
            found[kind].lost += lost
            click.echo(f"{time.strftime('%H:%M:%S')} {said(kind, found[kind])}", err=True)
    await bench.settle()
    return found


def said(kind: str, found: Found) -> str:
    return " | ".join([kind, *cells(found)])


def cells(found: Found) -> list[str]:
    """The median of the turns: one in which something else had the machine says nothing about endpoints."""
    told = []
    for percent in (50, 99):
        alone, beside = (
            float(np.median([np.percentile(turn, percent) for turn in turns])) for turns in (found.alone, found.beside)
        )
        told += [f"{alone:.1f}", f"{beside:.1f}", f"{beside / alone:.2f}"]
    return [*told, str(found.lost)]


@click.command(context_settings={"show_default": True})
@click.option("--rounds", default=4, help="Of each kind: a turn alone and a turn beside.")
@click.option("--seconds", default=6.0, help="Of one turn.")
@click.option("--rate", default=60.0, help="Events a second.")
@click.option("--endpoints", default=20)
@click.option("--kinds", default=",".join([*KINDS, DEAD]))
@click.option("--store", type=click.Choice(["sqlite", "postgresql"]), default="sqlite")
@click.option("--work", type=click.Path(path_type=Path), default="build/bench-endpoints")
def main(rounds: int, seconds: float, rate: float, endpoints: int, kinds: str, store: str, work: Path) -> None:
    """What a fifth of sick endpoints does to the healthy ones."""
    runs, editions = (work / "runs").resolve(), (work / "editions").resolve()
    shutil.rmtree(runs, ignore_errors=True)
    editions.mkdir(parents=True, exist_ok=True)
    wanted = kinds.split(",")
    number = int(rate * (2.0 + 2 * rounds * len(wanted) * seconds)) + 1
    reports = list(islice(make_reports(editions, typed=True), number))
    city = Citybrain(runs / "data", editions, store=open_store(store))
    (runs / "receiver").mkdir(parents=True)
    with receiving(runs / "receiver", number) as (hook, arrivals), sick_ones(runs / "receiver") as sick:
        try:
            city.start(hook)
            bench = Bench(city, arrivals, hook, reports, endpoints)
            (runs / "receiver" / "secret").write_text("\n".join(bench.secrets))
            found = uvloop.run(measure(bench, {kind: sick[kind] for kind in wanted}, rounds, rate, seconds))
        finally:
            city.stop()
        if arrivals.counted("forged"):
            raise click.ClickException(f"{arrivals.counted('forged')} signatures do not fit")
    lines = [" | ".join(["a fifth is", "p50 alone", "beside", "ratio", "p99 alone", "beside", "ratio", "lost"])]
    text = "\n".join([*lines, *(said(kind, each) for kind, each in found.items())])
    (work / f"{store}.txt").write_text(text + "\n")
    click.echo(text)


if __name__ == "__main__":
    main()
