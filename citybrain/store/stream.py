"""What happened, for whoever watches: changes are recorded with the transaction that made them and numbered after
their commit by one sequencer, so that a reader who has seen position n has seen everything up to n."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, text, update

from citybrain.store.bulk import insert_rows
from citybrain.store.ids import new_id
from citybrain.store.tables import stream

SEQUENCER_LOCK = 441_400


@dataclass(frozen=True, slots=True)
class Change:
    """Holds no personal data: it is shown to everyone who may see the thing at all."""

    type: str  # event.received, case.filed, case.dispatched, …
    domain: str
    codes: dict[str, str | None]
    event_id: str | None = None
    case_id: str | None = None
    source: str | None = None
    data: dict[str, Any] = field(default_factory=dict)


def record_changes(tx: Connection, changes: Iterable[Change], at: int) -> None:
    rows = [
        {
            "id": new_id(),
            "at": at,
            "type": change.type,
            "event_id": change.event_id,
            "case_id": change.case_id,
            "source": change.source,
            "domain": change.domain,
            **{level: change.codes.get(level) for level in ("county", "town", "village", "cell")},
            "data": change.data,
        }
        for change in changes
    ]
    insert_rows(tx, stream, rows)


def number_committed(tx: Connection) -> int:
    """Gives the next positions to what is committed and has none. One at a time: SQLite's write lock, an advisory
    lock on PostgreSQL. Returns the last position."""
    if tx.dialect.name == "postgresql":
        tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": SEQUENCER_LOCK})
    last: int = tx.execute(select(func.coalesce(func.max(stream.c.position), 0))).scalar_one()
    waiting = tx.execute(select(stream.c.id).where(stream.c.position.is_(None)).order_by(stream.c.id)).scalars().all()
    if waiting:
        tx.execute(
            update(stream).where(stream.c.id == bindparam("row_id")).values(position=bindparam("number")),
            [{"row_id": row_id, "number": number} for number, row_id in enumerate(waiting, last + 1)],
        )
    return last + len(waiting)


def forget_before(tx: Connection, at: int) -> None:
    """The stream is for watching, not a record: the ledger is. The newest row stays, so that positions go on."""
    newest = select(func.max(stream.c.position)).scalar_subquery()
    tx.execute(delete(stream).where(stream.c.at < at, stream.c.position < newest))
