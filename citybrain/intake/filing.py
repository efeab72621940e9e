"""The way of a report into the record: locate, record, commit, ring. The place to start reading.

`file` is one straight function over a batch; a thousand lines of NDJSON and the reports of concurrent requests that
share a commit pass through it alike. A receipt means: it is on disk.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, case, func, literal_column, update

from citybrain.clock import to_ms
from citybrain.installation import Installation
from citybrain.intake.placing import Spot, locate
from citybrain.intake.receipts import Known, SourceId, source_id, write_receipts
from citybrain.intake.report import Report
from citybrain.keys import Key
from citybrain.queue import queue_name
from citybrain.store.bulk import insert_rows
from citybrain.store.ids import new_id
from citybrain.store.stream import Change, record_changes
from citybrain.store.tables import events, reporters
from geo.place import Place

LEVELS = ("county", "town", "village", "cell")
GRAVE = 2  # grades Ⅰ and Ⅱ overtake


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
    rows = [_row(filing, place, now, installation) for filing, place in zip(filings, places, strict=True)]
    hashes = {row["id"]: filing.body_hash for filing, row in zip(filings, rows, strict=True)}

    def record(tx: Connection) -> dict[SourceId, Known]:
        recorded = write_receipts(tx, rows, hashes)
        new = [row for row in rows if recorded[source_id(row)].id == row["id"]]
        insert_rows(tx, events, new)
        _keep_reporters(tx, filings, rows, {row["id"] for row in new})
        record_changes(tx, map(_change, new), now)
        return recorded

    recorded = installation.store.transact(record)
    receipts = [_receipt(row["id"], hashes[row["id"]], recorded[source_id(row)]) for row in rows]
    installation.ringer.ring(*{queue_name(receipt.queue) for receipt in receipts if receipt.outcome == "new"})
    return receipts


def _row(filing: Filing, place: Place, now: int, here: Installation) -> dict[str, Any]:
    report, codes = filing.report, place.codes
    return {
        "id": new_id(),
        "source": filing.key.name,
        "source_event_id": report.source_event_id,
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
        "lane": _lane(report, codes.get("county"), here),
    }


def _lane(report: Report, county: str | None, here: Installation) -> str:
    """Each county has a turn of its own, and the grave overtake, as far as it is known before they are handled."""
    kind = here.type_of(report.domain, report.type)
    grades = (report.grade, kind.row.grade if kind else None)
    grave = any(grade is not None and grade <= GRAVE for grade in grades)
    return f"{report.domain}.{'1' if grave else '4'}.{county or ''}"


def line_up(tx: Connection) -> None:
    """What an older version of this program has recorded stands in no lane yet."""
    gravity = case((events.c.grade <= GRAVE, ".1."), else_=".4.")
    lost = (events.c.state == literal_column("'received'")) & (events.c.lane == "")
    tx.execute(update(events).where(lost).values(lane=events.c.domain + gravity + func.coalesce(events.c.county, "")))


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


def _receipt(id_: str, body_hash: bytes, known: Known) -> Receipt:
    if known.id == id_:
        return Receipt("new", id_, known.domain, known.place)
    outcome = "known" if known.body_hash == body_hash else "conflict"
    return Receipt(outcome, known.id, known.domain, known.place)
