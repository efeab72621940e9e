"""`make bench`: measures citybrain beside its peers, round by round, and writes a table and a chart."""

import shutil
import sys
import time
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import click

from bench import contestants as who
from bench.chart import draw
from bench.measuring import Plan, Turn, take_turn
from bench.profiling import profile
from bench.reports import make_reports
from bench.stores import NotAvailable, Postgresql, open_store
from bench.table import WAYS, markdown, rates

MEASUREMENTS = 8  # that may use as many events as one may: twice three tries and one at half load
PEERS = {"naive": who.Naive, "celery": who.NaiveCelery, "dramatiq": who.NaiveDramatiq}


@click.command(context_settings={"show_default": True})
@click.option("--rounds", default=3)
@click.option("--seconds", default=5.0, help="How long one measurement should take.")
@click.option("--events", default=25_000, help="As many at most in one measurement.")
@click.option("--idle", default=60, help="Single events for the latency of an idle system.")
@click.option("--connections", default=64, help="For single POSTs.")
@click.option("--batch", default=1_000, help="Events in one NDJSON body.")
@click.option("--workers", default=2, help="citybrain's worker processes.")
@click.option("--store", type=click.Choice(["sqlite", "postgresql"]), default="sqlite", help="citybrain's.")
@click.option("--peers", default=",".join(PEERS), help="Of them, separated by commas.")
@click.option("--profile/--no-profile", "profiled", default=True, help="Say where the rest of the time goes.")
@click.option("--chart/--no-chart", "drawn", default=True, help="Draw the rates.")
@click.option("--work", type=click.Path(path_type=Path), default="build/bench", help="Folder of everything it writes.")
def main(
    rounds: int, seconds: float, events: int, idle: int, connections: int, batch: int, workers: int, store: str,
    peers: str, profiled: bool, drawn: bool, work: Path,
) -> None:  # fmt: skip
    """What an event costs in citybrain, and in the naive pipeline on three job queues."""
    plan = Plan(seconds, events, idle, connections, batch)
    kinds: list[Any] = [PEERS[name] for name in peers.split(",") if name]
    citybrain = partial(who.Citybrain, workers=workers, store=opened(store))
    runs, editions = (work / "runs").resolve(), (work / "editions").resolve()
    shutil.rmtree(runs, ignore_errors=True)
    tell(f"making {MEASUREMENTS * events:,} reports")
    reports = list(islice(make_reports(editions), MEASUREMENTS * events))
    turns: list[Turn] = []
    for number in range(1, rounds + 1):
        for kind in [*kinds, citybrain]:
            contestant = kind(runs / "data", editions)
            turns.append(take_turn(contestant, reports, plan, runs / "receiver"))
            tell(f"round {number}, {said(turns[-1])}")
            shutil.rmtree(runs)
    text = markdown(turns, plan, store, " ".join(["python -m bench", *sys.argv[1:]]))
    for way in WAYS if profiled else ():
        text += "\n" + profile(citybrain(runs / "data", editions), reports, plan, runs / "receiver", way) + "\n"
        shutil.rmtree(runs)
    (work / f"{store}.md").write_text(text)
    if drawn:
        draw(rates(turns), work / f"{store}.svg")
    click.echo(text)
    tell(f"written to {work}")


def opened(name: str) -> Postgresql | None:
    try:
        return open_store(name)
    except NotAvailable as error:
        raise click.ClickException(str(error)) from None


def said(turn: Turn) -> str:
    found = ", ".join(
        f"{way} {each.acknowledged:,.0f} acknowledged/s, {each.delivered:,.0f} delivered/s ({each.events:,} events)"
        for way, each in turn.sustained.items()
    )
    return f"{turn.contestant}: {found}"


def tell(text: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {text}", err=True)


if __name__ == "__main__":
    main()
