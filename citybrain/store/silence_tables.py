"""Silences 静默: who asked when, why and for how long that nobody be dispatched."""

from sqlalchemy import BigInteger, Column, Index, Table, Text

from citybrain.store.tables import Id, Json, metadata

silences = Table(
    "silences",  # 静默: what matches is kept and dispatched to nobody, until it ends
    metadata,
    Column("id", Id, primary_key=True),
    Column("domain", Text, nullable=False),
    Column("types", Json, nullable=False),  # of these three, empty: all
    Column("divisions", Json, nullable=False),
    Column("devices", Json, nullable=False),
    Column("reason", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("begins_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),  # an earlier end replaces it
    Column("ended_by", Text),
    Column("end_reason", Text),
)
Index("silences_of_domain", silences.c.domain, silences.c.ends_at)
