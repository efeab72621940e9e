"""What an event and a page cost while the record grows: `python -m bench.growth` looks at several sizes of it.

The first events go through the pipeline until their cases are closed; `past` writes what they left again and again.
"""

import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import click
import uvloop
from sqlalchemy import and_, func, select, text

from bench import costs
from bench.__main__ import opened, tell
from bench.chart import draw_growth
from bench.contestants import Citybrain
from bench.measuring import Plan, Running, running
from bench.past import Past
from bench.reports import make_reports
from bench.table import lines
from citybrain.city import load_city
from citybrain.clock import now_ms
from citybrain.config import Config
from citybrain.indicators import latest
from citybrain.indicators.days import day_of
from citybrain.indicators.scope import levels_of
from citybrain.store.coverage_tables import coverage_snapshots, latest_evidence
from citybrain.store.database import Store
from citybrain.store.dispatch_tables import deliveries
from citybrain.store.tables import cases, events, stream, work_orders
from citybrain.store.upsert import insert_or

PAGES = {
    "first page": "/",
    "its refresh": "/fragments/desk?cards=1",
    "its map": "/fragments/points?box=115,23,117.5,25.5",
    "events": "/api/v1/events?limit=50",
    "events waiting": "/api/v1/events?state=received&limit=50",
    "events of a domain in a county": "/api/v1/events?domain=fire&division=441402&limit=50",
    "events by a word": "/api/v1/events?q=%E8%B7%AF%E7%81%AF&limit=50",
    "events by a word that none has": "/api/v1/events?q=zzzz&limit=50",
    "cases": "/api/v1/cases?limit=50",
    "open cases, due first": "/api/v1/cases?status=open&sort=due&limit=50",
    "open cases, gravest first": "/api/v1/cases?status=open&sort=grade&limit=50",
    "cases, changed last": "/api/v1/cases?sort=updated&limit=50",
    "overdue cases": "/api/v1/cases?overdue=true&limit=50",
    "cases of a county": "/api/v1/cases?division=441402&limit=50",
    "open cases of a department": "/api/v1/cases?department=441402-cg&status=open&limit=50",
    "cases by a word": "/api/v1/cases?q=%E8%B7%AF%E7%81%AF&limit=50",
    "cases by a word that none has": "/api/v1/cases?q=zzzz&limit=50",
    "deliveries": "/api/v1/deliveries?limit=50",
    "failed deliveries": "/api/v1/deliveries?status=failed&limit=50",
    "queues": "/api/v1/queues",
    "coverage of counties": "/api/v1/indicators/coverage?level=county",
    "its page": "/coverage",
}
LOOKS, LOOKS_BEFORE = 20, 20  # at each page; before them those that fill caches and connections
DRAWN = ("single POST", "NDJSON", "first page", "queues", "events, CPU", "open cases, due first")
SLOW_SECONDS = 10.0  # after which fewer will do
MEASURED = 3_000  # events for what one costs
SEEDS, SEED_CASES = 10_000, 1_250  # events that make the past: what can be reported again is, as devices do
CLOSERS = 4
_TIDYING = text("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'")


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
    looked = [_look_at(size, endpoints, workers, store, work) for size in sizes]
    parts, rows = looked[0][0], [row for _, row in looked]
    head = ["", *(row[0] for row in rows)]
    what = [
        "single POST, CPU ms an event", "NDJSON, CPU ms an event", "idle, 202 to webhook, ms",
        *(f"{page}, CPU ms" for page in PAGES), f"PSS MiB: {', '.join(parts)}", "bytes an event",
    ]  # fmt: skip
    table = lines(head, [[name, *cells] for name, *cells in zip(what, *(row[1:] for row in rows), strict=True)])
    (work / f"growth-{store}-{endpoints}.md").write_text(table + "\n")
    drawn = {name: [float(row[1 + what.index(name)]) for row in rows] for name in what if name.startswith(DRAWN)}
    draw_growth(sizes, drawn, work / f"growth-{store}-{endpoints}.svg")
    click.echo(table)


