"""The tables of the coverage indicator; `tables` has those of events and cases."""

from sqlalchemy import BigInteger, Boolean, Column, Integer, PrimaryKeyConstraint, Table, Text

from citybrain.store.tables import Id, Json, metadata

declarations = Table(
    "declarations",  # the registry's changes at run time; the rest of it stands in the city pack
    metadata,
    Column("id", Text, primary_key=True),
    Column("industry", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("divisions", Json),  # none: all of the level
    Column("from_day", Text, nullable=False),  # days of the city's calendar, both included
    Column("to_day", Text),
    Column("approver", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("recorded_by", Text, nullable=False),
    Column("ended_at", BigInteger),
    Column("ended_by", Text),
    Column("end_approver", Text),
    Column("end_reason", Text),
)

domain_activity = Table(
    "domain_activity",  # since when and until when each domain was at work here
    metadata,
    Column("domain", Text, nullable=False),
    Column("from_at", BigInteger, nullable=False),
    Column("until_at", BigInteger),
    PrimaryKeyConstraint("domain", "from_at"),
)

coverage_snapshots = Table(
    "coverage_snapshots",  # the indicator at the end of each day, without demonstration
    metadata,
    Column("day", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("basis", Text, nullable=False),
    Column("divisions", Integer, nullable=False),
    Column("industries", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("declared", Integer, nullable=False),
    Column("earned", Integer, nullable=False),
    Column("window_days", Integer, nullable=False),
    Column("taken_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("day", "level", "basis"),
)

latest_evidence = Table(
    "latest_evidence",  # when each kind of evidence was there last: see `indicators.latest`, which can make it again
    metadata,
    Column("kind", Text, nullable=False),
    Column("real", Boolean, nullable=False),  # without the demonstration's
    Column("domain", Text, nullable=False),
    *(Column(level, Text, nullable=False) for level in ("county", "town", "village")),  # empty where it has none
    Column("at", BigInteger, nullable=False),
    Column("case_id", Id, nullable=False),
    PrimaryKeyConstraint("kind", "real", "domain", "county", "town", "village"),
)
