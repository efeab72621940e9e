"""An SQLite that was restored has no statistics either: they are of a day that is past, and nobody renews them.

Revision of 2026-11-24.
"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE IF EXISTS sqlite_stat1")
        op.execute("DROP TABLE IF EXISTS sqlite_stat4")


def downgrade() -> None:
    """Forward only: what is recorded stays."""
