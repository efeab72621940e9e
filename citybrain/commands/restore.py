"""`citybrain restore`: makes an installation of a backup, on SQLite or PostgreSQL, whichever the backup was made on.

The backup is read whole before anything is written; then its tables are made as they were, filled, compared, and
brought to this version's, all in one transaction: an interrupted restore leaves an empty store.
"""

import hashlib
import io
import shutil
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import orjson
from pydantic import ValidationError
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    LargeBinary,
    MetaData,
    Table,
    Text,
    inspect,
    select,
    text,
)

from citybrain.clock import now_ms
from citybrain.commands.backup import GROUND, MANIFEST, PIECE, Kind, Manifest, Say, TableContent
from citybrain.commands.check import check_store
from citybrain.commands.supervisor import lock
from citybrain.commands.walk import LARGE_ROWS, ROWS_AT_ONCE, Content, content
from citybrain.config import Config
from citybrain.store import indexes
from citybrain.store.bulk import insert_rows
from citybrain.store.ledger_tables import roots
from citybrain.store.migrate import newest, open_to_migrate, upgrade
from citybrain.store.partitions import make_partitions

TYPES: dict[Kind, Any] = {
    "text": Text, "int": BigInteger, "float": Float, "bool": Boolean, "bytes": LargeBinary,
}  # fmt: skip


class RestoreRefused(Exception):
    """Nothing was written, and why."""


class RestoreBroken(Exception):
    """All is there as it was backed up, but does not keep what the record promises."""


def restore(config: Config, file: Path, say: Say) -> None:
    """Into an empty store. Raises RestoreRefused, RestoreBroken, StoreUnavailable, AlreadyRunning or OSError."""
    with _opened(file) as given, lock(config.data):
        _refuse_no_room(config, given.manifest)
        store = open_to_migrate(config.database_url)
        try:
            with store.write() as tx:
                _refuse_taken(tx)
                _fill(tx, given, say)
            indexes.build(store)
            given.lay_ground(config.data / "editions")
        finally:
            store.close()
    lines, good = check_store(config)
    for line in lines:
        say(line)
    if not good:
        raise RestoreBroken("the record is as it was backed up, and was broken then: see the lines above")
    say(f"all is there, as of {given.manifest.made_at}")


@dataclass
class Backup:
    """An open backup file."""

    archive: ZipFile
    manifest: Manifest

    def lines(self, table: TableContent) -> Iterator[list[bytes]]:
        at_once = LARGE_ROWS.get(table.name, ROWS_AT_ONCE)
        with io.BufferedReader(self.archive.open(f"{table.name}.jsonl"), PIECE) as member:  # type: ignore[type-var]
            while some := [line.rstrip(b"\n") for line in islice(member, at_once)]:
                yield some

    def verify(self) -> None:
        """Every row and every byte, against the manifest."""
        for table in self.manifest.tables:
            found = Content()
            for some in self.lines(table):
                found.add(some)
            if (found.rows, found.digest) != (table.rows, table.digest):
                raise RestoreRefused(f"{table.name} is not what was backed up: take another copy of the file")
        for name, digest in self.manifest.files.items():
            with self.archive.open(name) as member:
                found_digest = hashlib.sha256()
                for piece in iter(partial(member.read, PIECE), b""):
                    found_digest.update(piece)
                if found_digest.hexdigest() != digest:
                    raise RestoreRefused(f"{name} is not what was backed up: take another copy of the file")

    def lay_ground(self, folder: Path) -> None:
        """Of places that were found in editions which only their machine kept."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in self.manifest.files:
            target = folder / Path(name).name
            if name.startswith(GROUND) and not target.exists():
                part = target.with_suffix(".restoring")
                with self.archive.open(name) as member, part.open("wb") as out:
                    shutil.copyfileobj(member, out, PIECE)
                part.replace(target)


@contextmanager
def _opened(file: Path) -> Iterator[Backup]:
    """Only what is whole."""
    with ExitStack() as open_while:
        try:
            archive = open_while.enter_context(ZipFile(file))
            manifest = Manifest.model_validate_json(archive.read(MANIFEST))
            if manifest.revision > newest():
                raise RestoreRefused(f"made by citybrain {manifest.software}, which is newer: restore with that one")
            given = Backup(archive, manifest)
            given.verify()
        except (BadZipFile, KeyError, EOFError, zlib.error, ValidationError) as error:
            raise RestoreRefused(f"{file} is no whole backup: {error}") from None
        yield given


def _refuse_no_room(config: Config, made: Manifest) -> None:
    """An SQLite store needs its size once more for its log while it is filled."""
    if config.database_url.startswith("sqlite") and shutil.disk_usage(config.data).free < 2 * made.bytes:
        raise RestoreRefused(f"{config.data} has not twice {made.bytes >> 20} MiB free, which this needs: make room")


def _refuse_taken(tx: Connection) -> None:
    if there := inspect(tx).get_table_names():
        where = tx.engine.url.render_as_string()
        raise RestoreRefused(f"{where} is not empty, it has the table {there[0]}: name another folder or database")


def _fill(tx: Connection, given: Backup, say: Say) -> None:
    made = given.manifest
    upgrade(tx, made.revision)
    make_partitions(tx, made.begins, now_ms())
    for each in made.tables:
        table = _table(each)
        binary = [name for name, kind in each.columns.items() if kind == "bytes"]
        for some in given.lines(each):
            insert_rows(tx, table, [_row(list(each.columns), binary, line) for line in some])
        there = content(tx, table)
        if (there.rows, there.digest) != (each.rows, each.digest):
            raise RestoreRefused(f"{each.name} did not become what was backed up; nothing was kept")
        say(f"{each.name}: {each.rows} rows")
    last = tx.execute(select(roots.c.number, roots.c.hash).order_by(roots.c.number.desc()).limit(1)).first()
    if (tuple(last) if last else None) != ((made.root.number, made.root.hash) if made.root else None):
        raise RestoreRefused("the ledger's last root is not the manifest's; nothing was kept")
    upgrade(tx)
    if tx.dialect.name == "postgresql":  # an SQLite is planned without statistics, before and after
        tx.execute(text("ANALYZE"))


def _table(each: TableContent) -> Table:
    """As it was when it was backed up, whatever this version makes of it later."""
    return Table(each.name, MetaData(), *(Column(name, TYPES[kind]) for name, kind in each.columns.items()))


def _row(names: list[str], binary: list[str], line: bytes) -> dict[str, Any]:
    row = dict(zip(names, orjson.loads(line), strict=True))
    for name in binary:
        row[name] = None if row[name] is None else bytes.fromhex(row[name])
    return row
