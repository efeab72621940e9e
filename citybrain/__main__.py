"""The commands of `citybrain`. Each is a few lines: what it does stands in the module that it calls."""

import os
import sys
import threading
from pathlib import Path
from typing import Any

import click

from citybrain import logs
from citybrain.commands import groups
from citybrain.commands.edition_group import edition
from citybrain.commands.terminal import answer, in_a_line, opened, told
from citybrain.config import Config

KEEP_ALIVE_SECONDS = 75  # longer than the usual clients keep a connection: none posts on one that is being closed
EXAMPLES = """\b
Examples (codes and coordinates are those of Meizhou, the built-in city):
  citybrain up --demo                          everything, with a demonstration stream
  citybrain keys create operator wang --divisions 441402
  citybrain locate 116.1222 24.2886 --datum gcj02
  citybrain explain event.json
  citybrain explain --event 0197…              what was decided, and whether it would be the same now
"""


@click.group(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="citybrain")
@click.pass_context
def main(context: click.Context) -> None:
    """citybrain: event routing for a city, 一网统管. Start everything with `citybrain up`."""
    logs.set_up(context.invoked_subcommand or "", os.environ.get("CITYBRAIN_LOG", ""))
    from citybrain.commands.environment import check_environment

    if mistakes := check_environment(os.environ):
        raise click.ClickException("\n".join(["the environment cannot be used", *map(str, mistakes)]))


@main.command()
@click.option("--data", type=click.Path(path_type=Path), help="Data folder (CITYBRAIN_DATA).")
@click.option("--port", type=click.IntRange(1, 65535), help="Default 8000 (CITYBRAIN_PORT).")
@click.option("--host", help="Default 127.0.0.1.")
@click.option("--workers", type=click.IntRange(1, 64), help="Worker processes, default 2.")
@click.option("--demo", is_flag=True, default=None, help="Feed a small realistic stream and receive its webhooks.")
def up(**flags: Any) -> None:
    """Start broker, API, console, workers and patrol on this machine. Ctrl-C stops all."""
    from citybrain.commands.prepare import how_to_sign_in, prepare
    from citybrain.commands.supervisor import Supervisor

    def start() -> None:
        config = Config.load(**flags)
        config = config.with_demonstration() if config.demo else config
        prepare(config)
        Supervisor(config, click.echo, how_to_sign_in(config.data)).run()

    told(start)


@main.command()
def migrate() -> None:
    """Bring the store to this version's tables and make the admin key valid. The other parts wait for it."""
    from citybrain.commands.prepare import prepare_store

    told(lambda: prepare_store(Config.load()))


@main.command()
@click.option("--port", type=click.IntRange(1, 65535))
@click.option("--host")
def serve(**flags: Any) -> None:
    """One API process (the store and broker are those of the environment)."""
    import uvicorn

    from citybrain.app import build
    from citybrain.store.migrate import await_tables

    config = Config.load(**flags)
    await_tables(config.database_url)
    here = opened(config)
    here.go_by_the_store()
    uvicorn.run(build(here), host=config.host, port=config.port, log_config=None, log_level="warning", access_log=False,
                timeout_graceful_shutdown=3, timeout_keep_alive=KEEP_ALIVE_SECONDS, server_header=False,
                date_header=True)  # fmt: skip


@main.command()
@click.argument("queues", nargs=-1)
def work(queues: tuple[str, ...]) -> None:
    """One worker. QUEUE: a domain's code or `dispatch`; without any, all of them."""
    _part("work", list(queues))


@main.command()
def patrol() -> None:
    """Ring for what is recorded but not moving, run the clocks, number the stream."""
    _part("patrol", [])


@main.command(hidden=True)
def demo() -> None:
    """The demonstration: a receiver that answers webhooks, and a small stream of events."""
    from citybrain.commands.demo import run

    run(Config.load())


_ROOT_FILE = "Roots of the ledger, exported earlier and kept elsewhere, to hold the store against."


