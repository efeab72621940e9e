"""What evaluation asks for is found by its time: completed and due work orders, closed cases, reworks and judgements.
Photos of events and cases.

Revision of 2026-11-23.
"""

import sqlalchemy as sa
from alembic import op

from citybrain.store.indexes import index

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MILESTONE = "action IN ('verified', 'relocated', 'registry.loaded', 'reworked', 'judged')"


def upgrade() -> None:
    op.drop_index("ledger_milestones", "ledger")
    index("ledger_milestones", "ledger", ["action", "at"], MILESTONE)
    for when in ("completed_at", "due_at"):
        index(f"work_orders_by_{when}", "work_orders", [when], f"{when} IS NOT NULL")
    index("cases_closed", "cases", ["closed_at"], "closed_at IS NOT NULL")
    op.create_table(
        "blobs",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("thumbnail", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256"),
    )
    op.create_table(
        "attachments",
        sa.Column("id", ID, nullable=False),
        sa.Column("event_id", ID),
        sa.Column("case_id", ID),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("original_sha256", sa.Text(), nullable=False),
        sa.Column("distance_m", sa.Integer()),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["sha256"], ["blobs.sha256"]),
    )
    op.create_index("attachments_by_event", "attachments", ["event_id"])
    op.create_index("attachments_by_case", "attachments", ["case_id"])


def downgrade() -> None:
    """Forward only: what is recorded stays."""
