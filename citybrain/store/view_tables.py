"""Saved views 常用视图: filters of the queue that a person comes back to, under a name."""

from sqlalchemy import BigInteger, Column, ForeignKey, PrimaryKeyConstraint, Table, Text

from citybrain.store.tables import metadata

views = Table(
    "views",
    metadata,
    Column("key_name", Text, ForeignKey("keys.name")),
    Column("name", Text),
    Column("query", Text, nullable=False),  # as it stands in an address
    Column("saved_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("key_name", "name"),
)
