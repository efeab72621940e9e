"""Every row of the record, table by table, as `copy`, `backup` and `restore` read, write and compare it: JSON stays the
text that it is, and a digest of a table does not depend on the order of its rows."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import orjson
from sqlalchemy import Column, Connection, MetaData, Table, Text, func, select

from citybrain.clock import now_ms
from citybrain.store.tables import Json, cases, events, metadata

ROWS_AT_ONCE = 2_000
LARGE_ROWS = {"blobs": 10, "edition_pieces": 10}  # of megabytes each

Rows = list[dict[str, Any]]


def plain_tables() -> Sequence[Table]:
    """The tables in the order in which rows refer to each other, with JSON left as the text that it is."""
    bare = MetaData()
    for table in metadata.sorted_tables:
        types = {column.name: Text() if isinstance(column.type, Json) else column.type for column in table.c}
        keys = {column.name for column in table.primary_key.columns}
        Table(table.name, bare, *(Column(name, type_, primary_key=name in keys) for name, type_ in types.items()))
    return [bare.tables[table.name] for table in metadata.sorted_tables]


def chunks(tx: Connection, table: Table) -> Iterator[Rows]:
    found = tx.execute(select(table).execution_options(yield_per=LARGE_ROWS.get(table.name, ROWS_AT_ONCE)))
    for rows in found.mappings().partitions():
        yield [dict(row) for row in rows]


def as_lines(rows: Rows) -> list[bytes]:
    """Each row as a JSON array of its values, bytes in hexadecimal."""
    return [orjson.dumps(list(row.values()), default=bytes.hex) for row in rows]


def digests(written: Iterable[bytes]) -> list[int]:
    return sorted(int.from_bytes(hashlib.sha256(line).digest()) for line in written)


class Content:
    """How many rows, and a digest of them all that does not depend on their order: the sum of their SHA-256."""

    def __init__(self) -> None:
        self.rows, self._total = 0, 0

    def add(self, written: Sequence[bytes]) -> None:
        self.rows += len(written)
        self._total += sum(digests(written))

    @property
    def digest(self) -> str:
        return f"{self._total % 2**256:064x}"


def content(tx: Connection, table: Table) -> Content:
    found = Content()
    for rows in chunks(tx, table):
        found.add(as_lines(rows))
    return found


def begins(tx: Connection) -> int:
    """The time in the oldest id, in ms."""
    oldest = [tx.execute(select(func.min(table.c.id))).scalar() for table in (events, cases)]
    return min((int(id_[:12], 16) for id_ in oldest if id_), default=now_ms())
