"""Casework: returns, appointment, levels of supervision, the centre's own clocks, appeals, duties of keys.

Revision of 2026-11-23.
"""

import sqlalchemy as sa
from alembic import op

from citybrain.store.indexes import index

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

NUMBERS = ("returns", "reworks", "appeals_open", "supervision")
OVERDUE = 3  # levels of supervision that a case has passed when it was supervised as overdue


def upgrade() -> None:
    for name in NUMBERS:
        op.add_column("cases", sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False))
    for name in ("appointed", "stage_supervised"):
        op.add_column("cases", sa.Column(name, sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("cases", sa.Column("stage_due_at", sa.BigInteger(), nullable=True))
    op.add_column("cases", sa.Column("look_at", sa.BigInteger(), nullable=True))
    op.execute(f"UPDATE cases SET supervision = {OVERDUE} WHERE overdue_supervised")  # noqa: S608
    op.execute("UPDATE cases SET look_at = 0 WHERE status NOT IN ('closed', 'void')")  # patrol finds out what is next
    op.drop_column("cases", "overdue_supervised")
    index("cases_to_look_at", "cases", ["look_at"], "look_at IS NOT NULL")
    op.add_column("feedbacks", sa.Column("attachments", sa.Text(), nullable=True))
    op.add_column("keys", sa.Column("duties", sa.Text(), server_default=sa.text("'[]'"), nullable=False))
    id_ = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "appeals",
        sa.Column("id", id_, nullable=False),
        sa.Column("case_id", id_, sa.ForeignKey("cases.id"), nullable=False),
        sa.Column("work_order_id", id_, sa.ForeignKey("work_orders.id"), nullable=False),
        sa.Column("department", sa.Text(), nullable=False),
        sa.Column("against", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("attachments", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("appeals_by_case", "appeals", ["case_id"])
    undecided = sa.text("outcome IS NULL")
    op.create_index("appeals_open", "appeals", ["id"], sqlite_where=undecided, postgresql_where=undecided)


def downgrade() -> None:
    """Forward only: what is recorded stays."""
