"""Why an event went where it went, whether the rules in use would decide the same, and what people changed since."""

from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection, Row, select

from citybrain.access import Asker, Here
from citybrain.casework.opening import RULES
from citybrain.casework.reading import entry_dict
from citybrain.casework.recomputation import recompute
from citybrain.installation import Installation
from citybrain.keys import Key, May, cases_visible, events_visible
from citybrain.problem import not_found
from citybrain.store.ledger_tables import ledger
from citybrain.store.tables import cases, events

routes = APIRouter(prefix="/api/v1", tags=["events 事件"])
CHANGING = frozenset(
    {"typed", "raised", "dispatched", "reassigned", "relocated", "extended", "suspended", "resumed", "returned"}
    | {"reworked", "reopened", "merged", "merged_into", "split", "triage", "voided"}
)  # entries of the ledger that change what a decision has settled: type, grade, place, department, deadline, case


@routes.get("/events/{event_id}/explanation")
def explain_event(event_id: str, key: Asker, here: Here) -> dict[str, Any]:
    """The decision as it was recorded, and recomputed now from the record with the packs in use.

    `same` is true, or false with `differences`, each with `part`, `then`, `now` and `because`: what the decision rests
    on and is another now (`rules`, `departments`, `calendar`, `placing`, `edition`, `software`), or `unknown`. It is
    null before there is a decision, or where `obstacle` says what keeps it from being recomputed (`no_basis`,
    `no_domain`, `handler_failed`). The place is located
    again in its own edition while that is kept (`edition_kept`), as `place`, and in the edition in use, as
    `place_in_use`. `afterwards` has what was changed of the case since: these are no differences of the decision.
    It is null for keys that may not read the case."""
    key.require(May.READ_EVENTS)
    with here.store.read() as tx:
        row = tx.execute(select(events).where(events.c.id == event_id, events_visible(key, here.city))).first()
        since = changes_since(tx, row, key, here) if row else None
    if row is None:
        raise not_found("event")
    return explanation_of(row, here) | {"afterwards": since}


def explanation_of(row: Row[Any], here: Installation) -> dict[str, Any]:
    verdict = recompute([row], here)[0]
    now = verdict.now["basis"] if verdict.now else None
    return {
        "event": row.id,
        "state": row.state,
        "case_id": row.case_id,
        "place": row.place,
        "explanation": verdict.then,
        "same": verdict.same,
        "differences": [each._asdict() for each in verdict.differences],
        "obstacle": verdict.obstacle,
        "edition_kept": verdict.edition_kept if verdict.now else None,
        "basis_in_use": now,
        "changed": verdict.others,
        "recomputed": verdict.now,
    }


def changes_since(tx: Connection, row: Row[Any], key: Key, here: Installation) -> list[dict[str, Any]] | None:
    """The entries of the event's case that changed later what was decided about it."""
    if not key.may(May.READ_CASES):
        return None
    visible = select(cases.c.id).where(cases.c.id == row.case_id, cases_visible(key, here.city))
    entries = tx.execute(select(ledger).where(ledger.c.chain.in_(visible)).order_by(ledger.c.seq)).all()
    decided_at = (row.explanation or {}).get("at", 0)
    return [
        entry_dict(each, here.city)
        for each in entries
        if each.action in CHANGING and (each.at > decided_at or (each.at == decided_at and each.actor != RULES))
    ]