def _look_at(size: int, endpoints: int, workers: int, store: str, work: Path) -> tuple[list[str], list[str]]:
    """A record of its own, so that as much is in work at every size. Returns the names of the processes, and a row."""
    runs, editions = (work / "growth").resolve(), (work / "editions").resolve()
    shutil.rmtree(runs, ignore_errors=True)
    plan = Plan(seconds=5, events=MEASURED, idle=20, connections=64, batch=1_000)
    reports = Reports(make_reports(editions), SEED_CASES + 2 * MEASURED + plan.idle)
    citybrain = Citybrain(runs / "data", editions, workers, opened(store))
    with running(citybrain, reports, plan, runs / "receiver") as here:
        _add_endpoints(citybrain, endpoints - 1)
        record = Store(citybrain.database_url, patient=True)
        past = uvloop.run(_past(here, record))
        begun = time.monotonic()
        written = past.write(size - past.stored) if size > past.stored else 0
        tell(f"{written:,} events of the past in {time.monotonic() - begun:.0f} s")
        _snapshots_as_patrol(record)
        _tidy(record)
        row = [f"{past.stored:,}", *uvloop.run(_at(here, record)), f"{citybrain.stored_bytes() / past.stored:,.0f}"]
        tell(" | ".join(row))
        record.close()
        parts = list(citybrain.processes())
    shutil.rmtree(runs)
    return parts, row


async def _past(here: Running[Citybrain], record: Store) -> Past:
    """Of the first cases, each reported as often as its rule for merging lets it, worked on as people do and closed."""
    await here.flood("batch", SEED_CASES)
    _report_again(here.contestant, record)
    _until_none(record, events.c.state == "received")
    with record.read() as tx:
        found = tx.execute(select(cases.c.id, work_orders.c.id).join(work_orders)).all()
    before = costs.cpu_seconds(here.contestant)
    with ThreadPoolExecutor(CLOSERS) as pool:
        list(pool.map(lambda row: _close(here.contestant, *row), found))
    _until_none(record, deliveries.c.status == "pending")
    used = sum(costs.spent(before, costs.cpu_seconds(here.contestant)).values())
    tell(f"{1000 * used / len(found):.1f} CPU ms for a case's feedbacks, verification and closure")
    _until_none(record, stream.c.position.is_(None))
    return Past(record)


def _report_again(citybrain: Citybrain, record: Store) -> None:
    columns = ("domain", "title", "description", "attributes", "location", "occurred_at")
    merging = select(*(events.c[name] for name in columns)).join(cases, cases.c.id == events.c.case_id)
    with record.read() as tx:
        found = tx.execute(merging.where(cases.c.merge_key.isnot(None))).mappings().all()
    at = datetime.now(UTC).isoformat()
    again = [
        {**{str(name): value for name, value in each.items()}, "occurred_at": at, "source_event_id": f"again-{number}"}
        for number, each in zip(range(SEEDS - SEED_CASES), cycle(found), strict=False)
    ]
    for start in range(0, len(again), 1_000):
        answer = citybrain.post_batch(again[start : start + 1_000])
        if answer["rejected"]:
            raise RuntimeError(answer["results"][0])


def _until_none(record: Store, waiting: Any) -> None:
    while True:
        with record.read() as tx:
            if not tx.execute(select(func.count()).where(waiting)).scalar():
                return
        time.sleep(0.5)


def _close(citybrain: Citybrain, case_id: str, order_id: str) -> None:
    for status in ("accepted", "completed"):
        citybrain.call("POST", f"/api/v1/work-orders/{order_id}/feedback", {"feedback_id": status, "status": status})
    version = citybrain.call("GET", f"/api/v1/cases/{case_id}")["version"]
    verified = citybrain.call("POST", f"/api/v1/cases/{case_id}/verify", {"version": version, "passed": True})
    citybrain.call("POST", f"/api/v1/cases/{case_id}/close", {"version": verified["version"]})


