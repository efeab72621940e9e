"""The tables of editions 边界版本: what was loaded, its content in pieces, which was in use when."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text

from citybrain.store.tables import Json, metadata

editions = Table(
    "editions",  # never changed once written
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("valid", Boolean, nullable=False),  # an invalid one has its report and no content
    Column("report", Json, nullable=False),
    Column("faults", Text, nullable=False),  # GeoJSON
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),  # of the content as it lies in a file
    Column("loaded_at", BigInteger, nullable=False),
    Column("loaded_by", Text, nullable=False),
)
edition_pieces = Table(
    "edition_pieces",
    metadata,
    Column("edition_id", Text, ForeignKey("editions.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),  # deflated
    PrimaryKeyConstraint("edition_id", "number"),
)
edition_uses = Table(
    "edition_uses",  # the last one is in use; without any, the city pack's own edition is
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("edition_id", Text, ForeignKey("editions.id"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
)
