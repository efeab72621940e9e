"""What has to be there before the parts start: packs without mistakes, the ground, the store's newest tables, an admin.

`citybrain up` does all of it; on several machines `citybrain migrate` does the store once, and the parts wait for it.
"""

import os
import secrets
from pathlib import Path

import click
from sqlalchemy import Connection

from citybrain.city import City
from citybrain.clock import now_ms
from citybrain.commands.check import check_pack
from citybrain.config import Config
from citybrain.domain import check_domains
from citybrain.keys import ensure_admin, has_admin, is_known
from citybrain.store.database import Store
from citybrain.store.locks import Lock, take
from citybrain.store.migrate import migrate
from geo.mistake import Mistakes

KEY_FILE = "admin.key"


def prepare(config: Config) -> None:
    """Raises `Mistakes` when a pack cannot be used. Repeating it changes nothing."""
    config.make_data()
    city, mistakes = check_pack(config.city)
    mistakes += check_domains(pack=config.city)[1]
    if mistakes or city is None:
        raise Mistakes(mistakes)
    ready_ground(config, city)
    prepare_store(config)


def how_to_sign_in(data: Path) -> list[str]:
    """For whoever started it, in both languages. Never the key itself: what a terminal shows may be kept in a log."""
    if os.environ.get("CITYBRAIN_ADMIN_KEY"):
        key, key_zh = "the one in CITYBRAIN_ADMIN_KEY", "密钥是环境变量 CITYBRAIN_ADMIN_KEY 的内容"
    elif (data / KEY_FILE).exists():
        key, key_zh = f"in the file {data / KEY_FILE}", f"密钥在文件 {data / KEY_FILE} 中"
    else:
        key, key_zh = "one that an administrator has made for you", "密钥由管理员建立后发给您"
    return [f"Open this address in a browser and sign in; the key is {key}", f"用浏览器打开这个地址登录，{key_zh}"]


def ready_ground(config: Config, city: City) -> None:
    """Compiles the edition once; the parts then read it from the cache."""
    shown: dict[str, float] = {}

    def progress(what: str, done: int, total: int) -> None:
        if total and (done == total or done / total - shown.get(what, 0.0) >= 0.1):
            shown[what] = done / total
            click.echo(f"{what}: {100 * done // total} %", err=True)

    city.edition(config.data / "editions", progress)


def prepare_store(config: Config) -> None:
    """The newest tables, and an admin. Any machine may do it, at any time: what is there already stays."""
    config.make_data()
    migrate(config.database_url)
    store = Store(config.database_url)
    try:
        with store.write() as tx:
            _ready_admin(tx, config.data)
    finally:
        store.close()


def admin_key(data: Path) -> str | None:
    """CITYBRAIN_ADMIN_KEY, or the one in the data folder, if it was made there."""
    path = data / KEY_FILE
    return os.environ.get("CITYBRAIN_ADMIN_KEY") or (path.read_text().strip() if path.exists() else None)


def _ready_admin(tx: Connection, data: Path) -> None:
    """CITYBRAIN_ADMIN_KEY; without it, a key in the data folder, but only where the store has no admin at all: a
    machine that joins others, and a file from before the key was changed, must not put the admin's key out."""
    take(tx, Lock.TABLES)
    if given := os.environ.get("CITYBRAIN_ADMIN_KEY"):
        ensure_admin(tx, given, now_ms())
    elif not has_admin(tx, now_ms()):
        ensure_admin(tx, _own_key(tx, data / KEY_FILE), now_ms())


def _own_key(tx: Connection, path: Path) -> str:
    if path.exists():
        kept = path.read_text().strip()
        if not is_known(tx, kept):
            return kept
        path.unlink()  # it was revoked
    plain = f"cb{secrets.token_hex(5)}.{secrets.token_urlsafe(32)}"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(plain + "\n")
    return plain