async def _at(here: Running[Citybrain], record: Store) -> list[str]:
    """What is seen at one size."""
    single, _ = await here.flood("single", MEASURED)
    batch, _ = await here.flood("batch", MEASURED)
    idle = median((await here.idle()).delivered)
    _until_none(record, _kept_before(now_ms()))
    with _nothing_to_tidy(record):
        pages = [_looked(here.contestant, path) for path in PAGES.values()]
    held = costs.memory(here.contestant).values()
    return [
        *(f"{sum(found.cpu_ms.values()):.2f}" for found in (single, batch)), f"{idle:.1f}",
        *(f"{page:.0f}" for page in pages), ", ".join(f"{part.pss:.0f}" for part in held),
    ]  # fmt: skip


def _looked(citybrain: Citybrain, path: str) -> float:
    """CPU ms of those who answer, which the machine's other work does not lengthen."""
    _look(citybrain, path, LOOKS_BEFORE)
    before = _answering(citybrain)
    looks = _look(citybrain, path, LOOKS)
    return 1000 * (_answering(citybrain) - before) / looks


def _look(citybrain: Citybrain, path: str, most: int) -> int:
    """So often, or for SLOW_SECONDS. Returns how often."""
    begun, looks = time.perf_counter(), 0
    while looks < most and time.perf_counter() - begun < SLOW_SECONDS:
        citybrain.look(path)
        looks += 1
    return looks


def _answering(citybrain: Citybrain) -> float:
    used = costs.cpu_seconds(citybrain)
    return used["api"] + used.get("postgresql", 0.0)


def _snapshots_as_patrol(record: Store) -> None:
    """Of each day, as patrol has them of a past that it saw go by. The latest evidence it keeps already: what `past`
    writes lies before it, in the same places."""
    city = load_city(Config.load().city, "")
    today = day_of(now_ms(), city.zone)
    figures = {"industries": 0, "total": 0, "declared": 0, "earned": 0, "window_days": 0, "taken_at": 0}  # none is read
    days = [(today - timedelta(days=back)).isoformat() for back in range(1, 366)]
    rows = [
        {"day": day, "level": level, "basis": basis, "divisions": len(city.divisions.level(level)), **figures}
        for day in days for level in levels_of(city) for basis in city.registry.bases
    ]  # fmt: skip
    with record.write() as tx:
        tx.execute(insert_or(tx.dialect, coverage_snapshots).on_conflict_do_nothing(), rows)


def _kept_before(at: int) -> Any:
    return and_(latest_evidence.c.kind == latest.Kind.THROUGH, latest_evidence.c.at < at)


def _tidy(record: Store) -> None:
    """As a record lies that months have written: PostgreSQL has tidied it by and by, and is not at it meanwhile."""
    if record.engine.dialect.name != "postgresql":
        return
    with record.apart() as alone:
        alone.execute(text("VACUUM (ANALYZE)"))
        alone.execute(text("CHECKPOINT"))
        while alone.execute(_TIDYING).scalar():
            time.sleep(0.5)


@contextmanager
def _nothing_to_tidy(record: Store) -> Iterator[None]:
    """What PostgreSQL does by itself after the events is theirs, and no part of what a page costs."""
    _autovacuum(record, "off")
    _tidy(record)
    try:
        yield
    finally:
        _autovacuum(record, "on")


def _autovacuum(record: Store, setting: str) -> None:
    if record.engine.dialect.name != "postgresql":
        return
    with record.apart() as alone:
        alone.execute(text(f"ALTER SYSTEM SET autovacuum = {setting}"))
        alone.execute(text("SELECT pg_reload_conf()"))


def _add_endpoints(citybrain: Citybrain, number: int) -> None:
    """Each of them is asked about every message, and wants none: no fire is a street light."""
    for each in range(number):
        wanted = {"domains": ["fire"], "types": ["c01039"]}
        citybrain.call("POST", "/api/v1/endpoints", {"name": f"idle-{each}", "url": "http://127.0.0.1:9/", **wanted})


if __name__ == "__main__":
    main()
