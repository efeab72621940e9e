"""Brings the store's tables to the newest revision; a store that is newer than this program is left alone."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, text

from citybrain.clock import now_ms
from citybrain.store.database import Store
from citybrain.store.locks import Lock, take
from citybrain.store.partitions import make_partitions

FOLDER = Path(__file__).parent / "migrations"


def migrate(url: str) -> None:
    """Forward only, in one transaction. Does nothing when the tables are up to date; makes months ahead in any case."""
    config = _config()
    store = Store(url, patient=True)
    if store.engine.dialect.name == "sqlite":
        event.listen(store.engine, "connect", _let_tables_be_rebuilt)
    try:
        with store.read() as tx:
            present = MigrationContext.configure(tx).get_current_revision()
        if present != ScriptDirectory.from_config(config).get_current_head():
            with store.write() as tx:
                _upgrade(config, tx)
        if store.engine.dialect.name == "postgresql":
            with store.write() as tx:
                make_partitions(tx, now_ms(), now_ms())
    finally:
        store.close()


def _let_tables_be_rebuilt(connection: Any, _record: Any) -> None:
    """Dropping a table that was rebuilt must not look into those that refer to it; `_upgrade` does, at the end."""
    connection.execute("PRAGMA foreign_keys=OFF")


def _upgrade(config: Config, tx: Connection) -> None:
    take(tx, Lock.TABLES)
    config.attributes["connection"] = tx
    command.upgrade(config, "head")
    if tx.dialect.name == "sqlite" and (wrong := tx.execute(text("PRAGMA foreign_key_check")).first()):
        raise RuntimeError(f"the migration would leave rows of {wrong[0]} without what they refer to")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    return config
