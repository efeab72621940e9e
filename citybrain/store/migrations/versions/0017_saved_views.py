"""Saved views of the queue.

Revision of 2026-11-23.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "views",
        sa.Column("key_name", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("saved_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["key_name"], ["keys.name"]),
        sa.PrimaryKeyConstraint("key_name", "name"),
    )


def downgrade() -> None:
    """Forward only: what is recorded stays."""