@main.command()
@click.option("--city", type=click.Path(path_type=Path), help="City pack folder (CITYBRAIN_CITY).")
@click.option("--store", is_flag=True, help="Check the store's invariants instead.")
@click.option("--root", type=click.Path(exists=True, dir_okay=False, path_type=Path), help=_ROOT_FILE)
def check(city: Path | None, store: bool, root: Path | None) -> None:
    """Validate the city pack and all domain packs, or the store; every mistake is listed."""
    from citybrain.commands import check as checks
    from citybrain.store.roots import WrongRoots

    if root and not store:
        raise click.UsageError("--root goes with --store")
    config = Config.load(city=city.resolve() if city else None)
    config.make_data()
    try:
        lines, good = checks.check_store(config, root) if store else checks.check_packs(config)
    except WrongRoots as error:
        raise click.ClickException(f"{root}: {error}") from None
    for line in lines:
        click.echo(line)
    sys.exit(0 if good else 1)


@main.command()
@click.option("--to", metavar="URL", help="An empty database: postgresql://user:password@host/name")
@click.option("--give-up", "gives_up", is_flag=True, help="Forget a copy that was interrupted.")
def copy(to: str | None, gives_up: bool) -> None:
    """Move an installation, also a running one, from SQLite to PostgreSQL, and compare every row of both."""
    from citybrain.commands.copy import CopyDiffers, CopyRefused, give_up
    from citybrain.commands.copy import copy as move
    from citybrain.store.database import StoreUnavailable

    if gives_up == bool(to):
        raise click.UsageError("name the new database with --to URL, or --give-up")
    try:
        if to:
            move(Config.load(), to, click.echo)
        else:
            give_up(Config.load())
    except (CopyDiffers, CopyRefused, StoreUnavailable) as error:
        raise click.ClickException(str(error)) from None


@main.command()
@click.argument("target", metavar="FILE|DIR", type=click.Path(path_type=Path))
def backup(target: Path) -> None:
    """Write the whole record, as it is at this moment, into a new file; the installation may run meanwhile."""
    from citybrain.commands.backup import BackupRefused
    from citybrain.commands.backup import backup as write

    told(lambda: write(Config.load(), target.resolve(), click.echo), BackupRefused)


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def restore(file: Path) -> None:
    """Make an installation of a backup, in an empty data folder or database, and check what it promises."""
    from citybrain.commands.restore import RestoreBroken, RestoreRefused
    from citybrain.commands.restore import restore as read

    told(lambda: read(Config.load(), file.resolve(), click.echo), RestoreRefused, RestoreBroken)


@main.command(context_settings={"ignore_unknown_options": True})  # half of the world has negative longitudes
@click.argument("lng", type=float, required=False)
@click.argument("lat", type=float, required=False)
@click.option("--datum", help="wgs84, cgcs2000, gcj02, bd09, epsg:NNNN; default: the city's.")
@click.option("--accuracy", type=click.FloatRange(min=0), metavar="METRES", help="Radius of what is uncertain.")
@click.option("--explain", "explained", is_flag=True, help="Every polygon that was tried, and why the winner won.")
@click.option("--csv", "source", metavar="FILE", help="Place every line of a CSV file instead; `-` is standard input.")
@click.option("--to", "target", default="-", metavar="FILE", help="For the lines with their places.  [default: stdout]")
@click.option("--lng", "lng_column", metavar="COLUMN", help="Default: lng, lon, longitude, x or 经度.")
@click.option("--lat", "lat_column", metavar="COLUMN", help="Default: lat, latitude, y or 纬度.")
@click.option("--accuracy-column", metavar="COLUMN", help="Metres, where a line has some.")
@click.option("--encoding", default="utf-8-sig", show_default=True, help="Of the file, such as gb18030.")
@click.option("--delimiter", default=",", show_default=True)
@click.option("--prefix", default="place_", show_default=True, help="Of the columns that are added.")
def locate(
    lng: float | None, lat: float | None, datum: str | None, accuracy: float | None, explained: bool,
    lng_column: str | None, lat_column: str | None, accuracy_column: str | None, **file: Any,
) -> None:  # fmt: skip
    """Where a point is, or each line of a CSV file.

    \b
    Examples in Meizhou:
      citybrain locate 116.1222 24.2886 --datum gcj02 --explain
      citybrain locate --csv points.csv --to placed.csv --lng X --lat Y --datum bd09
    """
    from citybrain.commands.locate import Table, locate_csv
    from citybrain.intake.placing import explain_place, place_of

    if (file["source"] is None) != (lng is not None and lat is not None):
        raise click.UsageError("either LNG and LAT, or --csv FILE")
    if file["source"] is None:
        location = {"lng": lng, "lat": lat, "datum": datum, "accuracy_m": accuracy}
        known = {field: value for field, value in location.items() if value is not None}
        answer(lambda here: (explain_place if explained else place_of)(known, here))
    else:
        table = Table(lng=lng_column, lat=lat_column, accuracy=accuracy_column, datum=datum, **file)
        told(lambda: click.echo(locate_csv(table, opened(Config.load())), err=True))


