"""What is installed is complete: packs, pages and migrations are data, which is easily left out."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("citybrain", "domains", "geo", "workers")


def context() -> list[str]:
    """The entries that .dockerignore lets into the image's build."""
    lines = (ROOT / ".dockerignore").read_text().split()
    return [line.removeprefix("!") for line in lines if line.startswith("!")]


def test_a_wheel_built_from_what_the_image_gets_holds_every_file_of_the_packages(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for entry in context():
        copy = shutil.copytree if (ROOT / entry).is_dir() else shutil.copy
        copy(ROOT / entry, source / entry)
    build = [sys.executable, "-m", "pip", "wheel", str(source), "--no-deps", "--no-build-isolation", "-w", tmp_path]
    subprocess.run(build, check=True, capture_output=True, timeout=120)

    (wheel,) = tmp_path.glob("*.whl")
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    ours = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES]
    known = subprocess.run(ours, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")
    assert inside == {name for name in known if name and (ROOT / name).is_file()}
    assert {"citybrain/cities/meizhou/city.toml", "domains/grid/matters.toml"} < inside
