"""Cases and queues as they are shown: lists, one case with its whole story, the figures of every queue."""

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Row, Select, Table, case, func, select

from citybrain.casework.appealing import appeals_of
from citybrain.casework.asking import asked_dict
from citybrain.casework.beside import open_parts
from citybrain.casework.case import OPEN, Status
from citybrain.casework.hindrance import Situation, possible_actions
from citybrain.casework.message import deadline
from citybrain.casework.orders import orders_shown
from citybrain.casework.reckoning import reckoning
from citybrain.casework.relations import MUTED, muted_by, relations
from citybrain.casework.supervision import STAGES
from citybrain.city import City
from citybrain.clock import rfc3339
from citybrain.dispatch.attempts import with_attempts
from citybrain.installation import Installation
from citybrain.intake.reading import whole_explanation
from citybrain.keys import (
    WITHOUT,
    Key,
    cases_visible,
    in_divisions,
    located,
    narrowed,
    ordered_from,
    within,
)
from citybrain.listing import LOOKED, SortKey, contains, page
from citybrain.problem import invalid, not_found
from citybrain.store.dispatch_tables import deliveries
from citybrain.store.ledger_tables import ledger
from citybrain.store.tables import IN_WORK, PRESSING, UNSETTLED, cases, events, work_orders

TICKING = frozenset({Status.DISPATCHED, Status.ACCEPTED, Status.RETURNED})
SORTS: dict[str, list[SortKey]] = {
    "newest": [(cases.c.id, True)],
    "oldest": [(cases.c.id, False)],
    "due": [(PRESSING, False), (cases.c.id, False)],
    "grade": [(cases.c.grade, False), (cases.c.id, False)],
    "updated": [(cases.c.updated_at, True), (cases.c.id, True)],
}
_id, _updated = cases.c.id.concat(""), cases.c.updated_at + 0
# What is rare among the cases in work is read from their index and sorted: at the end of another there may be none.
# How many are overdue no statistics say; whose they are PostgreSQL's do, and SQLite has none.
UNINDEXED: dict[str, list[SortKey]] = {
    "newest": [(_id, True)],
    "oldest": [(_id, False)],
    "updated": [(_updated, True), (_id, True)],
}
NARROWING = ("domain", "division", "department", "q")
RARE_IN_WORK = ("overdue", "soon", "asked", "muted")
SHOWN = 200  # events, deliveries or entries of one case that its page carries


def list_cases(tx: Connection, key: Key, here: Installation, asked: Mapping[str, Any]) -> dict[str, Any]:
    """`asked` has the contract's query parameters; unknown sorts are refused."""
    sort = asked.get("sort") or "newest"
    if sort not in SORTS:
        raise invalid("sort", f"{sort!r} is no order", "one of " + ", ".join(SORTS))
    now = here.clock()
    wanted = _statuses(asked)
    if sort == "due" and wanted and not wanted & TICKING:
        sort = "oldest"  # which is the same where no clock runs, and needs no sorting
    query = filtered(select(cases).where(cases_visible(key, here.city)), here.city, asked, now)
    in_work, order = _in_work(asked), SORTS[sort]
    narrow = narrowed(key) or any(asked.get(name) for name in NARROWING)
    if in_work and (any(asked.get(name) for name in RARE_IN_WORK) or (narrow and tx.dialect.name == "sqlite")):
        order = UNINDEXED.get(sort, order)
    looked = LOOKED if not in_work and (narrow or asked.get("status")) else None
    cursor, limit = asked.get("cursor"), asked["limit"]
    return page(tx, query, order, cursor, limit, lambda row: short(row, here.city, now), looked=looked)


def _statuses(asked: Mapping[str, Any]) -> frozenset[str]:
    """Those that are asked for; none for all."""
    status = asked.get("status")
    return OPEN if status == "open" else frozenset(status.split(",") if status else ())


def _in_work(asked: Mapping[str, Any]) -> bool:
    """Whether only what is in work is asked for."""
    statuses = _statuses(asked)
    return asked.get("overdue") is True or bool(asked.get("soon")) or (bool(statuses) and statuses <= OPEN)


