"""A case's explanation is that of the event that opened it: it stands there once.

Revision of 2026-11-23.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("cases", "explanation")


def downgrade() -> None:
    """Forward only: what is recorded stays."""
