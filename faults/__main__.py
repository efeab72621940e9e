"""`python -m faults`: a seeded campaign on SQLite, PostgreSQL or both, control runs with planted bugs, and the sum of
earlier results."""

import math
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

from faults import results
from faults.campaign import SETTLE_SECONDS, Campaign, Step, plan, usable
from faults.checker import WRONG
from faults.inside.planted import BUGS
from faults.installation import Installation
from faults.kinds import KINDS, STORES
from faults.running import finds, run, tell_wrong

MINUTES = 5.0
LONGEST_PART = 0.25  # of the given time: kinds that take longer are left to longer runs
BUG = click.Choice([*BUGS, "all"])


@click.command(context_settings={"show_default": True})
@click.option("--seed", default=1)
@click.option("--minutes", type=float, help=f"Break so long on each store.  [default: {MINUTES:g}, without --events]")
@click.option("--events", type=int, help="Until so many are acknowledged on each store.")
@click.option("--store", "stores", type=click.Choice(STORES), multiple=True, help="Default: one after the other.")
@click.option("--shard", default="1/1", metavar="I/N", help="The I-th of N parts of the seed's plan.")
@click.option("--only", multiple=True, type=click.Choice(sorted(KINDS)), metavar="KIND")
@click.option("--rate", default=60.0, help="Events a second, beside bursts.")
@click.option("--settle", default=SETTLE_SECONDS, help="Seconds after healing until which all has to be settled.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the results there, to be added up later.")
@click.option("--control", multiple=True, type=BUG, help="Plant a bug that must be found instead.")
@click.option("--add", "added", is_flag=True, help="Print the sum of the result FILES instead.")
@click.option("--into", type=click.Path(exists=True, path_type=Path), help="Put the sum into this page.")
@click.option("--kinds", "listed", is_flag=True, help="Print the kinds instead.")
@click.option("--editions", type=click.Path(path_type=Path), default=".pytest_cache/editions", help="Compiled ground.")
@click.option("--work", type=click.Path(path_type=Path), default="build/faults", help="Folder of logs and ledgers.")
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
def main(
    seed: int, minutes: float | None, events: int | None, stores: tuple[str, ...], shard: str, only: tuple[str, ...],
    rate: float, settle: float, out: Path | None, control: tuple[str, ...], added: bool, into: Path | None,
    listed: bool, editions: Path, work: Path, files: tuple[Path, ...],
) -> None:  # fmt: skip
    """Breaks a running installation on purpose and proves that nothing was lost."""
    if listed:
        click.echo("\n".join(KINDS))
        return
    if added:
        told = results.table(results.load(files))
        results.put(told, into) if into else click.echo(told)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # not without ending what was started
    if control:
        bugs = list(BUGS) if "all" in control else control
        found = [finds(bug, stores or STORES[:1], editions, work) for bug in bugs]
        sys.exit(not all(found))
    minutes = minutes or (None if events else MINUTES)
    part, parts = map(int, shard.split("/"))
    made = []
    for store in stores or STORES:
        began = time.monotonic()

        def goes_on(campaign: Campaign) -> bool:
            if minutes and time.monotonic() - campaign.begun > 60 * minutes:
                return False
            return not events or len(campaign.load.acknowledged) < events

        def steps(here: Installation) -> Iterator[Step]:
            longest = 60 * minutes * LONGEST_PART if minutes else math.inf
            return plan(seed, usable(here, longest, only), part, parts)

        outcome = run(store, steps, goes_on, seed * 1000 + part, rate, editions, work, settle=settle)
        made.append(results.result(outcome, store, seed, shard, time.monotonic() - began))
        tell_wrong(outcome)
    if out:
        results.save(made, out)
    click.echo(results.table(made))
    sys.exit(any(each[name] for each in made for name in WRONG))


if __name__ == "__main__":
    main()
