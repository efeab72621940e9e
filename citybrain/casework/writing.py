"""Writes amendments: cases, work orders, ledger, changes for the stream and messages, in one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select, update

from citybrain.casework.amendment import Amendment
from citybrain.casework.case import ENDED, OPEN
from citybrain.casework.imprint import imprint
from citybrain.casework.message import compose
from citybrain.casework.relations import look_again
from citybrain.casework.supervision import schedule
from citybrain.city import City
from citybrain.dispatch.outbox import Taker, post
from citybrain.store.bulk import insert_rows, update_rows
from citybrain.store.ledger import Head, chain_entries
from citybrain.store.ledger_tables import ledger
from citybrain.store.stream import Change, record_changes
from citybrain.store.tables import cases, events, reporters, work_orders

EVENTS_SHOWN = 20  # in a message: a storm of reports must not make a webhook of megabytes

_position = func.row_number().over(partition_by=events.c.case_id, order_by=events.c.id).label("position")
_numbered = (
    select(events.c.id, _position).where(events.c.case_id.in_(bindparam("ids", expanding=True))).subquery("numbered")
)
_EARLIEST = (
    select(events)
    .where(events.c.id.in_(select(_numbered.c.id).where(_numbered.c.position <= EVENTS_SHOWN)))
    .order_by(events.c.id)
)
_REPORTERS = select(reporters).where(reporters.c.event_id.in_(bindparam("ids", expanding=True)))


class StaleVersion(Exception):
    """Somebody changed the case first; nothing was written."""

    def __init__(self, case_id: str) -> None:
        super().__init__(case_id)
        self.case_id = case_id


def write(
    tx: Connection,
    amendments: Sequence[Amendment],
    city: City,
    opening: Mapping[str, Sequence[Row[Any]]] | None = None,
    taker: Taker | None = None,
) -> int:
    """Writes them all; returns how many deliveries are due at once and claimed by nobody. Raises StaleVersion.
    `opening` has all the events of the cases that are new, in order: they need not be read again."""
    if not amendments:
        return 0
    at = amendments[0].at
    leaving = [amendment.case["id"] for amendment in amendments if amendment.leaves_triage]
    if leaving:
        waiting = events.c.case_id.in_(leaving) & (events.c.state == "triage")
        tx.execute(update(events).where(waiting).values(state="cased"))
    rows: list[dict[str, Any]] = []
    for amendment in amendments:
        case = amendment.case
        schedule(amendment, city)
        point = case["place"].get("wgs84") or {}
        case["lng"], case["lat"] = point.get("lng"), point.get("lat")
        before = Head(case["entries"], case["head"]) if not amendment.is_new else Head()
        state = imprint(case, amendment.orders.values())
        continued, head = chain_entries(case["id"], before, amendment.entries, amendment.at, state)
        case["entries"], case["head"] = head.entries, head.hash
        rows += continued
    _write_cases(tx, amendments)
    ended = [each.case["id"] for each in amendments if each.case["status"] in ENDED and each.status_before in OPEN]
    look_again(tx, ended, "inhibited_by", at)
    _write_orders(tx, amendments)
    insert_rows(tx, ledger, rows)
    record_changes(tx, (change for amendment in amendments for change in _changes(amendment)), at)
    return post(tx, compose(amendments, _events_of(tx, amendments, opening or {}), city), city, at, taker)


def _write_cases(tx: Connection, amendments: Sequence[Amendment]) -> None:
    insert_rows(tx, cases, [amendment.case for amendment in amendments if amendment.is_new])
    seen = [amendment.case | {"version": amendment.version} for amendment in amendments if not amendment.is_new]
    if update_rows(tx, cases, ("id", "version"), seen, version=1) != len(seen):
        raise StaleVersion(", ".join(case["id"] for case in seen))


def _write_orders(tx: Connection, amendments: Sequence[Amendment]) -> None:
    new = [each.orders[order_id] for each in amendments for order_id in sorted(each.new_orders)]
    changed = [each.orders[order_id] for each in amendments for order_id in sorted(each.changed_orders)]
    insert_rows(tx, work_orders, new)
    update_rows(tx, work_orders, ("id", "case_id"), changed)


def _changes(amendment: Amendment) -> Iterable[Change]:
    case = amendment.case
    codes = {level: case[level] for level in ("county", "town", "village", "cell")}
    for entry in amendment.entries:
        data = {"number": case["number"], "status": case["status"], "version": case["version"], "by": entry.actor}
        yield Change(f"case.{entry.action}", case["domain"], codes, case_id=case["id"], data=data)


def _events_of(
    tx: Connection, amendments: Sequence[Amendment], opening: Mapping[str, Sequence[Row[Any]]]
) -> dict[str, list[dict[str, Any]]]:
    """The reports behind each case that has something to tell, the earliest first, with who reported them."""
    wanted = [amendment.case["id"] for amendment in amendments if amendment.messages]
    found: dict[str, list[Row[Any]]] = {id_: list(opening[id_][:EVENTS_SHOWN]) for id_ in wanted if id_ in opening}
    others = [case_id for case_id in wanted if case_id not in found]
    for start in range(0, len(others), 500):
        for row in tx.execute(_EARLIEST, {"ids": others[start : start + 500]}):
            found.setdefault(row.case_id, []).append(row)
    persons = _persons(tx, [row.id for rows in found.values() for row in rows])
    return {case_id: [_told(row, persons.get(row.id)) for row in rows] for case_id, rows in found.items()}


def _told(row: Row[Any], person: Row[Any] | None) -> dict[str, Any]:
    told = {name: getattr(row, name) for name in ("id", "source", "title", "description", "occurred_at", "attributes")}
    return told | {"name": person.name if person else None, "phone": person.phone if person else None}


def _persons(tx: Connection, event_ids: Sequence[str]) -> dict[str, Row[Any]]:
    persons: dict[str, Row[Any]] = {}
    for start in range(0, len(event_ids), 500):
        some = {"ids": event_ids[start : start + 500]}
        persons |= {row.event_id: row for row in tx.execute(_REPORTERS, some)}
    return persons
