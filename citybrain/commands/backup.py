"""`citybrain backup`: the whole record, as it is at one moment, in one file; the installation works on meanwhile.

One snapshot of the store, SQLite or PostgreSQL, table by table, and the ground of places that only this machine keeps.
`restore` makes a store of either kind of it again.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal
from zipfile import ZIP_DEFLATED, ZipFile

from pydantic import BaseModel
from sqlalchemy import Boolean, Connection, Float, Integer, LargeBinary, Table, func, select, text
from sqlalchemy.types import TypeEngine

from citybrain.clock import now_ms, rfc3339
from citybrain.commands.walk import Content, as_lines, begins, chunks, plain_tables
from citybrain.config import Config
from citybrain.store.attachment_tables import blobs
from citybrain.store.database import Store
from citybrain.store.edition_tables import editions
from citybrain.store.ledger_tables import roots
from citybrain.store.migrate import newest, revision
from citybrain.store.roots import seal
from geo.edition import stored_file

MANIFEST = "manifest.json"
GROUND = "editions/"
NOT_KEPT = ("sessions", "leases")  # who is signed in and which process acts is no record
COMPRESSION = 1  # of zlib: the disk is the slower part anyway
PIECE = 1 << 20
EDITION = re.compile(r'"edition":"([^"\\]+)"')

Say = Callable[[str], None]
Kind = Literal["text", "int", "float", "bool", "bytes"]


class BackupRefused(Exception):
    """Nothing was written, and why."""


class TableContent(BaseModel):
    name: str
    columns: dict[str, Kind]
    rows: int
    digest: str


class LastRoot(BaseModel):
    number: int
    hash: str


class Manifest(BaseModel):
    """What a backup holds, and by which it is known to be whole."""

    format: Literal[1] = 1
    made_at: str
    software: str
    revision: str  # of the tables
    store: str
    bytes: int  # of the store
    begins: int  # the oldest id's time in ms
    root: LastRoot | None
    tables: list[TableContent]
    files: dict[str, str]  # name in the backup: SHA-256


def backup(config: Config, target: Path, say: Say) -> Path:
    """Returns the file that was written: `target`, or one named by the time in that folder. It is there whole or not
    at all. Raises BackupRefused, StoreUnavailable or OSError."""
    file = target / f"citybrain-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.zip" if target.is_dir() else target
    if file.exists():
        raise BackupRefused(f"{file} is there already: name another file, or a folder")
    if not file.parent.is_dir():
        raise BackupRefused(f"{file.parent} is no folder")
    store = Store(config.database_url, patient=True)
    try:
        _refuse_other_tables(store)
        seal(store, now_ms())  # the newest root covers all that is in the backup
        with store.read() as tx:
            size = _size(tx)
            _refuse_no_room(file.parent, _room(tx, size))
            with (
                _whole_or_not_at_all(file) as part,
                ZipFile(part, "w", ZIP_DEFLATED, compresslevel=COMPRESSION) as archive,
            ):
                made = _write(tx, archive, config.data / "editions", size, say)
    finally:
        store.close()
    root = f"root {made.root.number}, hash {made.root.hash}" if made.root else "no root yet"
    say(f"{file}: {file.stat().st_size >> 20} MiB, as of {made.made_at}; the ledger's {root}")
    return file


def _refuse_other_tables(store: Store) -> None:
    with store.read() as tx:
        present = revision(tx)
    if present != newest():
        what = f"has tables of revision {present}" if present else "has no tables"
        raise BackupRefused(f"the store {what}, this program knows {newest()}: use the version that runs on it")


def _refuse_no_room(folder: Path, room: int) -> None:
    if (free := shutil.disk_usage(folder).free) < room:
        raise BackupRefused(f"{folder} has {free >> 20} MiB free, {room >> 20} MiB may be needed: make room")


@contextmanager
def _whole_or_not_at_all(file: Path) -> Iterator[Path]:
    """A file beside it, for its owner alone, which takes its place when it is whole and on disk."""
    part = file.with_name(f".{file.name}.{os.getpid()}")
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        os.link(part, file)  # which refuses what was put there meanwhile
        folder = os.open(file.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    finally:
        part.unlink()


def _write(tx: Connection, archive: ZipFile, ground: Path, size: int, say: Say) -> Manifest:
    used: set[str] = set()
    made = Manifest(
        made_at=rfc3339(now_ms(), UTC) or "", software=version("citybrain"), revision=newest(),
        store=tx.dialect.name, bytes=size, begins=begins(tx), root=_last_root(tx), tables=[], files={},
    )  # fmt: skip
    for table in plain_tables():
        if table.name not in NOT_KEPT:
            written = _write_table(tx, archive, table, used)
            made.tables.append(written)
            say(f"{table.name}: {written.rows} rows")
    stored = set(tx.execute(select(editions.c.id)).scalars())
    for id_ in sorted(used - stored):
        if file := stored_file(ground, id_):
            made.files[GROUND + file.name] = _write_file(archive, file)
    archive.writestr(MANIFEST, made.model_dump_json(indent=1))
    return made


def _write_table(tx: Connection, archive: ZipFile, table: Table, used: set[str]) -> TableContent:
    content = Content()
    with archive.open(f"{table.name}.jsonl", "w", force_zip64=True) as out:
        for rows in chunks(tx, table):
            written = as_lines(rows)
            content.add(written)
            out.write(b"\n".join([*written, b""]))
            if table.name == "events":
                used.update(found[1] for row in rows if (found := EDITION.search(row["place"])))
    columns = {column.name: _kind(column.type) for column in table.c}
    return TableContent(name=table.name, columns=columns, rows=content.rows, digest=content.digest)


def _write_file(archive: ZipFile, file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content, archive.open(GROUND + file.name, "w", force_zip64=True) as out:
        while piece := content.read(PIECE):
            digest.update(piece)
            out.write(piece)
    return digest.hexdigest()


def _kind(type_: TypeEngine[Any]) -> Kind:
    if isinstance(type_, LargeBinary):
        return "bytes"
    if isinstance(type_, Boolean):
        return "bool"
    return "int" if isinstance(type_, Integer) else "float" if isinstance(type_, Float) else "text"


def _last_root(tx: Connection) -> LastRoot | None:
    last = tx.execute(select(roots.c.number, roots.c.hash).order_by(roots.c.number.desc()).limit(1)).first()
    return LastRoot(number=last.number, hash=last.hash) if last else None


def _room(tx: Connection, size: int) -> int:
    """What may be needed: photos do not become smaller, the rest becomes a tenth or a fifth."""
    photos = tx.execute(select(func.sum(func.length(blobs.c.content) + func.length(blobs.c.thumbnail)))).scalar() or 0
    return photos + (size - photos) // 3


def _size(tx: Connection) -> int:
    """Of the store in bytes."""
    asked = "SELECT pg_database_size(current_database())"
    if tx.dialect.name == "sqlite":
        asked = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    return int(tx.execute(text(asked)).scalar_one())
