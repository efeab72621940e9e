"""Results of shards, as they are kept and added up, and the table that they make."""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from faults.campaign import TOGETHER, Outcome
from faults.checker import WRONG

COUNTS = ("attempted", "acknowledged", "recovered", "webhooks", "repeats", "answers")
BEGIN, END = "<!-- results: python -m faults --add FILES --into docs/faults.md -->", "<!-- end of results -->"
STORES = ("sqlite", "postgresql")
Result = dict[str, Any]


def result(outcome: Outcome, store: str, seed: int, shard: str, seconds: float) -> Result:
    return {
        "store": store, "seed": seed, "shard": shard, "seconds": round(seconds), "injections": outcome.injections,
        "recovery": outcome.recovery, **outcome.findings.as_dict(),
    }  # fmt: skip


def save(results: Sequence[Result], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False))


def load(paths: Iterable[Path]) -> list[Result]:
    return [each for path in paths for each in json.loads(path.read_text())]


def table(results: Sequence[Result]) -> str:
    """Markdown: what was counted by store, then every kind with how long recovering took."""
    stores = [store for store in STORES if any(each["store"] == store for each in results)]
    sums = {store: _sum([each for each in results if each["store"] == store]) for store in stores}
    rows = [["", *stores, "together"], ["---", *["---:"] * (len(stores) + 1)]]
    for name in ("shards", "minutes", "kinds", "injections", *COUNTS, *WRONG):
        figures = [sums[store][name] for store in stores]
        whole = len({kind for each in results for kind in each["injections"]}) if name == "kinds" else sum(figures)
        rows.append([name, *(f"{figure:,}" for figure in figures), f"{whole:,}"])
    return "\n".join(map(_row, rows)) + "\n\n" + _kinds(results, stores) + "\n"


def put(table: str, page: Path) -> None:
    """Between the page's two marks."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{table}{END}{after}")


def _sum(results: Sequence[Result]) -> Counter[str]:
    found: Counter[str] = Counter(
        {"shards": len(results), "minutes": round(sum(each["seconds"] for each in results) / 60)}
    )
    for each in results:
        found["injections"] += sum(each["injections"].values())
        for name in COUNTS:
            found[name] += each[name]
        for name in WRONG:
            found[name] += len(each[name])
    found["kinds"] = len({kind for each in results for kind in each["injections"]})
    return found


def _kinds(results: Sequence[Result], stores: Sequence[str]) -> str:
    recovery: dict[str, list[float]] = defaultdict(list)
    times: dict[str, Counter[str]] = defaultdict(Counter)
    for each in results:
        for kind, seconds in each["recovery"].items():
            recovery[kind] += seconds
        for kind, number in each["injections"].items():
            times[kind][each["store"]] += number
    rows = [["kind", *stores, "recovery p50 s", "p99", "max"], ["---", *["---:"] * (len(stores) + 3)]]
    rows += [
        [kind, *(str(times[kind][store] or "") for store in stores), *_spread(recovery[kind])]
        for kind in [*sorted(times), TOGETHER]
    ]
    return "\n".join(map(_row, rows))


def _spread(seconds: Sequence[float]) -> list[str]:
    if not seconds:
        return ["", "", ""]
    ordered = sorted(seconds)
    picked = (ordered[math.ceil(part * len(ordered)) - 1] for part in (0.5, 0.99, 1.0))
    return [f"{each:.1f}" for each in picked]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
