"""What is asked for before it is granted. Work orders with a limit of their own.

Revision of 2026-11-23.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cases", sa.Column("asked", sa.Text()))
    asked = sa.text("asked IS NOT NULL")
    op.create_index("cases_asked", "cases", ["id"], sqlite_where=asked, postgresql_where=asked)
    op.add_column("work_orders", sa.Column("limit_amount", sa.Float()))
    op.add_column("work_orders", sa.Column("limit_unit", sa.Text()))
    op.add_column("work_orders", sa.Column("supervision", sa.Integer(), nullable=False, server_default=sa.text("0")))


def downgrade() -> None:
    """Forward only: what is recorded stays."""
