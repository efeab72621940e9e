"""What is installed is complete: packs, pages and migrations are data, which is easily left out."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LEAFLET = ("leaflet.js", "leaflet.css", "LICENSE")
NOBODY = "http://127.0.0.1:9"  # a registry that is not there
PACKAGES = ("citybrain", "domains", "geo", "workers")


VENDOR = "citybrain/console/static/vendor"
BUILD = [sys.executable, "-m", "hatchling", "build"]


def context() -> list[str]:
    """The entries that .dockerignore lets into the image's build."""
    lines = (ROOT / ".dockerignore").read_text().split()
    return [line.removeprefix("!") for line in lines if line.startswith("!")]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """What the image is built from, without what others wrote."""
    source = tmp_path / "source"
    source.mkdir()
    for entry in context():
        if (ROOT / entry).is_dir():
            shutil.copytree(ROOT / entry, source / entry, ignore=shutil.ignore_patterns("vendor", "__pycache__"))
        else:
            shutil.copy(ROOT / entry, source / entry)
    return source


def run(argv: list[Any], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, cwd=folder, env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False
    )


def in_wheel(wheel: Path) -> set[str]:
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


def test_a_wheel_built_from_what_the_image_gets_holds_every_file_of_the_packages(source: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / VENDOR, source / VENDOR)  # as it was installed for this test; so nothing is fetched
    built = run([sys.executable, "-m", "pip", "wheel", source, "--no-deps", "--no-build-isolation", "-w", tmp_path],
                tmp_path, npm_config_registry=NOBODY)  # fmt: skip
    assert built.returncode == 0, built.stderr

    (wheel,) = tmp_path.glob("*.whl")
    ours = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES]
    known = subprocess.run(ours, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")
    theirs = {f"{VENDOR}/{name}" for name in ("stamp", *(f"leaflet/{each}" for each in LEAFLET))}
    assert in_wheel(wheel) == {name for name in known if name and (ROOT / name).is_file()} | theirs
    assert {"citybrain/cities/meizhou/city.toml", "domains/grid/matters.toml"} < in_wheel(wheel)


def test_an_sdist_holds_what_others_wrote_and_becomes_a_wheel_without_any_network(source: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / VENDOR, source / VENDOR)
    made = run([*BUILD, "-t", "sdist", "-d", tmp_path], source, npm_config_registry=NOBODY)
    assert made.returncode == 0, made.stderr
    (sdist,) = tmp_path.glob("*.tar.gz")
    shutil.unpack_archive(sdist, tmp_path / "unpacked")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert run([*BUILD, "-t", "wheel", "-d", tmp_path], unpacked, npm_config_registry=NOBODY).returncode == 0
    (wheel,) = tmp_path.glob("*.whl")
    assert {f"{VENDOR}/leaflet/{name}" for name in LEAFLET} < in_wheel(wheel)


def test_a_build_that_cannot_fetch_says_what_and_what_to_do(source: Path, tmp_path: Path) -> None:
    alone = {
        "npm_config_registry": NOBODY,
        "npm_config_cache": str(tmp_path / "cache"),
        "npm_config_fetch_retries": "0",
    }
    built = run([*BUILD, "-t", "wheel", "-d", tmp_path], source, **alone)
    assert built.returncode == 1
    assert "the pages need leaflet, which could not be fetched" in built.stderr
    assert "npm_config_registry" in built.stderr
    assert "Traceback" not in built.stderr
    assert not list(tmp_path.glob("*.whl"))


def test_the_lock_names_no_address_and_has_a_hash_for_everything() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    theirs = [each for name, each in packages.items() if name]
    assert all(each["integrity"].startswith("sha512-") and "resolved" not in each for each in theirs)
    assert not subprocess.run(["git", "ls-files", VENDOR], cwd=ROOT, capture_output=True, check=True).stdout
