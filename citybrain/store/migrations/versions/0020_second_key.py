"""A case is found by two rules of merging.

Revision of 2026-11-23.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cases", sa.Column("second_key", sa.Text()))
    kept = sa.text("second_key IS NOT NULL")
    columns = ["domain", "second_key", "status"]
    op.create_index("cases_by_second_key", "cases", columns, sqlite_where=kept, postgresql_where=kept)


def downgrade() -> None:
    """Forward only: what is recorded stays."""
