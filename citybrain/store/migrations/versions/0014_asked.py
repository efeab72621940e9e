"""What is asked for before it is granted. Work orders with a limit of their own.

Revision of 2026-11-23.
"""

import sqlalchemy as sa
from alembic import op

from citybrain.store.indexes import index

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cases", sa.Column("asked", sa.Text()))
    index("cases_asked", "cases", ["id"], "asked IS NOT NULL")
    op.add_column("work_orders", sa.Column("limit_amount", sa.Float()))
    op.add_column("work_orders", sa.Column("limit_unit", sa.Text()))
    op.add_column("work_orders", sa.Column("supervision", sa.Integer(), nullable=False, server_default=sa.text("0")))


def downgrade() -> None:
    """Forward only: what is recorded stays."""
