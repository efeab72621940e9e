"""The commands of `citybrain`. Each is a few lines: what it does stands in the module that it calls."""

import json
import logging
import os
import sys
import threading
from pathlib import Path
from typing import Any

import click

from citybrain.commands.edition_group import edition_group
from citybrain.config import Config
from geo.mistake import Mistakes

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
def main() -> None:
    """citybrain: event routing for a city, 一网统管. Start everything with `citybrain up`."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("alembic").setLevel(logging.WARNING)
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
    from citybrain.commands.prepare import prepare
    from citybrain.commands.supervisor import Supervisor

    def start() -> None:
        config = Config.load(**flags)
        config = config.with_demonstration() if config.demo else config
        prepare(config)
        Supervisor(config, click.echo).run()

    _told(start)


@main.command()
def migrate() -> None:
    """Bring the store to this version's tables and make the admin key valid. The other parts wait for it."""
    from citybrain.commands.prepare import prepare_store

    _told(lambda: prepare_store(Config.load()))


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
    here = _open(config)
    uvicorn.run(build(here), host=config.host, port=config.port, log_level="warning", access_log=False,
                timeout_graceful_shutdown=3, server_header=False, date_header=True)  # fmt: skip


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


@main.command()
@click.option("--city", type=click.Path(path_type=Path), help="City pack folder (CITYBRAIN_CITY).")
@click.option("--store", is_flag=True, help="Check the store's invariants instead.")
def check(city: Path | None, store: bool) -> None:
    """Validate the city pack and all domain packs, or the store; every mistake is listed."""
    from citybrain.commands import check as checks

    config = Config.load(city=city.resolve() if city else None)
    config.make_data()
    lines, good = checks.check_store(config) if store else checks.check_packs(config)
    for line in lines:
        click.echo(line)
    sys.exit(0 if good else 1)


@main.command()
@click.option("--to", required=True, metavar="URL", help="An empty database: postgresql://user:password@host/name")
def copy(to: str) -> None:
    """Move a stopped installation from SQLite to PostgreSQL, and compare every row of both."""
    from citybrain.commands.copy import CopyRefused
    from citybrain.commands.copy import copy as move
    from citybrain.commands.supervisor import AlreadyRunning
    from citybrain.store.database import StoreUnavailable

    try:
        sys.exit(0 if move(Config.load(), to, click.echo) else 1)
    except (AlreadyRunning, CopyRefused, StoreUnavailable) as error:
        raise click.ClickException(str(error)) from None


@main.command(context_settings={"ignore_unknown_options": True})  # half of the world has negative longitudes
@click.argument("lng", type=float)
@click.argument("lat", type=float)
@click.option("--datum", help="wgs84, cgcs2000, gcj02, bd09, epsg:NNNN; default: the city's.")
def locate(lng: float, lat: float, datum: str | None) -> None:
    """Where a point is. Example in Meizhou: citybrain locate 116.1222 24.2886 --datum gcj02"""
    from citybrain.intake.placing import place_of

    location = {"lng": lng, "lat": lat} | ({"datum": datum} if datum else {})
    _answer(lambda here: place_of(location, here))


@main.command()
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--event", metavar="ID", help="A recorded event: what was decided, and whether it would be the same now.")
def explain(file: Any, event: str | None) -> None:
    """Where the event in FILE would go, and why: a dry run, nothing is stored. `-` is standard input."""
    from citybrain.commands.explain import explain_event, explain_recorded

    if (file is None) == (event is None):
        raise click.UsageError("either FILE with an event, or --event with the id of a recorded one")
    body = file.read() if file else b""
    _answer(lambda here: explain_recorded(event, here) if event else explain_event(body, here))


@main.group()
def keys() -> None:
    """Keys of sources, workers, operators, systems, auditors and administrators."""


@keys.command("create")
@click.argument("role", type=click.Choice(["source", "worker", "operator", "system", "auditor", "admin"]))
@click.argument("name")
@click.option("--domains", default="", help="Comma-separated; empty: all.")
@click.option("--divisions", default="", help="Comma-separated division codes.")
@click.option("--departments", default="", help="Comma-separated department codes.")
@click.option("--datum", help="The datum this source's coordinates are in unless it says otherwise.")
@click.option("--days", type=click.IntRange(1, 3650), help="Valid for so many days; default: until revoked.")
def keys_create(role: str, name: str, days: int | None, **scope: Any) -> None:
    """Print a new key, once. Example in Meizhou: citybrain keys create worker li --domains grid --divisions 441402"""
    from citybrain.commands import keys as key_commands

    _run(lambda here: click.echo(key_commands.create(here, role, name, days, scope)))