@main.command()
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--event", metavar="ID", help="A recorded event: what was decided, and whether it would be the same now.")
def explain(file: Any, event: str | None) -> None:
    """Where the event in FILE would go, and why: a dry run, nothing is stored. `-` is standard input."""
    from citybrain.commands.explain import explain_event, explain_recorded

    if (file is None) == (event is None):
        raise click.UsageError("either FILE with an event, or --event with the id of a recorded one")
    body = file.read() if file else b""
    answer(lambda here: explain_recorded(event, here) if event else explain_event(body, here))


@main.command("decode")
@click.argument("protocol")
@click.argument("file", type=click.File("rb"))
def decode_frames(protocol: str, file: Any) -> None:
    """The frames in FILE as JSON, one object a line; PROTOCOL is hj212, sl651, gb26875 or cap.

    A text file has a frame a line, binary protocols in hexadecimal; a file of their bytes is taken as it is. `-` is
    standard input. A refused frame is {"error", "offset", "line"}, and then the exit code is 1.
    """
    from citybrain.commands.decode import decode, zone_of
    from citybrain.domain import NoCodec, find_codec

    def start() -> bool:
        tally = decode(find_codec(protocol), file, zone_of(Config.load().city), in_a_line)
        click.echo(tally, err=True)
        return tally.refused == 0

    sys.exit(0 if told(start, NoCodec) else 1)


@main.command()
@click.option("--domain", metavar="CODE")
@click.option("--type", "type_", metavar="CODE")
@click.option("--division", metavar="CODE")
@click.option("--csv", "target", metavar="FILE", help="All of it as a table; `-` is standard output.")
@click.option("--each", is_flag=True, help="In the table every pair of type and place.")
def responsibility(target: str | None, each: bool, **part: str | None) -> None:
    """Where no department answers for which types 责任地图, before an event falls there."""
    from citybrain.api import vacancies
    from citybrain.commands.vacancies import summary, write

    def tell() -> None:
        asked = vacancies.part(opened(Config.load()), None, **part)
        write(asked, target, each) if target else click.echo("\n".join(summary(asked)))

    told(tell)


def _part(name: str, queues: list[str]) -> None:
    """Workers are found by entry point: the service does not import them."""
    from importlib.metadata import entry_points

    from citybrain.broker import BrokerError
    from citybrain.store.migrate import await_tables

    await_tables(Config.load().database_url)
    (entry,) = entry_points(group="citybrain.parts", name=name)
    try:
        entry.load()(queues)
    except BrokerError as error:
        raise click.ClickException(str(error)) from None


for group in (groups.keys, groups.ledger, groups.city, groups.domain, edition):
    main.add_command(group)

if __name__ == "__main__":
    threading.current_thread().name = "main"
    main()
