"""Events as they are shown to those who may see them: what was reported, where it is, what became of it."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime
from sqlalchemy import Row, select, update

from citybrain.access import Asker, Here
from citybrain.city import City
from citybrain.clock import rfc3339, to_ms
from citybrain.installation import Installation
from citybrain.intake.answering import progress
from citybrain.keys import May, Role, events_visible, in_divisions, mask, narrowed
from citybrain.listing import LOOKED, Cursor, Limit, Word, contains, page
from citybrain.problem import Problem, not_found
from citybrain.queue import queue_name
from citybrain.routing.record import Stamp, lengthen
from citybrain.routing.report import Filed
from citybrain.store.ids import earliest_id
from citybrain.store.ledger import Entry, append_to_city
from citybrain.store.tables import UNSETTLED, events, reporters

SKEW_MS = 60_000  # that a clock is set back between two lines of a program

routes = APIRouter(prefix="/api/v1", tags=["events 事件"])


@routes.get("/events")
def list_events(
    key: Asker,
    here: Here,
    state: Word = None,
    domain: Word = None,
    division: Word = None,
    since: Annotated[AwareDatetime | None, Query()] = None,
    q: Word = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """The newest first."""
    key.require(May.READ_EVENTS)
    query = select(events).where(events_visible(key, here.city))
    if state:
        query = query.where(events.c.state == state)
    if unsettled := state in ("received", "triage", "quarantined"):
        query = query.where(UNSETTLED)
    if domain:
        query = query.where(events.c.domain == domain)
    if division:
        query = query.where(in_divisions([division], here.city, events))
    if since:
        # Ids begin with their time, and an event has its id a moment after it was received.
        query = query.where(events.c.received_at >= to_ms(since), events.c.id >= earliest_id(to_ms(since) - SKEW_MS))
    if q:
        query = query.where(contains(q, events.c.title, events.c.description, events.c.source_event_id))
    with here.store.read() as tx:
        own = key.role in (Role.SOURCE, Role.WORKER)  # they have an index
        rare = not own and not unsettled and (narrowed(key) or any((domain, division, q)))
        looked = LOOKED if rare else None
        return page(
            tx,
            query,
            [(events.c.id, True)],
            cursor,
            limit,
            lambda row: _short(row, here.city),
            looked=looked,
        )


@routes.get("/events/{event_id}")
def show_event(event_id: str, key: Asker, here: Here) -> dict[str, Any]:
    """One event with its place, its state and the explanation of what was decided."""
    key.require(May.READ_EVENTS)
    with here.store.read() as tx:
        row = tx.execute(select(events).where(events.c.id == event_id, events_visible(key, here.city))).first()
        person = tx.execute(select(reporters).where(reporters.c.event_id == event_id)).mappings().first()
        told = progress(tx, row.case_id, here.city) if row else None
    if row is None:
        raise not_found("event")
    shown = dict(person) if person else None
    if shown and key.may(May.UNMASK):
        with here.store.write() as tx:
            append_to_city(tx, Entry("reporter.unmasked", key.name, {"event": event_id}), here.clock())
        reporter: dict[str, Any] | None = {"name": shown["name"], "phone": shown["phone"]}
    else:
        own = key.role in (Role.SOURCE, Role.WORKER)
        reporter = {"name": shown["name"], "phone": shown["phone"]} if shown and own else mask(shown)
    return _short(row, here.city) | {
        "description": row.description,
        "location": row.location,
        "attributes": row.attributes,
        "reporter": reporter,
        "case": told,
        "explanation": whole_explanation(row, here),
        "trace": row.trace if key.role in (Role.ADMIN, Role.OPERATOR, Role.AUDITOR) else None,
    }


def whole_explanation(row: Row[Any], here: Installation) -> dict[str, Any] | None:
    """Of the decision about a row of `events`, with when it was made and on what basis; None before there is one."""
    if row.explanation is None:
        return None
    known = here.domains.get(row.domain)
    event = Filed.of_record(row, here.city.zone)
    whole = lengthen(row.explanation, event, known.catalogue if known else None)
    stamp = Stamp.of(row.explanation)
    return whole | {
        "decided_at": rfc3339(stamp.at, here.city.zone),
        "basis": {**stamp.basis, "edition": row.place["edition"]},
        "due_at": rfc3339(stamp.due_at, here.city.zone),
        "joined": stamp.joined,
    }


@routes.post("/events/{event_id}/replay")
def replay_event(event_id: str, key: Asker, here: Here) -> dict[str, Any]:
    """Sends a quarantined 隔离 event through its domain once more."""
    key.require(May.ACT)
    now = here.clock()
    visible = events_visible(key, here.city)
    with here.store.write() as tx:
        row = tx.execute(select(events).where(events.c.id == event_id, visible).with_for_update()).first()
        if row is None:
            raise not_found("event")
        if row.state != "quarantined":
            raise Problem(409, f"only quarantined events are replayed; this one is {row.state}")
        values = {"state": "received", "tries": 0, "due_at": now, "lease_until": 0, "trace": None}
        tx.execute(update(events).where(events.c.id == event_id).values(**values))
        append_to_city(tx, Entry("event.replayed", key.name, {"event": event_id}), now)
    here.ringer.ring(queue_name(row.domain))
    return _short(row, here.city) | {"state": "received"}


def _short(row: Row[Any], city: City) -> dict[str, Any]:
    plain = ("id", "source", "source_event_id", "domain", "type", "title", "grade", "state", "case_id", "place", "demo")
    return {name: getattr(row, name) for name in plain} | {
        "queue": row.domain,
        "occurred_at": rfc3339(row.occurred_at, city.zone),
        "received_at": rfc3339(row.received_at, city.zone),
    }
