"""The commands of `citybrain edition`: what may be said on the command line. What each does stands in `edition`."""

import sys
from typing import Any

import click

from citybrain.commands.terminal import run

SINCE = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"])
ID = click.argument("id_", metavar="ID")
FILES = (
    click.option("--source", help="Of polygons that say none: surveyed, published, approximate, generated."),
    click.option("--encoding", help="Of a Shapefile's texts; default: as they can be read."),
    click.option("--crs", help="EPSG:n, gcj02 or bd09, of files that do not say theirs."),
    click.option("--field", "fields", multiple=True, metavar="[LEVEL.]WHAT=COLUMN",
                 help="WHAT: code, name, parent, source, level."),
    click.option("--date", help="The boundaries hold since then; default: today."),
    click.argument("files", nargs=-1, required=True, metavar="[LEVEL=]FILE…"),
)  # fmt: skip


@click.group()
def edition() -> None:
    """Editions of the boundaries: load files, examine them, try an edition out, activate it."""


def _with_files(command: Any) -> Any:
    for option in FILES:
        command = option(command)
    return command


@edition.command("load")
@_with_files
@click.option("--name", help="For people.")
def load(files: tuple[str, ...], fields: tuple[str, ...], **texts: Any) -> None:
    """Examine files (GeoJSON, GeoPackage, zipped Shapefile) and keep them as an edition; prints its id. Levels
    without a file are those of the edition in use.

    Example: citybrain edition load town=towns.zip --field code=XZQDM --field name=XZQMC"""
    _examine(files, fields, texts, kept=True)


@edition.command("check")
@_with_files
def check(files: tuple[str, ...], fields: tuple[str, ...], **texts: Any) -> None:
    """The same examination; nothing is kept. Exit 1 with an error."""
    _examine(files, fields, texts, kept=False)


def _examine(files: Any, fields: Any, texts: Any, *, kept: bool) -> None:
    from citybrain.commands.edition import load_files

    good: list[bool] = []
    run(lambda here: good.append(load_files(here, files, fields, kept, texts)))
    sys.exit(0 if good == [True] else 1)


@edition.command("list")
def list_() -> None:
    """Every edition, the newest first."""
    from citybrain.commands.edition import lines

    run(lambda here: click.echo("\n".join(lines(here))))


@edition.command("show")
@ID
def show(id_: str) -> None:
    """An edition's report."""
    from citybrain.commands.edition import show

    run(lambda here: click.echo(show(here, id_)))


@edition.command("dry-run")
@ID
def dry_run(id_: str) -> None:
    """Which open cases would change owner; nothing is changed."""
    from citybrain.commands.edition import try_out

    run(lambda here: click.echo(try_out(here, id_)))


@edition.command("reroute")
@ID
@click.option("--since", required=True, type=SINCE)
def reroute(id_: str, since: Any) -> None:
    """Where past events would land in another edition, by division and department; nothing is changed."""
    from citybrain.commands.edition import reroute_past

    run(lambda here: click.echo(reroute_past(here, id_, since)))


@edition.command("mapping")
@click.argument("old", metavar="OLD-ID")
@click.argument("new", metavar="NEW-ID")
def mapping(old: str, new: str) -> None:
    """As CSV: where the ground of each code of the old edition lies in the new one, with shares."""
    from citybrain.commands.edition import mapping

    run(lambda here: click.echo(mapping(here, old, new), nl=False))


@edition.command("activate")
@ID
def activate(id_: str) -> None:
    """Use it from now on, without a stop. One with errors is refused."""
    from citybrain.commands.edition import activate

    run(lambda here: activate(here, id_))
