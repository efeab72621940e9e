"""Months: what a source's id stands for is known apart from the events, attempts are keyed by their delivery, and on
PostgreSQL the tables that grow with every event are partitioned by their ids.

Revision of 2026-11-23. No earlier version ran on PostgreSQL, so there is nothing to keep there.
"""

from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
IDS = {
    "cases": ["id", "merged_into"],
    "chains": ["chain"],
    "endpoints": ["id"],
    "feedbacks": ["work_order_id"],
    "reporters": ["event_id"],
    "stream": ["id", "event_id", "case_id"],
    "work_orders": ["id", "case_id"],
}
RECEIVED, PENDING, WAITING = "state = 'received'", "status = 'pending'", "status IN ('pending', 'held')"
ANSWERED = "status >= 200 AND status < 300"
MILESTONE = "action IN ('verified', 'relocated', 'registry.loaded')"
KEPT = {
    "events": "id, source, source_event_id, domain, type, grade, title, description, occurred_at, received_at, demo, "
    "state, case_id, county, town, village, cell, place, location, attributes, explanation, trace, due_at, "
    "lease_until, fence, tries",
    "attempts": "delivery_id, id, at, duration_ms, status, error",
}


def upgrade() -> None:
    _receipts()
    if op.get_bind().dialect.name == "postgresql":
        _on_postgresql()
    else:
        _rebuilt("events", _events, _index_events)
        _rebuilt("attempts", _attempts, _index_attempts)


def _on_postgresql() -> None:
    for table in ("events", "deliveries", "attempts", "ledger"):
        if op.get_bind().execute(sa.text(f"SELECT EXISTS (SELECT FROM {table})")).scalar():  # noqa: S608
            raise RuntimeError(f"{table} has rows, but no earlier version of this program ran on PostgreSQL")
    op.drop_constraint("reporters_event_id_fkey", "reporters")
    for table in ("attempts", "deliveries", "ledger", "events"):
        op.drop_table(table)
    for table, columns in IDS.items():
        for column in columns:
            op.alter_column(table, column, type_=ID)
    for create, index in ((_events, _index_events), (_deliveries, _index_deliveries), (_attempts, _index_attempts),
                          (_ledger, _index_ledger)):  # fmt: skip
        create()
        index()
    op.create_foreign_key("reporters_event_id_fkey", "reporters", "events", ["event_id"], ["id"])
    for table in ("events", "deliveries", "attempts", "ledger"):
        op.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
    op.execute("CREATE TABLE ledger_city PARTITION OF ledger FOR VALUES FROM ('city') TO ('citz')")


def _rebuilt(table: str, create: Callable[[], None], index: Callable[[], None]) -> None:
    """SQLite cannot drop a constraint. Whoever refers to the table goes on referring to it by its name."""
    op.execute("PRAGMA legacy_alter_table = ON")
    op.rename_table(table, f"{table}_before")
    op.execute("PRAGMA legacy_alter_table = OFF")
    create()
    op.execute(f"INSERT INTO {table} ({KEPT[table]}) SELECT {KEPT[table]} FROM {table}_before")  # noqa: S608
    op.drop_table(f"{table}_before")
    index()


def _receipts() -> None:
    op.create_table(
        "receipts",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_event_id", sa.Text(), nullable=False),
        sa.Column("event_id", ID, nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("source", "source_event_id"),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO receipts SELECT source, source_event_id, id, body_hash FROM events")


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("id", ID, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_event_id", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("grade", sa.Integer(), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("demo", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("case_id", ID, nullable=True),
        sa.Column("county", sa.Text(), nullable=True),
        sa.Column("town", sa.Text(), nullable=True),
        sa.Column("village", sa.Text(), nullable=True),
        sa.Column("cell", sa.Text(), nullable=True),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=True),
        sa.Column("trace", sa.Text(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("fence", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        postgresql_partition_by="RANGE (id)",
    )


def _index_events() -> None:
    op.create_index("events_by_case", "events", ["case_id"])
    op.create_index("events_by_source", "events", ["source", "id"])
    op.create_index("events_by_state", "events", ["state", "id"])
    _partial("events_due", "events", ["domain", "due_at"], RECEIVED)


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", ID, nullable=False),
        sa.Column("endpoint_id", ID, nullable=True),
        sa.Column("case_id", ID, nullable=True),
        sa.Column("work_order_id", ID, nullable=True),
        sa.Column("department", sa.Text(), nullable=True),
        sa.Column("case_order", sa.BigInteger(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=True),
        sa.Column("county", sa.Text(), nullable=True),
        sa.Column("town", sa.Text(), nullable=True),
        sa.Column("village", sa.Text(), nullable=True),
        sa.Column("cell", sa.Text(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("case_type", sa.Text(), nullable=True),
        sa.Column("grade", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("held_because", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("fence", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["endpoint_id"], ["endpoints.id"]),
        sa.PrimaryKeyConstraint("id"),
        postgresql_partition_by="RANGE (id)",
    )


def _index_deliveries() -> None:
    op.create_index("deliveries_by_case", "deliveries", ["case_id"])
    op.create_index("deliveries_by_endpoint", "deliveries", ["endpoint_id", "status"])
    op.create_index("deliveries_by_work_order", "deliveries", ["work_order_id"])
    _partial("deliveries_due", "deliveries", ["due_at"], PENDING)
    _partial("deliveries_in_order", "deliveries", ["case_id", "endpoint_id", "case_order"], WAITING)


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("delivery_id", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"]),
        sa.PrimaryKeyConstraint("delivery_id", "id"),
        postgresql_partition_by="RANGE (delivery_id)",
    )


def _index_attempts() -> None:
    _partial("attempts_delivered", "attempts", ["at"], ANSWERED)


def _ledger() -> None:
    op.create_table(
        "ledger",
        sa.Column("chain", ID, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("chain", "seq"),
        postgresql_partition_by="RANGE (chain)",
    )


def _index_ledger() -> None:
    _partial("ledger_milestones", "ledger", ["action", "at"], MILESTONE)


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def downgrade() -> None:
    """Forward only: what is recorded stays."""
