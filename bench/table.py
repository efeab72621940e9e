"""The results as Markdown: medians over the rounds with their spread, and each beside the naive pipeline."""

import os
import platform
import sqlite3
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from itertools import chain
from statistics import median
from typing import NamedTuple

import numpy as np

from bench.contestants import Naive
from bench.measuring import Latency, Plan, Sustained, Turn

WAYS = {"single": "single POSTs", "batch": "NDJSON"}
PACKAGES = ("uvicorn", "fastapi", "sqlalchemy", "rq", "celery", "dramatiq", "requests")


class Rate(NamedTuple):
    """One line of the first table, and one bar of the chart."""

    name: str
    acknowledged: float
    delivered: float
    lowest: float
    highest: float
    times_naive: float | None


def rates(turns: Sequence[Turn]) -> list[Rate]:
    """The median of each contestant and way, the slowest first."""
    found = []
    naive = [turn.sustained["single"].delivered for turn in turns if turn.contestant == Naive.name]
    for contestant, way, each in _by_way(turns):
        delivered = [one.delivered for one in each]
        name = f"{contestant}, {WAYS[way]}" if way == "batch" or contestant == "citybrain" else contestant
        ratio = median(delivered) / median(naive) if naive else None
        acknowledged = median(one.acknowledged for one in each)
        found.append(Rate(name, acknowledged, median(delivered), min(delivered), max(delivered), ratio))
    return sorted(found, key=lambda rate: rate.delivered)


def markdown(turns: Sequence[Turn], plan: Plan, store: str, command: str) -> str:
    parts = [_head(turns, plan, store, command), _rates(turns), _latencies(turns), _cpu(turns), _memory(turns)]
    return "\n\n".join(parts) + "\n"


def _head(turns: Sequence[Turn], plan: Plan, store: str, command: str) -> str:
    rounds = max(sum(turn.contestant == name for turn in turns) for name in {turn.contestant for turn in turns})
    loads = [turn.load for turn in turns]
    lost = sum(one.lost for turn in turns for one in turn.sustained.values())
    return "\n".join([
        f"`{command}`: {rounds} round(s), all contestants in turn in each, {plan.connections} connections for single "
        f"POSTs, {plan.batch} events an NDJSON batch, citybrain on {store}.",
        f"{_machine()}; load average before the turns {min(loads):.1f} to {max(loads):.1f}. Every event is "
        f"acknowledged after a durable commit and leads to one signed webhook; lost: {lost}.",
    ])  # fmt: skip


def _rates(turns: Sequence[Turn]) -> str:
    rows = [
        [
            rate.name, f"{rate.acknowledged:,.0f}", f"{rate.delivered:,.0f}", f"{rate.lowest:,.0f}-{rate.highest:,.0f}",
            f"{rate.times_naive:,.1f} x" if rate.times_naive else "–",
        ]
        for rate in rates(turns)
    ]  # fmt: skip
    return lines(["sustained", "acknowledged/s", "webhooks received/s", "spread", "beside naive"], rows)


def _latencies(turns: Sequence[Turn]) -> str:
    rows = []
    for name in _names(turns):
        mine = [turn for turn in turns if turn.contestant == name]
        rows.append([f"{name}, idle", *_percentiles([turn.idle for turn in mine if turn.idle])])
        half = {way: _percentiles([turn.half[way] for turn in mine]) for way in mine[0].half}
        rows += [[f"{name}, {WAYS[way]} at half load", *cells] for way, cells in half.items()]
    return lines(["milliseconds", "to 202, p50", "p99", "202 to webhook, p50", "p99"], rows)


def _percentiles(latencies: Sequence[Latency]) -> list[str]:
    """Of all rounds together."""
    cells = []
    for values in ((each.acknowledged for each in latencies), (each.delivered for each in latencies)):
        whole = list(chain.from_iterable(values))
        cells += [f"{at:,.1f}" for at in np.percentile(whole, (50, 99))] if whole else ["–", "–"]
    return cells


def _cpu(turns: Sequence[Turn]) -> str:
    parts = _parts(turns)
    rows = []
    for contestant, way, each in _by_way(turns):
        used = {part: median(one.cpu_ms.get(part, 0.0) for one in each) for part in parts}
        cells = [f"{used[part]:.3f}" if used[part] else "–" for part in parts]
        stored = median(one.stored_bytes for one in each)
        rows.append([f"{contestant}, {WAYS[way]}", *cells, f"{sum(used.values()):.3f}", f"{stored:,.0f}"])
    return lines(["CPU ms an event", *parts, "all", "stored bytes an event"], rows)


def _memory(turns: Sequence[Turn]) -> str:
    parts = _parts(turns)
    rows = []
    for name in _names(turns):
        held = [turn.memory for turn in turns if turn.contestant == name]
        cells = [
            f"{held[0][part].processes}: {median(one[part].rss for one in held if part in one):,.0f} / "
            f"{median(one[part].pss for one in held if part in one):,.0f}" if part in held[0] else "–"
            for part in parts
        ]  # fmt: skip
        rows.append([name, *cells, f"{median(sum(part.pss for part in one.values()) for one in held):,.0f}"])
    return lines(["processes: MiB RSS / PSS", *parts, "all, PSS"], rows)


def _by_way(turns: Sequence[Turn]) -> Iterable[tuple[str, str, list[Sustained]]]:
    for name in _names(turns):
        mine = [turn for turn in turns if turn.contestant == name]
        for way in mine[0].sustained:
            yield name, way, [turn.sustained[way] for turn in mine]


def _names(turns: Sequence[Turn]) -> list[str]:
    return list(dict.fromkeys(turn.contestant for turn in turns))


def _parts(turns: Sequence[Turn]) -> list[str]:
    return list(dict.fromkeys(part for turn in turns for part in turn.memory))


def lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    aligned = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, aligned, *rows])


def _machine() -> str:
    names = [f"{name} {version(name)}" for name in PACKAGES if find_spec(name)]
    versions = [f"Python {platform.python_version()}", f"SQLite {sqlite3.sqlite_version}", *names]
    return f"{os.cpu_count()} cores, {', '.join(versions)}"
