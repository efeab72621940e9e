"""Deliveries that are due and held by nobody are found without looking at those in flight; what of the stream has no
position yet, by the index of positions.

Revision of 2026-11-23.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0013"
branch_labels = None
depends_on = None

PENDING = sa.text("status = 'pending'")


def upgrade() -> None:
    op.drop_index("stream_unnumbered", "stream")
    op.drop_index("deliveries_due", "deliveries")
    op.create_index(
        "deliveries_due", "deliveries", ["lease_until", "due_at"], sqlite_where=PENDING, postgresql_where=PENDING
    )


def downgrade() -> None:
    """Forward only: what is recorded stays."""
