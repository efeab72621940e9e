"""The benchmark measures citybrain on a handful of events; how fast it is, and its peers, are not judged here."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
FEW = "--rounds 1 --seconds 0.2 --events 60 --idle 2 --batch 20 --connections 4 --no-profile --no-chart"


@pytest.mark.long
def test_the_bench_writes_its_tables(tmp_path: Path, editions: Path) -> None:
    (tmp_path / "editions").symlink_to(editions)
    argv = [sys.executable, "-m", "bench", *FEW.split(), "--peers", "", "--work", str(tmp_path)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    text = (tmp_path / "sqlite.md").read_text()
    assert "; lost: 0." in text
    rates, latencies, costs, memory = text.split("\n\n")[1:]
    assert names(rates) == {"citybrain, single POSTs", "citybrain, NDJSON"}
    half = {"citybrain, single POSTs at half load", "citybrain, NDJSON at half load"}
    assert names(latencies) == {"citybrain, idle"} | half
    assert all(re.search(r"\d", cell) for row in rows(latencies) for cell in row[1:])
    assert names(costs) == {"citybrain, single POSTs", "citybrain, NDJSON"}
    assert names(memory) == {"citybrain"}
    for heading in ("broker", "api", "workers", "patrol"):
        assert heading in costs.splitlines()[0]
        assert heading in memory.splitlines()[0]


def rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def names(table: str) -> set[str]:
    return {row[0] for row in rows(table)}
