"""Commands that come in groups: keys, the ledger, packs."""

from pathlib import Path
from typing import Any

import click

from citybrain.commands.terminal import run, told
from citybrain.config import Config


@click.group()
def keys() -> None:
    """Keys of sources, workers, operators, systems, auditors and administrators."""


@keys.command("create")
@click.argument("role", type=click.Choice(["source", "worker", "operator", "system", "auditor", "admin"]))
@click.argument("name")
@click.option("--domains", default="", help="Comma-separated; empty: all.")
@click.option("--divisions", default="", help="Comma-separated division codes.")
@click.option("--departments", default="", help="Comma-separated department codes.")
@click.option("--duties", default="", help="Of an operator, comma-separated: clerk, dispatcher … ([casework.duties]).")
@click.option("--datum", help="The datum this source's coordinates are in unless it says otherwise.")
@click.option("--days", type=click.IntRange(1, 3650), help="Valid for so many days; default: until revoked.")
def keys_create(role: str, name: str, days: int | None, **scope: Any) -> None:
    """Print a new key, once. Example in Meizhou: citybrain keys create worker li --domains grid --divisions 441402"""
    from citybrain.commands import keys as key_commands

    run(lambda here: click.echo(key_commands.create(here, role, name, days, scope)))


@keys.command("list")
def keys_list() -> None:
    """Every key's name, role and scope; the keys themselves are not kept."""
    from citybrain.commands import keys as key_commands

    run(lambda here: click.echo("\n".join(key_commands.lines(here))))


@keys.command("revoke")
@click.argument("name")
def keys_revoke(name: str) -> None:
    """Refuse this key from now on."""
    from citybrain.commands import keys as key_commands

    run(lambda here: key_commands.revoke(here, name))


@click.group()
def ledger() -> None:
    """The record of every decision."""


@ledger.group("root")
def ledger_root() -> None:
    """Roots over all chains of the ledger, to be kept where nobody of this installation can change them."""


@ledger_root.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def root_export(file: Path) -> None:
    """Write all roots to FILE, or add to it those that it does not have yet; covers everything until now."""
    from citybrain.commands.rootfile import export

    told(lambda: click.echo(export(Config.load(), file)))


@click.group()
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
    _written(lambda: new_city(folder, name=name, levels=named, nested=not flat, box=box, domains=domains, **given))


@click.group()
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
    _written(lambda: new_domain(folder, name=name, name_en=name_en or name, duty=duty))


def _written(write: Any) -> None:
    told(lambda: click.echo("\n".join(write())))
