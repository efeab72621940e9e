"""A case is found by two rules of merging.

Revision of 2026-11-23.
"""

import sqlalchemy as sa
from alembic import op

from citybrain.store.indexes import index

revision = "0020"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cases", sa.Column("second_key", sa.Text()))
    index("cases_by_second_key", "cases", ["domain", "second_key", "status"], "second_key IS NOT NULL")


def downgrade() -> None:
    """Forward only: what is recorded stays."""
