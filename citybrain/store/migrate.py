"""Brings the store's tables to the newest revision; a store that is newer than this program is left alone."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from citybrain.store.database import Store

FOLDER = Path(__file__).parent / "migrations"


def migrate(url: str) -> None:
    """Forward only, in one transaction. Does nothing when the tables are up to date."""
    config = _config()
    store = Store(url)
    try:
        with store.read() as tx:
            present = MigrationContext.configure(tx).get_current_revision()
        if present == ScriptDirectory.from_config(config).get_current_head():
            return
        with store.write() as tx:
            _upgrade(config, tx)
    finally:
        store.close()


def _upgrade(config: Config, tx: Connection) -> None:
    config.attributes["connection"] = tx
    command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    return config
