"""The guides to another city and another domain hold: their commands are run as they stand there, from nothing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def follow(guide: str, folder: Path, editions: Path) -> str:
    """Runs every `sh` block of the guide, one after the other in one shell that stops at the first failure."""
    text = (ROOT / "docs" / guide).read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert blocks
    programs = folder / "bin"
    programs.mkdir()
    for name, argv in (("citybrain", "-m citybrain "), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {argv}"$@"\n')
        (programs / name).chmod(0o755)
    (folder / "data").mkdir()
    (folder / "data" / "editions").symlink_to(editions)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CITYBRAIN_")}
    own = {"PATH": f"{programs}:{os.environ['PATH']}", "CITYBRAIN_DATA": str(folder / "data")}
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", "\n".join(blocks)],
        cwd=folder, env=inherited | own, capture_output=True, text=True, timeout=560, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.long
@pytest.mark.timeout(600)
def test_another_city_is_made_by_following_its_guide(tmp_path: Path, editions: Path) -> None:
    told = follow("new-city.md", tmp_path, editions)
    assert told.count("all packs are right") == 5  # a sixth is read by grep alone
    assert "no department: " in told
    assert '"name": "Precinct North"' in told
    assert '"lead": "fire"' in told
    assert "parks: 1 types, 2 examples (the city pack's own)" in told
    assert '"type": "parks.fallen_tree"' in told
    assert '"lead": "works"' in told


@pytest.mark.long
@pytest.mark.timeout(600)
def test_another_domain_is_made_by_following_its_guide(tmp_path: Path, editions: Path) -> None:
    told = follow("new-domain.md", tmp_path, editions)
    assert told.count("all packs are right") == 2
    (mistake,) = [line for line in told.splitlines() if line.startswith("mistake: ")]
    assert "type culture.crowding, example 2 (闸机计数): to reach its own type" in mistake
    assert "culture: 3 types, 6 examples" in told
    assert '"type": "culture.crowding"' in told
    assert '"lead": "441402-wl"' in told
