"""The ledger 台账, the heads of its chains, and the roots over them."""

from sqlalchemy import BigInteger, Column, Index, Integer, PrimaryKeyConstraint, Table, Text, text

from citybrain.store.tables import Id, metadata

ledger = Table(
    "ledger",
    metadata,
    Column("chain", Id, nullable=False),  # a case's id, or "city" for decisions without a case
    Column("seq", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("data", Text, nullable=False),  # JSON as hashed
    Column("hash", Text, nullable=False),
    Column("state", Text),  # digest of the case that a decision left behind, on its last entry
    PrimaryKeyConstraint("chain", "seq"),
    postgresql_partition_by="RANGE (chain)",  # a chain lies in the month in which its case was opened, whole
)
_MILESTONE = "action IN ('verified', 'relocated', 'registry.loaded', 'reworked', 'judged')"
Index(
    "ledger_milestones",
    ledger.c.action,
    ledger.c.at,
    sqlite_where=text(_MILESTONE),
    postgresql_where=text(_MILESTONE),
)
MILESTONES = text(f"ledger.{_MILESTONE}")  # SQLite uses a partial index only where a query repeats its condition
chains = Table(
    "chains",  # heads of the chains that are no case's
    metadata,
    Column("chain", Id, primary_key=True),
    Column("entries", Integer, nullable=False),
    Column("head", Text, nullable=False),
)
roots = Table(
    "roots",  # of all chains, one after the other; each covers the one before
    metadata,
    Column("number", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("text", Text, nullable=False),  # as hashed and exported
    Column("hash", Text, nullable=False),
    # Where the next one goes on: the stream's position, the city's entries, and, at the beginning, the last case.
    Column("position", BigInteger, nullable=False),
    Column("city", Integer, nullable=False),
    Column("through", Id),
)
