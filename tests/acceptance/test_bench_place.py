"""The locator's benchmark runs, agrees with its peers and writes its tables, and its plot where there is what plots."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.long
def test_the_locators_bench_writes_its_tables_and_its_plot(tmp_path: Path) -> None:
    few = ["--polygons", "60", "--points", "50", "400", "--levels", "4", "30", "--no-postgis"]
    drawn = [] if (plots := find_spec("matplotlib") is not None) else ["--no-chart"]
    out = ["--chart", str(tmp_path / "chart.svg"), "--table", str(tmp_path / "table.md"), *drawn]
    argv = [sys.executable, "-m", "bench.place", *few, *out]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    text = (tmp_path / "table.md").read_text()
    for peer in ("citybrain", "STRtree covered_by", "geopandas.sjoin", "prepared, one by one"):
        assert f"| {peer} " in text
    assert text.count("\n| 60 | ") == 3
    assert "Levels of 4, 30 polygons together" in text
    assert not plots or "<svg" in (tmp_path / "chart.svg").read_text()
