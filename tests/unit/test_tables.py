"""The migrations make the tables that the code knows."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from citybrain.store.database import Store
from citybrain.store.migrate import migrate
from citybrain.store.tables import metadata


def test_the_migrations_and_the_tables_agree(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    migrate(url)
    store = Store(url)
    with store.read() as tx:
        differences = compare_metadata(MigrationContext.configure(tx), metadata)
    store.close()
    assert differences == []
