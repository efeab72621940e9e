"""The ledger keeps what each decision led to, and has roots over all its chains.

Revision of 2026-11-23.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0009"
branch_labels = None
depends_on = None

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("ledger", sa.Column("state", sa.Text()))
    op.create_table(
        "roots",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("city", sa.Integer(), nullable=False),
        sa.Column("through", ID),
        sa.PrimaryKeyConstraint("number"),
    )


def downgrade() -> None:
    """Forward only: what is recorded stays."""
