"""The latest evidence by domain and place, which patrol keeps; and which cases are in a place.

Revision of 2026-11-23.
"""

import sqlalchemy as sa
from alembic import op

from citybrain.store.indexes import index

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    identifier = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "latest_evidence",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("real", sa.Boolean(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("county", sa.Text(), nullable=False),
        sa.Column("town", sa.Text(), nullable=False),
        sa.Column("village", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("case_id", identifier, nullable=False),
        sa.PrimaryKeyConstraint("kind", "real", "domain", "county", "town", "village"),
    )
    index("cases_by_place", "cases", ["village", "town", "county", "domain"])


def downgrade() -> None:
    """Forward only: what is recorded stays."""
