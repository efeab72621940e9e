"""The way of a report into the record: locate, record, commit, ring. The place to start reading.

`file` is one straight function over a batch; a thousand lines of NDJSON and the reports of concurrent requests that
share a commit pass through it alike. A receipt means: it is on disk.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from citybrain.clock import to_ms
from citybrain.installation import Installation
from citybrain.intake.placing import Spot, locate
from citybrain.intake.report import Report
from citybrain.keys import Key
from citybrain.queue import queue_name
from citybrain.store.bulk import insert_rows
from citybrain.store.ids import new_id
from citybrain.store.stream import Change, record_changes
from citybrain.store.tables import events, reporters
from citybrain.store.upsert import insert_or
from geo.place import Place

LEVELS = ("county", "town", "village", "cell")
IDS_A_QUERY = 500


@dataclass(frozen=True, slots=True)
class Filing:
    """A checked report, who sends it, and the hash of what was sent (canonical JSON)."""

    report: Report
    spot: Spot
    body_hash: bytes
    key: Key


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the sender is answered: `new`, the same as `known` already, or a `conflict` with what is known."""

    outcome: str
    id: str
    queue: str
    place: dict[str, Any]


def file(filings: Sequence[Filing], installation: Installation) -> list[Receipt]:
    now = installation.clock()
    places = locate([filing.spot for filing in filings], installation.locator)
    rows = [_row(filing, place, now) for filing, place in zip(filings, places, strict=True)]
    with installation.store.write() as tx:
        tx.execute(insert_or(tx, events).on_conflict_do_nothing(), rows)
        recorded = _recorded(tx, rows)
        new = [row for row in rows if recorded[row["source"], row["source_event_id"]].id == row["id"]]
        kept = {row["id"] for row in new}
        _keep_reporters(tx, filings, rows, kept)
        record_changes(tx, map(_change, new), now)
    installation.ringer.ring(*{queue_name(row["domain"]) for row in new})
    return [_receipt(row, recorded[row["source"], row["source_event_id"]]) for row in rows]


def _row(filing: Filing, place: Place, now: int) -> dict[str, Any]:
    report, codes = filing.report, place.codes
    return {
        "id": new_id(),
        "source": filing.key.name,
        "source_event_id": report.source_event_id,
        "body_hash": filing.body_hash,
        "domain": report.domain,
        "type": report.type,
        "grade": report.grade,
        "title": report.title,
        "description": report.description,
        "occurred_at": to_ms(report.occurred_at),
        "received_at": now,
        "demo": filing.key.demo,
        "state": "received",
        **{level: codes.get(level) for level in LEVELS},
        "place": place.as_dict(),
        "location": report.location.model_dump(exclude_none=True) | {"datum": filing.spot.datum},
        "attributes": report.attributes,
        "due_at": now,
    }


def _recorded(tx: Connection, rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str], Any]:
    """What the store holds under each (source, source_event_id) of the batch, ours or what was there before."""
    found: dict[tuple[str, str], Any] = {}
    columns = (
        events.c.id,
        events.c.source,
        events.c.source_event_id,
        events.c.body_hash,
        events.c.domain,
        events.c.place,
    )
    for source in {row["source"] for row in rows}:
        ids = [row["source_event_id"] for row in rows if row["source"] == source]
        for start in range(0, len(ids), IDS_A_QUERY):
            some = events.c.source_event_id.in_(ids[start : start + IDS_A_QUERY])
            for row in tx.execute(select(*columns).where(events.c.source == source, some)):
                found[row.source, row.source_event_id] = row
    return found


def _keep_reporters(tx: Connection, filings: Sequence[Filing], rows: Sequence[dict[str, Any]], kept: set[str]) -> None:
    known = [
        {"event_id": row["id"], "name": filing.report.reporter.name, "phone": filing.report.reporter.phone}
        for filing, row in zip(filings, rows, strict=True)
        if filing.report.reporter and row["id"] in kept
    ]
    insert_rows(tx, reporters, known)


def _change(row: dict[str, Any]) -> Change:
    codes = {level: row[level] for level in LEVELS}
    return Change("event.received", row["domain"], codes, event_id=row["id"], source=row["source"])


def _receipt(row: dict[str, Any], known: Any) -> Receipt:
    if known.id == row["id"]:
        return Receipt("new", row["id"], row["domain"], row["place"])
    outcome = "known" if known.body_hash == row["body_hash"] else "conflict"
    return Receipt(outcome, known.id, known.domain, known.place)