def filtered(query: Select[Any], city: City, asked: Mapping[str, Any], now: int) -> Select[Any]:
    if _in_work(asked):
        query = query.where(IN_WORK)
    if (wanted := _statuses(asked)) and wanted != OPEN:
        query = query.where(cases.c.status.in_(sorted(wanted)))
    if domain := asked.get("domain"):
        query = query.where(cases.c.domain == domain)
    if division := asked.get("division"):
        query = query.where(in_divisions([division], city, cases))
    if department := asked.get("department"):
        query = query.where(ordered_from(work_orders.c.department.in_(sorted(city.departments_below(department)))))
    if asked.get("overdue") is not None:
        query = query.where(late(now) if asked["overdue"] else ~func.coalesce(late(now), False))
    if asked.get("soon") is not None:
        query = query.where(soon(now) if asked["soon"] else ~func.coalesce(soon(now), False))
    if asked.get("muted") is not None:
        query = query.where(MUTED if asked["muted"] else ~MUTED)
    if asked.get("asked") is not None:
        query = query.where(cases.c.asked.isnot(None) if asked["asked"] else cases.c.asked.is_(None))
    if q := asked.get("q"):
        query = query.where(contains(q, cases.c.title, cases.c.number))
    return query


def late(now: int) -> ColumnElement[bool]:
    return (cases.c.due_at < now) & cases.c.status.in_(sorted(TICKING))


def soon(now: int) -> ColumnElement[bool]:
    """Not late yet, but past the first threshold of supervision: a quarter of the limit is left, unless the city says
    otherwise."""
    return (cases.c.due_at >= now) & (cases.c.supervision >= 1) & cases.c.status.in_(sorted(TICKING))


def short(row: Row[Any], city: City, now: int) -> dict[str, Any]:
    values = dict(row._mapping)
    plain = ("id", "number", "status", "version", "domain", "type", "grade", "title", "place", "event_count", "demo")
    return {name: values[name] for name in plain} | {
        "department": row.lead,
        "triage_reason": row.triage_reason,
        "merged_into": row.merged_into,
        **{name: getattr(row, name) for name in ("related_to", "parent_id", "inhibited_by", "silence_id")},
        "deadline": deadline(values, city, now),
        "asked": asked_dict(values["asked"], city),
        "stage": stage(row, city, now),
        "supervision": row.supervision,
        "opened_at": rfc3339(row.opened_at, city.zone),
        "updated_at": rfc3339(row.updated_at, city.zone),
        "closed_at": rfc3339(row.closed_at, city.zone),
    }


def stage(row: Row[Any], city: City, now: int) -> dict[str, Any] | None:
    """The centre's own clock, which runs day and night: acceptance 受理, then dispatch 派遣."""
    if row.stage_due_at is None:
        return None
    state = "overdue" if row.stage_due_at < now else "running"
    return {"name": STAGES[row.status], "due_at": rfc3339(row.stage_due_at, city.zone), "state": state}


def visible_case(tx: Connection, case_id: str, key: Key, city: City) -> Row[Any]:
    """By id or number; raises Problem 404 for what the key may not see."""
    named = (cases.c.id == case_id) | (cases.c.number == case_id)
    row = tx.execute(select(cases).where(named, cases_visible(key, city))).first()
    if row is None:
        raise not_found("case")
    return row


def case_of(tx: Connection, case_id: str) -> Row[Any]:
    """The case of a work order that the key may see, or that it just acted on."""
    return tx.execute(select(cases).where(cases.c.id == case_id)).one()


def whole_case(tx: Connection, row: Row[Any], here: Installation, key: Key) -> dict[str, Any]:
    """A case with its events, orders, deliveries and the timeline drawn from its ledger."""
    city, now = here.city, here.clock()
    orders = tx.execute(select(work_orders).where(work_orders.c.case_id == row.id).order_by(work_orders.c.id)).all()
    columns = (events.c.id, events.c.source, events.c.title, events.c.description, events.c.occurred_at, events.c.state)
    of_case = tx.execute(
        select(*columns, events.c.received_at, events.c.attributes)
        .where(events.c.case_id == row.id).order_by(events.c.id).limit(SHOWN)
    ).all()  # fmt: skip
    sent = tx.execute(
        select(deliveries).where(deliveries.c.case_id == row.id).order_by(deliveries.c.id).limit(SHOWN)
    ).all()
    newest = select(ledger).where(ledger.c.chain == row.id).order_by(ledger.c.seq.desc()).limit(SHOWN)
    entries = tx.execute(newest).all()[::-1]
    opening = entries[0] if entries and entries[0].seq == 1 else _entry(tx, row.id, 1)
    parts = open_parts(tx, [row.id] if row.status in OPEN else [], key, city)
    counts = ("extensions", "returns", "reworks", "appointed")
    return (
        short(row, city, now)
        | {name: getattr(row, name) for name in counts}
        | {
            "explanation": _explanation(tx, opening, here) if opening else None,
            "actions": possible_actions(Situation(row._asdict(), now, city.practice, parts.get(row.id, ()))),
            "reckoning": reckoning(tx, row, city),
            "relations": relations(tx, row, key, city),
            "muted": muted_by(tx, row, city),
            "appeals": appeals_of(tx, row.id, city),
            "events": [_event(event, city) for event in of_case],
            "work_orders": orders_shown(tx, orders, row, city, now),
            "deliveries": with_attempts(tx, sent, city),
            "timeline": [entry_dict(entry, city) for entry in entries],
            "timeline_total": row.entries,
        }
    )


