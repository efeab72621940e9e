"""The same thing is one case: what further reports join, how cases belong together, and silences.

Revision of 2026-11-23.
"""

import sqlalchemy as sa
from alembic import op

from citybrain.store.indexes import index

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
LINKS = ("related_to", "parent_id", "silence_id", "inhibited_by")
UNENDED = "status NOT IN ('closed', 'void')"


def upgrade() -> None:
    op.drop_index("cases_one_open_per_merge_key", "cases")
    op.add_column("cases", sa.Column("last_event_at", sa.BigInteger()))
    op.add_column("cases", sa.Column("lng", sa.Float()))
    op.add_column("cases", sa.Column("lat", sa.Float()))
    for link in LINKS:
        op.add_column("cases", sa.Column(link, ID))
    _fill()
    index("cases_by_merge_key", "cases", ["domain", "merge_key", "status"], "merge_key IS NOT NULL")
    index("cases_near", "cases", ["lat", "lng"], UNENDED)
    index("cases_unended_by_type", "cases", ["type"], UNENDED)
    for link in LINKS:
        index(f"cases_by_{link}", "cases", [link], f"{link} IS NOT NULL")
    op.create_table(
        "silences",
        sa.Column("id", ID, nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("types", sa.Text(), nullable=False),
        sa.Column("divisions", sa.Text(), nullable=False),
        sa.Column("devices", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("begins_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_by", sa.Text()),
        sa.Column("end_reason", sa.Text()),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("silences_of_domain", "silences", ["domain", "ends_at"])


def _fill() -> None:
    """When the last report came and where the case is, of the cases that there are."""
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    read = "json_extract(place, '$.wgs84.{}')" if on_sqlite else "CAST(CAST(place AS json)->'wgs84'->>'{}' AS float8)"
    names = ("id", "opened_at", "last_event_at", "lng", "lat")
    cases = sa.table("cases", *(sa.column(name) for name in names))
    events = sa.table("events", sa.column("case_id"), sa.column("received_at"))
    last = sa.select(sa.func.max(events.c.received_at)).where(events.c.case_id == cases.c.id).scalar_subquery()
    where: dict[str, sa.ColumnElement[float]] = {name: sa.literal_column(read.format(name)) for name in ("lng", "lat")}
    op.execute(sa.update(cases).values(last_event_at=sa.func.coalesce(last, cases.c.opened_at), **where))


def downgrade() -> None:
    """Forward only: what is recorded stays."""
