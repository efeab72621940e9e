"""When a key was used last; what is still to be held or released for an endpoint that was switched.

Revision of 2026-11-23.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("keys", sa.Column("used_at", sa.BigInteger()))
    op.add_column("endpoints", sa.Column("switching", sa.BigInteger()))
    op.add_column("endpoints", sa.Column("switching_past", sa.BigInteger()))


def downgrade() -> None:
    """Forward only: what is recorded stays."""
