"""What whoever reported something is told 回复上报人: how far its case is, and since when. Departments, people and what
they wrote to each other stay inside; why a case was given up does not."""

from typing import Any

import orjson
from sqlalchemy import Connection, select

from citybrain.city import City
from citybrain.clock import rfc3339
from citybrain.store.ledger_tables import ledger
from citybrain.store.tables import cases

# What the ledger says, and what it means to a reporter.
PUBLIC = {
    "triage": "received",
    "filed": "filed",
    "dispatched": "dispatched",
    "completed": "completed",
    "verified": "verified",
    "reworked": "rework",
    "suspended": "suspended",
    "resumed": "resumed",
    "closed": "closed",
    "reopened": "reopened",
    "voided": "void",
}
STEPS_SHOWN = 100


def progress(tx: Connection, case_id: str | None, city: City) -> dict[str, Any] | None:
    """None while the event has no case."""
    row = tx.execute(select(cases).where(cases.c.id == case_id)).first() if case_id else None
    if row is None:
        return None
    newest = select(ledger).where(ledger.c.chain == row.id, ledger.c.action.in_(PUBLIC))
    entries = tx.execute(newest.order_by(ledger.c.seq.desc()).limit(STEPS_SHOWN)).all()[::-1]
    steps = []
    for entry in entries:
        step = {"at": rfc3339(entry.at, city.zone), "status": PUBLIC[entry.action]}
        if entry.action == "voided":
            step["reason"] = orjson.loads(entry.data).get("reason")
        steps.append(step)
    return {
        "number": row.number,
        "status": row.status,
        "due_at": rfc3339(row.due_at, city.zone),
        "closed_at": rfc3339(row.closed_at, city.zone),
        "history": steps,
    }
