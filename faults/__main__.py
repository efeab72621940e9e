"""`python -m faults`: a seeded campaign on SQLite, PostgreSQL or both, control runs with planted bugs, and the sum of
earlier results."""

import atexit
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from random import Random

import click
import uvloop

from faults import results, smalldisk
from faults.campaign import SETTLE_SECONDS, Campaign, Outcome, Step, plan, usable
from faults.checker import WRONG
from faults.inside.planted import BUGS
from faults.installation import Installation
from faults.kinds import KINDS, STORES

END_SECONDS = 20.0  # of the given time are kept for the end and the checker
CONTROL_SETTLE = 20.0
CONTROL_TIMES = 2
SHOWN = 10


@click.command(context_settings={"show_default": True})
@click.option("--seed", default=1)
@click.option("--minutes", type=float, help="As long as this on each store.  [default: 5, without --events]")
@click.option("--events", type=int, help="Until so many are acknowledged on each store.")
@click.option("--store", "stores", type=click.Choice(STORES), multiple=True, help="Default: one after the other.")
@click.option("--shard", default="1/1", metavar="I/N", help="The I-th of N parts of the seed's plan.")
@click.option("--only", multiple=True, type=click.Choice(sorted(KINDS)), metavar="KIND")
@click.option("--rate", default=60.0, help="Events a second, beside bursts.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the results there, to be added up later.")
@click.option("--control", multiple=True, metavar="BUG", help=f"Plant a bug that must be found: all, {', '.join(BUGS)}.")
@click.option("--add", "added", is_flag=True, help="Print the sum of the result FILES instead.")
@click.option("--kinds", "listed", is_flag=True, help="Print the kinds instead.")
@click.option("--editions", type=click.Path(path_type=Path), default=".pytest_cache/editions", help="Compiled ground.")
@click.option("--work", type=click.Path(path_type=Path), default="build/faults", help="Folder of logs and ledgers.")
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
def main(
    seed: int, minutes: float | None, events: int | None, stores: tuple[str, ...], shard: str, only: tuple[str, ...],
    rate: float, out: Path | None, control: tuple[str, ...], added: bool, listed: bool, editions: Path, work: Path,
    files: tuple[Path, ...],
) -> None:  # fmt: skip
    """Breaks a running installation on purpose and proves that nothing was lost."""
    if listed:
        click.echo("\n".join(KINDS))
    elif added:
        click.echo(results.table(results.load(files)))
    elif control:
        sys.exit(not all([_finds(bug, stores or STORES[:1], editions, work) for bug in _bugs(control)]))
    else:
        minutes = minutes or (None if events else 5.0)
        part, parts = map(int, shard.split("/"))
        made = []
        for store in stores or STORES:
            began = time.monotonic()

            def goes_on(campaign: Campaign, began: float = began) -> bool:
                if minutes and time.monotonic() - began > 60 * minutes - END_SECONDS:
                    return False
                return not events or len(campaign.load.acknowledged) < events

            def steps(here: Installation) -> Iterator[Step]:
                return plan(seed, usable(here, only), part, parts)

            outcome = run(store, steps, goes_on, seed * 1000 + part, rate, editions, work)
            made.append(results.result(outcome, store, seed, shard, time.monotonic() - began))
            tell_wrong(outcome)
        if out:
            results.save(made, out)
        click.echo(results.table(made))
        sys.exit(any(each[name] for each in made for name in WRONG))


def run(
    store: str, steps: Callable[[Installation], Iterator[Step]], goes_on: Callable[[Campaign], bool], seed: int,
    rate: float, editions: Path, work: Path, planted: str = "", settle: float = SETTLE_SECONDS,
) -> Outcome:  # fmt: skip
    folder = (work / f"{planted.replace(' ', '-') or 'campaign'}-{store}").resolve()
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


def _finds(bug: str, stores: Sequence[str], editions: Path, work: Path) -> bool:
    """Whether the campaign fails on a planted bug, on each store."""
    found = True
    for store in stores:
        kinds = [KINDS[name] for name in BUGS[bug].revealed_by]
        steps = [Step((kind,), quiet=True) for kind in kinds * CONTROL_TIMES]
        outcome = run(store, lambda _, steps=steps: iter(steps), lambda here: not here.late, 1, 60.0, editions, work, bug, CONTROL_SETTLE)  # type: ignore[misc]
        as_ = [name for name in BUGS[bug].as_ if name in outcome.findings.wrong]
        tell(f"planted on {store}: {bug}: " + (f"found ({', '.join(as_)})" if as_ else "NOT FOUND"))
        tell_wrong(outcome)
        found = found and bool(as_)
    return found


def _bugs(given: Sequence[str]) -> list[str]:
    bugs = list(BUGS) if "all" in given else list(given)
    for bug in bugs:
        if bug not in BUGS:
            raise click.BadParameter(f"no bug {bug!r}; there are {', '.join(BUGS)}")
    return bugs


def tell_wrong(outcome: Outcome) -> None:
    for name, each in outcome.findings.wrong.items():
        tell(f"{name}: {len(each)}\n  " + "\n  ".join(each[:SHOWN]))


def tell(text: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {text}", err=True)


if __name__ == "__main__":
    main()