def acted_first(last: dict[str, Any], version: int) -> str:
    return f"{last['actor']} acted first ({last['action']}, {last['at']}); this is version {version}"


def timeline(tx: Connection, row: Row[Any], city: City, cursor: str | None, limit: int) -> dict[str, Any]:
    """All of a case's ledger, a page at a time, the newest first."""
    query = select(ledger).where(ledger.c.chain == row.id)
    return page(tx, query, [(ledger.c.seq, True)], cursor, limit, lambda entry: entry_dict(entry, city))


def _entry(tx: Connection, case_id: str, seq: int) -> Row[Any] | None:
    return tx.execute(select(ledger).where(ledger.c.chain == case_id, ledger.c.seq == seq)).first()


def _explanation(tx: Connection, opening: Row[Any], here: Installation) -> dict[str, Any] | None:
    """Of the event that opened the case; of several that were split off into one, the first."""
    data = orjson.loads(opening.data)
    opened_by = data.get("event") or min(data.get("events", [""]))
    event = tx.execute(select(events).where(events.c.id == opened_by)).first()
    return whole_explanation(event, here) if event else None


def queues(tx: Connection, key: Key, here: Installation) -> list[dict[str, Any]]:
    """Every domain's queue by division of the city's first level: what waits for a handler, what is in work, what needs
    a person, what is late."""
    now, first = here.clock(), here.city.first_level
    found: dict[tuple[str, str | None], dict[str, Any]] = {}
    for domain in sorted(here.domains):
        if not key.domains or domain in key.domains:
            _queue(found, domain, None)
    waiting = (
        select(*_queue_of(events, first), events.c.state, func.count(), func.min(events.c.received_at))
        .where(events.c.state.in_(("received", "quarantined")), UNSETTLED, within(key, here.city, events))
        .group_by(*_queue_of(events, first), events.c.state)
    )
    for domain, *place, state, number, oldest in tx.execute(waiting):
        queue = _queue(found, domain, _division(place, first))
        queue["waiting" if state == "received" else "quarantined"] += number
        _older(queue, oldest, now)
    worked = (
        select(
            *_queue_of(cases, first),
            func.sum(case((cases.c.status == Status.TRIAGE, 1), else_=0)),
            func.sum(case((cases.c.status == Status.TRIAGE, 0), else_=1)),
            func.sum(case((late(now), 1), else_=0)),
            func.min(cases.c.opened_at),
        )
        .where(IN_WORK, within(key, here.city, cases))
        .group_by(*_queue_of(cases, first))
    )
    for domain, *place, triage, working, overdue, oldest in tx.execute(worked):
        queue = _queue(found, domain, _division(place, first))
        queue["triage"] += triage
        queue["working"] += working
        queue["overdue"] += overdue
        _older(queue, oldest, now)
    return [found[name] for name in sorted(found, key=lambda name: (name[0], name[1] or ""))]


def _queue_of(table: Table, level: str) -> tuple[ColumnElement[Any], ...]:
    return table.c.domain, table.c[level], located(table)


def _division(place: list[Any], level: str) -> str | None:
    """`no-county` where only other levels were found, None where nothing was."""
    code, somewhere = place
    return code or (WITHOUT + level if somewhere else None)


def _queue(found: dict[tuple[str, str | None], dict[str, Any]], domain: str, division: str | None) -> dict[str, Any]:
    counts = dict.fromkeys(("waiting", "working", "triage", "quarantined", "overdue"), 0)
    blank = {"domain": domain, "division": division, **counts, "oldest_seconds": None}
    return found.setdefault((domain, division), blank)


def _older(queue: dict[str, Any], since: int | None, now: int) -> None:
    if since is not None:
        queue["oldest_seconds"] = max(queue["oldest_seconds"] or 0, (now - since) // 1000)


def _event(row: Any, city: City) -> dict[str, Any]:
    plain = ("id", "source", "title", "description", "state", "attributes")
    return {name: getattr(row, name) for name in plain} | {
        "occurred_at": rfc3339(row.occurred_at, city.zone),
        "received_at": rfc3339(row.received_at, city.zone),
    }


def entry_dict(row: Row[Any], city: City) -> dict[str, Any]:
    return {
        "seq": row.seq,
        "at": rfc3339(row.at, city.zone),
        "actor": row.actor,
        "action": row.action,
        "data": orjson.loads(row.data),
        "hash": row.hash,
    }
