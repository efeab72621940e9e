"""Editions in the store: every host that shares it gets the same ground, and nothing that was once in use is lost."""

import hashlib
import os
import tempfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple, Self

from sqlalchemy import Connection, Row, func, insert, inspect, select

from citybrain.problem import Problem, not_found
from citybrain.store.database import Store
from citybrain.store.edition_tables import edition_pieces, edition_uses, editions
from citybrain.store.ledger import Entry, append_to_city, lock_city
from citybrain.store.upsert import insert_or

PIECE = 4 << 20  # bytes before deflating


def is_known(tx: Connection, id_: str) -> bool:
    return tx.execute(select(editions.c.id).where(editions.c.id == id_)).first() is not None


def find(tx: Connection, id_: str) -> Row[Any]:
    """Raises Problem 404."""
    row = tx.execute(select(editions).where(editions.c.id == id_)).first()
    if row is None:
        raise not_found("edition")
    return row


class Content(NamedTuple):
    """A file's bytes, ready for the store: packed before a transaction begins, in which everybody else may wait."""

    pieces: list[bytes]
    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Self:
        with path.open("rb") as opened:
            pieces = [zlib.compress(piece, 1) for piece in iter(lambda: opened.read(PIECE), b"")]
        return cls(pieces, path.stat().st_size, _sha256(path))


def keep_edition(
    tx: Connection, id_: str, name: str, report: dict[str, Any], faults: str, content: Content | None, now: int,
    actor: str,
) -> bool:  # fmt: skip
    """Whole or not at all; without content it is one that cannot be used. False where it is there already."""
    packed = content or Content([], 0, "")
    row = {"id": id_, "name": name, "valid": content is not None, "report": report, "faults": faults}
    row |= {"bytes": packed.size, "sha256": packed.sha256, "loaded_at": now, "loaded_by": actor}
    kept = insert_or(tx.dialect, editions).values(row).on_conflict_do_nothing().returning(editions.c.id)
    if tx.execute(kept).first() is None:
        return False
    for number, piece in enumerate(packed.pieces):
        tx.execute(insert(edition_pieces).values(edition_id=id_, number=number, content=piece))
    append_to_city(tx, Entry("edition.loaded", actor, {"edition": id_, "valid": content is not None}), now)
    return True


def activate(tx: Connection, id_: str, now: int, actor: str) -> bool:
    """From the commit on it is the edition in use. False where it is already. Raises Problem 404 or 409."""
    lock_city(tx)
    row = find(tx, id_)
    if not row.valid:
        detail = f"edition {id_} has errors and cannot be used: load it again when its files are mended"
        raise Problem(409, detail, report=row.report)
    before = in_use(tx)
    if before == id_:
        return False
    number = tx.execute(select(func.coalesce(func.max(edition_uses.c.number), 0))).scalar_one() + 1
    tx.execute(insert_or(tx.dialect, edition_uses).values(number=number, edition_id=id_, at=now, actor=actor))
    append_to_city(tx, Entry("edition.activated", actor, {"edition": id_, "before": before}), now)
    return True


def in_use(tx: Connection) -> str | None:
    """The edition in use; none while it is the city pack's own."""
    newest = select(edition_uses.c.edition_id).order_by(edition_uses.c.number.desc()).limit(1)
    return tx.execute(newest).scalar()


def in_use_in(store: Store) -> str | None:
    """The same of a store that may not be there yet, or be older: a city pack can be tried out before anything runs."""
    path = store.engine.url.database if store.engine.dialect.name == "sqlite" else None
    if path and not Path(path).exists():
        return None
    with store.read() as tx:
        return in_use(tx) if inspect(tx).has_table(edition_uses.name) else None


def fetch(store: Store, id_: str, path: Path) -> bool:
    """Writes an edition's content into the file `path`, in one step; False where the store has none."""
    with store.read() as tx:
        row = tx.execute(select(editions.c.sha256).where(editions.c.id == id_, editions.c.valid)).first()
    if row is None:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as out:
            number = 0
            while (piece := _piece(store, id_, number)) is not None:
                out.write(zlib.decompress(piece))
                number += 1
        if _sha256(Path(name)) != row.sha256:
            raise ValueError(f"the content of edition {id_} in the store is damaged")
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return True


def _piece(store: Store, id_: str, number: int) -> bytes | None:
    mine = (edition_pieces.c.edition_id == id_) & (edition_pieces.c.number == number)
    with store.read() as tx:
        content: bytes | None = tx.execute(select(edition_pieces.c.content).where(mine)).scalar()
    return content


def _sha256(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
