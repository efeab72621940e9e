"""Appeals 申诉 of departments and what was decided of them: evaluation reads them, the facts stay what they are."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text, text

from citybrain.store.tables import Id, Json, metadata

appeals = Table(
    "appeals",
    metadata,
    Column("id", Id, primary_key=True),
    Column("case_id", Id, ForeignKey("cases.id"), nullable=False),
    Column("work_order_id", Id, ForeignKey("work_orders.id"), nullable=False),
    Column("department", Text, nullable=False),
    Column("against", Text, nullable=False),  # what counts against the department: overdue, returned, rework
    Column("reason", Text, nullable=False),
    Column("attachments", Json, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("outcome", Text),  # upheld: it does not count; rejected; none: not decided yet
    Column("decided_at", BigInteger),
    Column("decided_by", Text),
    Column("decision", Text),
)
_OPEN = text("outcome IS NULL")
Index("appeals_by_case", appeals.c.case_id)
Index("appeals_open", appeals.c.id, sqlite_where=_OPEN, postgresql_where=_OPEN)
