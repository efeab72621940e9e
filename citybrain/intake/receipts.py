"""Which event stands under a source's id: written before the event itself, so that whoever sends twice, even at once
and to two processes, is answered with one event."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from citybrain.store.bulk import insert_new
from citybrain.store.tables import events, receipts

IDS_A_QUERY = 500
SourceId = tuple[str, str]  # source, source_event_id


class Known(NamedTuple):
    """The event that stands there, ours or an earlier one, and what its sender was answered."""

    id: str
    body_hash: bytes
    domain: str
    place: dict[str, Any]


def source_id(row: dict[str, Any]) -> SourceId:
    return row["source"], row["source_event_id"]


def write_receipts(tx: Connection, rows: Sequence[dict[str, Any]], hashes: dict[str, bytes]) -> dict[SourceId, Known]:
    """For the rows of events to be, and the hash of each by its id. In one order for everybody, so that two batches
    with the same ids wait for each other once and not in a circle."""
    given = [
        {"source": row["source"], "source_event_id": row["source_event_id"]}
        | {"event_id": row["id"], "body_hash": hashes[row["id"]]}
        for row in sorted(rows, key=source_id)
    ]
    ours = {row["id"]: Known(row["id"], hashes[row["id"]], row["domain"], row["place"]) for row in rows}
    if insert_new(tx, receipts, given) == len(rows):
        return {source_id(row): ours[row["id"]] for row in rows}
    held = _held(tx, rows)
    theirs = _earlier(tx, {id_: hash_ for id_, hash_ in held.values() if id_ not in ours})
    known = ours | theirs
    return {under: known[id_] for under, (id_, _) in held.items()}


def _held(tx: Connection, rows: Sequence[dict[str, Any]]) -> dict[SourceId, tuple[str, bytes]]:
    found: dict[SourceId, tuple[str, bytes]] = {}
    for source in {row["source"] for row in rows}:
        ids = [row["source_event_id"] for row in rows if row["source"] == source]
        for start in range(0, len(ids), IDS_A_QUERY):
            some = receipts.c.source_event_id.in_(ids[start : start + IDS_A_QUERY])
            for row in tx.execute(select(receipts).where(receipts.c.source == source, some)):
                found[row.source, row.source_event_id] = row.event_id, row.body_hash
    return found


def _earlier(tx: Connection, hashes: dict[str, bytes]) -> dict[str, Known]:
    ids = sorted(hashes)
    found: dict[str, Known] = {}
    for start in range(0, len(ids), IDS_A_QUERY):
        some = events.c.id.in_(ids[start : start + IDS_A_QUERY])
        for row in tx.execute(select(events.c.id, events.c.domain, events.c.place).where(some)):
            found[row.id] = Known(row.id, hashes[row.id], row.domain, row.place)
    return found
