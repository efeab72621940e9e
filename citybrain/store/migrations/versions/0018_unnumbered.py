"""What of the stream has no position yet is found by the index of positions.

Revision of 2026-11-23.
"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("stream_unnumbered", "stream")


def downgrade() -> None:
    """Forward only: what is recorded stays."""
