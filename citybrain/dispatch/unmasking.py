"""Who reported, for the endpoints that may see it: put in at the moment of sending, never stored in a message."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, select

from citybrain.store.tables import reporters

Persons = Mapping[str, Mapping[str, Any]]


def persons_in(tx: Connection, bodies: Iterable[str]) -> Persons:
    """The reporters of all events in these messages, by event, in one query."""
    ids = {event["id"] for body in bodies for event in orjson.loads(body)["data"].get("events", [])}
    if not ids:
        return {}
    rows = tx.execute(select(reporters).where(reporters.c.event_id.in_(sorted(ids)))).mappings()
    return {row["event_id"]: dict(row) for row in rows}


def unmasked(body: str, persons: Persons) -> bytes:
    """The message with names and phones instead of what masks them; erased persons stay masked."""
    message = orjson.loads(body)
    for event in message["data"].get("events", []):
        if person := persons.get(event["id"]):
            event["reporter"] = {"name": person["name"], "phone": person["phone"]}
    return orjson.dumps(message)
