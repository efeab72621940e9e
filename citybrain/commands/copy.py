"""`citybrain copy`: moves a stopped installation from its SQLite file to an empty PostgreSQL, whole or not at all, and
compares every row of both. The file stays as it was."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import orjson
from sqlalchemy import Column, Connection, MetaData, Table, Text, func, select, text
from sqlalchemy.engine import make_url

import citybrain.store.coverage_tables  # noqa: F401 - its tables too
from citybrain.clock import now_ms
from citybrain.commands.check import check_store
from citybrain.commands.supervisor import lock
from citybrain.config import Config, database_url
from citybrain.store.bulk import insert_rows
from citybrain.store.database import Store
from citybrain.store.migrate import migrate
from citybrain.store.partitions import make_partitions
from citybrain.store.tables import Json, cases, events, metadata

ROWS_AT_ONCE = 2_000
LARGE_ROWS = {"blobs": 10}  # of megabytes each
ROWS_TOLD = 100_000

Say = Callable[[str], None]


class CopyRefused(Exception):
    """Nothing was copied, and why."""


def copy(config: Config, to: str, say: Say) -> bool:
    """Holds the lock of `citybrain up`, so that nothing is written meanwhile. Returns whether all is equal and keeps
    the store's promises; raises CopyRefused, AlreadyRunning or StoreUnavailable, with nothing copied."""
    old_url = config.database_url if _is_sqlite(config.database_url) else database_url(None, config.data)
    new_url = database_url(to, config.data)
    if _is_sqlite(new_url):
        raise CopyRefused("--to names the PostgreSQL to move to: postgresql://user@host/database")
    if not (path := make_url(old_url).database) or not config.data.joinpath(path).exists():
        raise CopyRefused(f"there is no installation to move: {path} does not exist")
    with lock(config.data):
        migrate(old_url)
        migrate(new_url)
        old, new = Store(old_url, patient=True), Store(new_url, patient=True)
        _copy(old, new, say)
        same = _compare(old, new, say)
        old.close()
        new.close()
        lines, good = check_store(replace(config, database_url=new_url))
    for line in lines:
        say(line)
    say(_told(same and good, to))
    return same and good


def _copy(old: Store, new: Store, say: Say) -> None:
    """One transaction at either end: whatever stops it leaves the new database empty."""
    with old.read() as source, new.write() as target:
        for table in _plain():
            if target.execute(select(table).limit(1)).first() is not None:
                raise CopyRefused(f"the database to move to is not empty: there are rows in {table.name}")
        make_partitions(target, _begins(source), now_ms())
        for table in _plain():
            copied = 0
            for rows in _chunks(source, table):
                insert_rows(target, table, rows)
                if copied // ROWS_TOLD != (copied + len(rows)) // ROWS_TOLD:
                    say(f"{table.name}: {copied + len(rows)} rows so far")
                copied += len(rows)
            say(f"{table.name}: {copied} rows copied")
    with new.write() as target:
        target.execute(text("ANALYZE"))  # plans by what is there now


def _compare(old: Store, new: Store, say: Say) -> bool:
    same = True
    with old.read() as source, new.read() as target:
        for table in _plain():
            (rows, digest), found = _content(source, table), _content(target, table)
            equal = (rows, digest) == found
            same = same and equal
            say(f"{table.name}: {rows} rows, {digest[:16]}, {'the same' if equal else f'BUT THERE {found}'}")
    return same


def _plain() -> Sequence[Table]:
    """The tables in the order in which rows refer to each other, with JSON left as the text that it is."""
    bare = MetaData()
    for table in metadata.sorted_tables:
        columns = (Column(c.name, Text() if isinstance(c.type, Json) else c.type) for c in table.c)
        Table(table.name, bare, *columns)
    return [bare.tables[table.name] for table in metadata.sorted_tables]


def _chunks(tx: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    found = tx.execute(select(table).execution_options(yield_per=LARGE_ROWS.get(table.name, ROWS_AT_ONCE)))
    for rows in found.mappings().partitions():
        yield [dict(row) for row in rows]


def _content(tx: Connection, table: Table) -> tuple[int, str]:
    """How many rows, and a digest of them all that does not depend on their order: the sum of their SHA-256."""
    number, total = 0, 0
    for rows in _chunks(tx, table):
        for row in rows:
            written = orjson.dumps(list(row.values()), default=bytes.hex)
            total += int.from_bytes(hashlib.sha256(written).digest())
        number += len(rows)
    return number, f"{total % 2**256:064x}"


def _begins(source: Connection) -> int:
    """The time in the oldest id, in ms."""
    oldest = [source.execute(select(func.min(table.c.id))).scalar() for table in (events, cases)]
    return min((int(id_[:12], 16) for id_ in oldest if id_), default=now_ms())


def _is_sqlite(url: str) -> bool:
    return make_url(url).get_backend_name() == "sqlite"


def _told(good: bool, to: str) -> str:
    if not good:
        return "NOT EVERYTHING IS THE SAME: go on with SQLite, empty the new database and say what stands above"
    shown = make_url(to).render_as_string(hide_password=True)
    return f"all is there. Start with CITYBRAIN_DATABASE_URL={shown}; keep the SQLite file until you are sure"
