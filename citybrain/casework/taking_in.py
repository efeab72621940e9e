"""A quarantined event 隔离 that no handler can take: a person takes it in as a case in triage, where place, type and
department are chosen by hand, or refuses it with a reason. The event itself stays as it was reported either way."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection, Row, select, update

from citybrain.access import Asker, Here
from citybrain.casework import effects, reading
from citybrain.casework.amendment import Amendment
from citybrain.casework.beside import Beside
from citybrain.casework.case import Status
from citybrain.casework.hindrance import require_right
from citybrain.casework.numbers import next_numbers
from citybrain.casework.opening import in_triage
from citybrain.casework.turn import Request, Turn
from citybrain.casework.writing import write
from citybrain.installation import Installation
from citybrain.keys import Key, May, events_visible
from citybrain.problem import Problem, not_found
from citybrain.queue import DISPATCH
from citybrain.routing.decision import LOWEST_GRADE, Decision
from citybrain.store.tables import events
from citybrain.words import Words

BY_HAND = "quarantined"  # why such a case waits in triage

routes = APIRouter(prefix="/api/v1", tags=["events 事件"])


class Refusal(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Annotated[Words, "why it is no case"]


@routes.post("/events/{event_id}/take-in")
def take_in(event_id: str, key: Asker, here: Here) -> dict[str, Any]:
    """The case in triage that a quarantined 隔离 event becomes; `relocate`, `file` and `dispatch` decide the rest."""
    return _decided(event_id, None, key, here)


@routes.post("/events/{event_id}/refuse")
def refuse(event_id: str, key: Asker, here: Here, body: Refusal) -> dict[str, Any]:
    """Its case, void with the reason: a quarantined 隔离 event that is nobody's business. It is kept and never lost."""
    return _decided(event_id, body.reason, key, here)


def _decided(event_id: str, refused: str | None, key: Key, here: Installation) -> dict[str, Any]:
    key.require(May.ACT)
    for action in ("file",) if refused is None else ("file", "void"):
        require_right(key, action, here.city.practice)

    def do(tx: Connection) -> tuple[str, int]:
        amendment = _taken(tx, event_id, key, here)
        if refused is not None:
            request = Request.model_validate({"version": 1, "reason": refused})
            effects.void(amendment, Turn.of(tx, request, key, here, Beside({}, {})))
            amendment.case["status"] = Status.VOID
        due = write(tx, [amendment], here.city)
        return amendment.case["id"], due

    case_id, due = here.store.transact(do)
    if due:
        here.ringer.ring(DISPATCH)
    with here.store.read() as tx:
        return reading.whole_case(tx, reading.case_of(tx, case_id), here, key)


def _taken(tx: Connection, event_id: str, key: Key, here: Installation) -> Amendment:
    """Numbers come first, as everywhere: see `store.locks`."""
    now = here.clock()
    mine = select(events).where(events.c.id == event_id, events_visible(key, here.city))
    found = tx.execute(mine).first()
    if found is None:
        raise not_found("event")
    number = next_numbers(tx, found.domain, 1, here.city.zone, now)[0]
    row = tx.execute(mine.with_for_update()).one()
    if row.state != "quarantined":
        raise Problem(409, f"only quarantined events are taken in by hand; this one is {row.state}")
    amendment = in_triage(row, _undecided(row, here), number, key.name, here, now)
    values = {"state": "triage", "case_id": amendment.case["id"], "lease_until": 0, "due_at": now}
    tx.execute(update(events).where(events.c.id == row.id).values(**values))
    return amendment


def _undecided(row: Row[Any], here: Installation) -> Decision:
    """What the reporter said, as far as the domain knows it."""
    kind = here.type_of(row.domain, row.type)
    grades = [each for each in (row.grade, kind.row.grade if kind else None) if each and each <= LOWEST_GRADE]
    return Decision(row.id, kind.code if kind else None, min(grades, default=LOWEST_GRADE), None, triage=BY_HAND)
