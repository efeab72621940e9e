"""Failed attempts are found by their time, as those that were answered are; how far each rule of retention has come.

Revision of 2026-11-23.
"""

import sqlalchemy as sa
from alembic import op

from citybrain.store.indexes import index

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    index("attempts_failed", "attempts", ["at"], "status IS NULL OR status < 200 OR status >= 300")
    op.create_table(
        "retention",
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("case_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("rule"),
    )


def downgrade() -> None:
    """Forward only: what is recorded stays."""
