"""Lanes: what waits is claimed lane by lane, so that a claim costs what it takes and not what waits. Limits, circuit
breaker and signatures of endpoints, and alerts of what waits for one for too long.

Revision of 2026-11-23.
"""

import sqlalchemy as sa
from alembic import op

from citybrain.store.indexes import index

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
COLUMNS = (
    sa.Column("signatures", sa.Text(), nullable=False, server_default=sa.text("""'["v1"]'""")),
    sa.Column("concurrency", sa.Integer()),
    sa.Column("per_minute", sa.Integer()),
    sa.Column("state_since", sa.BigInteger()),
    sa.Column("not_before", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
    sa.Column("opened_at", sa.BigInteger()),
    sa.Column("probes", sa.Integer(), nullable=False, server_default=sa.text("0")),
    sa.Column("probe_at", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
    sa.Column("grave_probe_at", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
)


def upgrade() -> None:
    for column in COLUMNS:
        op.add_column("endpoints", column)
    op.execute("UPDATE endpoints SET state_since = coalesce(succeeded_at, created_at)")
    for table in ("events", "deliveries"):
        op.add_column(table, sa.Column("lane", ID, nullable=False, server_default=sa.text("''")))
        op.drop_index(f"{table}_due", table)
    flow = "coalesce(domain, '') || '.' || coalesce(county, '')"
    addressed = f"UPDATE deliveries SET lane = endpoint_id || '.' || grade || '.' || {flow}"  # noqa: S608
    op.execute(f"{addressed} WHERE status IN ('pending', 'held') AND endpoint_id IS NOT NULL")
    grave = "CASE WHEN grade <= 2 THEN '.1.' ELSE '.4.' END"
    received = f"UPDATE events SET lane = domain || {grave} || coalesce(county, '')"  # noqa: S608
    op.execute(f"{received} WHERE state IN ('received', 'quarantined')")
    index("events_in_lanes", "events", ["lane", "due_at"], "state = 'received'")
    index("deliveries_in_lanes", "deliveries", ["lane", "due_at"], "status = 'pending'")
    index("deliveries_claimed", "deliveries", ["endpoint_id"], "status = 'pending' AND lease_until > 0")
    index("deliveries_held", "deliveries", ["endpoint_id", "department", "grade", "created_at"], "status = 'held'")
    op.create_table(
        "dispatch_alerts",
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("subject", ID, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("raised_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("queue", "subject"),
    )


def downgrade() -> None:
    """Forward only: what is recorded stays."""
