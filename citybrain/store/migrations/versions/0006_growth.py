"""Indexes chosen at ten million events: of what is in work, not of everything that ever was.

Revision of 2026-11-23.
"""

import sqlalchemy as sa
from alembic import op

from citybrain.store.indexes import index

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

IN_WORK = "status NOT IN ('closed', 'void')"
NEVER = 2**53
PRESSING = (
    f"(CASE WHEN status IN ('dispatched', 'accepted', 'returned') THEN coalesce(due_at, {NEVER}) ELSE {NEVER} END)"
)


def upgrade() -> None:
    for table, gone in (
        ("events", "events_by_state"), ("cases", "cases_queue"), ("cases", "cases_by_status"), ("cases", "cases_due"),
        ("work_orders", "work_orders_by_department"), ("deliveries", "deliveries_by_endpoint"),
        ("deliveries", "deliveries_by_work_order"),
    ):  # fmt: skip
        op.drop_index(gone, table)
    index("events_unsettled", "events", ["state", "id"], "state <> 'cased'")
    index("cases_in_work", "cases", ["status", "id"], IN_WORK)
    index("cases_pressing", "cases", [sa.text(PRESSING), "id"], IN_WORK)
    index("cases_updated", "cases", ["updated_at", "id"])
    index("deliveries_by_endpoint", "deliveries", ["endpoint_id", "id"])
    index("deliveries_unsent", "deliveries", ["status", "id"], "status IN ('held', 'failed')")


def downgrade() -> None:
    """Forward only: what is recorded stays."""