@keys.command("list")
def keys_list() -> None:
    """Every key's name, role and scope; the keys themselves are not kept."""
    from citybrain.commands import keys as key_commands

    _run(lambda here: click.echo("\n".join(key_commands.lines(here))))


@keys.command("revoke")
@click.argument("name")
def keys_revoke(name: str) -> None:
    """Refuse this key from now on."""
    from citybrain.commands import keys as key_commands

    _run(lambda here: key_commands.revoke(here, name))


@main.group()
def city() -> None:
    """City packs: a folder with everything that makes one city different from another."""


@city.command("new")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", help="Default: the folder's name.")
@click.option("--code", default="city", show_default=True, help="The city's own code.")
@click.option("--timezone", default="", help="Such as America/New_York.")
@click.option(
    "--levels", default="county,town,village", show_default=True, help="LEVEL or LEVEL=NAME, comma-separated."
)
@click.option("--flat", is_flag=True, help="The levels do not nest.")
@click.option("--envelope", type=(float, float, float, float), help="WEST SOUTH EAST NORTH in degrees.")
def city_new(folder: Path, levels: str, flat: bool, **given: Any) -> None:
    """Write a pack to begin with. Example: citybrain city new springfield --levels county=Ward,town=Precinct --flat"""
    from citybrain.commands.scaffold import NAMES, new_city
    from citybrain.domain import check_domains

    pairs = (each.partition("=") for each in levels.split(",") if each.strip())
    named = {level.strip(): name.strip() or NAMES.get(level.strip(), "") for level, _, name in pairs}
    name, box = given.pop("name") or folder.name, given.pop("envelope")
    domains = list(check_domains()[0])
    _write(lambda: new_city(folder, name=name, levels=named, nested=not flat, box=box, domains=domains, **given))


@main.group()
def domain() -> None:
    """Domain packs: a folder with what is reported in one field of work, and who answers for it."""


@domain.command("new")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", help="Default: the folder's name.")
@click.option("--name-en", help="Default: the name.")
@click.option("--duty", default="", help="The duty that departments have in it; default: the domain's code.")
def domain_new(folder: Path, name: str | None, name_en: str | None, duty: str) -> None:
    """Write a domain to begin with. Example: citybrain domain new market --name 市场监管"""
    from citybrain.commands.scaffold import new_domain

    folder = folder.resolve() if folder.name in ("", ".") else folder
    name = name or folder.name
    _write(lambda: new_domain(folder, name=name, name_en=name_en or name, duty=duty))


def _write(write: Any) -> None:
    _told(lambda: click.echo("\n".join(write())))


def _open(config: Config) -> Any:
    from citybrain.broker import BrokerError, command
    from citybrain.installation import open_installation

    config.make_data()
    try:
        return open_installation(config, command(config.data, config.redis_url).url)
    except BrokerError as error:
        raise click.ClickException(str(error)) from None


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


def _run(do: Any) -> None:
    from citybrain.commands.prepare import prepare_store

    def run() -> None:
        config = Config.load()
        prepare_store(config)
        do(_open(config))

    _told(run)


def _answer(ask: Any) -> None:
    """Of the store only which edition is in use, where there is a store: wherever a pack is, a dry run works."""
    _told(lambda: click.echo(json.dumps(ask(_open(Config.load())), ensure_ascii=False, indent=2)))


def _told(do: Any) -> None:
    """What went wrong as one line, without a trace."""
    from citybrain.broker import BrokerError
    from citybrain.commands.supervisor import AlreadyRunning
    from citybrain.problem import Problem
    from citybrain.store.database import StoreUnavailable

    try:
        do()
    except Problem as problem:
        raise click.ClickException("; ".join([problem.detail, *(each.remedy for each in problem.errors)])) from None
    except (Mistakes, StoreUnavailable, AlreadyRunning, BrokerError, OSError) as error:
        raise click.ClickException(str(error)) from None


main.add_command(edition_group(_run))

if __name__ == "__main__":
    threading.current_thread().name = "main"
    main()
