"""One campaign on one store from an empty folder to the checker, and control runs, which must fail."""

import atexit
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from random import Random

import click
import uvloop

from faults import smalldisk
from faults.campaign import SETTLE_SECONDS, Campaign, Outcome, Step
from faults.inside.planted import BUGS
from faults.installation import Installation
from faults.kinds import KINDS

CONTROL_SETTLE = 20.0
CONTROL_STEPS = 2
CONTROL_RATE = 60.0
SHOWN = 10


def run(
    store: str, steps: Callable[[Installation], Iterator[Step]], goes_on: Callable[[Campaign], bool], seed: int,
    rate: float, editions: Path, work: Path, planted: str = "", settle: float = SETTLE_SECONDS,
) -> Outcome:  # fmt: skip
    folder = (work / f"{planted.replace(' ', '-') or 'campaign'}-{store}-{seed}").resolve()  # kept for whoever asks why
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    editions.mkdir(parents=True, exist_ok=True)
    disk, small = _disk()
    tell(f"{store}{f', planted: {planted}' if planted else ''}; logs in {folder}")
    here = Installation(folder, disk, editions.resolve(), store, Random(seed), small, planted)
    campaign = Campaign(here, folder, seed, rate, tell, settle)
    try:
        return uvloop.run(campaign.run(steps(here), goes_on))
    finally:
        here.end()
        shutil.rmtree(disk, ignore_errors=True)
        disk.mkdir(mode=0o755)


def finds(bug: str, stores: Sequence[str], editions: Path, work: Path) -> bool:
    """Whether the campaign fails on a planted bug, on each store, and for the right reason."""

    def steps(_here: Installation) -> Iterator[Step]:
        return iter([Step((KINDS[name],), quiet=True) for name in BUGS[bug].revealed_by * CONTROL_STEPS])

    def not_yet(campaign: Campaign) -> bool:
        return not campaign.late

    found = True
    for store in stores:
        outcome = run(store, steps, not_yet, 1, CONTROL_RATE, editions, work, bug, CONTROL_SETTLE)
        as_ = [name for name in BUGS[bug].as_ if name in outcome.findings.wrong]
        tell(f"planted on {store}: {bug}: " + (f"found ({', '.join(as_)})" if as_ else "NOT FOUND"))
        tell_wrong(outcome)
        found = found and bool(as_)
    return found


@cache
def _disk() -> tuple[Path, bool]:
    """A folder for the store that everybody may enter, empty; and whether it is on a small disk of its own."""
    outer = Path(tempfile.mkdtemp(prefix="citybrain-faults-"))
    outer.chmod(0o755)
    atexit.register(shutil.rmtree, outer, ignore_errors=True)
    if small := smalldisk.mount(outer):
        atexit.register(smalldisk.unmount, outer)  # before it is removed
    else:
        tell("this kernel gives us no small disk: it will not be full")
    (outer / "store").mkdir()
    return outer / "store", small


def tell_wrong(outcome: Outcome) -> None:
    for name, each in outcome.findings.wrong.items():
        tell(f"{name}: {len(each)}\n  " + "\n  ".join(each[:SHOWN]))


def tell(text: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {text}", err=True)
