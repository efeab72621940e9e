"""What has to be there before the parts start: data folder, the store's newest tables, the ground, the admin key."""

import os
import secrets
from pathlib import Path

import click

from citybrain.city import City
from citybrain.clock import now_ms
from citybrain.commands.check import check_pack
from citybrain.config import Config
from citybrain.domain import check_domains
from citybrain.keys import ensure_admin
from citybrain.store.database import Store
from citybrain.store.migrate import migrate
from geo.mistake import Mistakes


def prepare(config: Config, *, quiet: bool = False) -> None:
    """Raises `Mistakes` when a pack cannot be used. Repeating it changes nothing."""
    config.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not quiet:
        city, mistakes = check_pack(config.city)
        mistakes += check_domains(pack=config.city)[1]
        if mistakes or city is None:
            raise Mistakes(mistakes)
        ready_ground(config, city)
    migrate(config.database_url)
    store = Store(config.database_url)
    with store.write() as tx:
        ensure_admin(tx, admin_key(config.data), now_ms())
    store.close()
    if not quiet:
        click.echo(f"admin key: {config.data / 'admin.key'}", err=True)


def ready_ground(config: Config, city: City) -> None:
    """Compiles the edition once; the parts then read it from the cache."""
    shown: dict[str, float] = {}

    def progress(what: str, done: int, total: int) -> None:
        if total and (done == total or done / total - shown.get(what, 0.0) >= 0.1):
            shown[what] = done / total
            click.echo(f"{what}: {100 * done // total} %", err=True)

    city.edition(config.data / "editions", progress)


def admin_key(data: Path) -> str:
    """CITYBRAIN_ADMIN_KEY, or the one in the data folder, made at the first start."""
    if given := os.environ.get("CITYBRAIN_ADMIN_KEY"):
        return given
    path = data / "admin.key"
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    plain = f"cb{secrets.token_hex(5)}.{secrets.token_urlsafe(32)}"
    with os.fdopen(file, "w") as out:
        out.write(plain + "\n")
    return plain
