"""Queues, cases and work orders for operators and domain systems."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import Connection

from citybrain.access import Asker, Here, JsonBody, described
from citybrain.casework import appealing, reading, verifying
from citybrain.casework.actions import act
from citybrain.casework.bulk import act_on_many
from citybrain.casework.feedback import Feedback, parse_feedback, take
from citybrain.casework.hindrance import require_right
from citybrain.casework.relations import suggestions
from citybrain.casework.turn import Request, Turn, parse_request
from citybrain.casework.writing import StaleVersion
from citybrain.installation import Installation
from citybrain.keys import Key, May
from citybrain.listing import Cursor, Limit, Word
from citybrain.problem import Problem
from citybrain.queue import DISPATCH

routes = APIRouter(prefix="/api/v1", tags=["cases 案件"])


@routes.get("/queues")
def queues(key: Asker, here: Here) -> list[dict[str, Any]]:
    key.require(May.QUEUES)
    with here.store.read() as tx:
        return reading.queues(tx, key, here)


@routes.get("/cases")
def list_cases(
    key: Asker,
    here: Here,
    status: Word = None,
    domain: Word = None,
    division: Word = None,
    department: Word = None,
    overdue: Annotated[bool | None, Query()] = None,
    soon: Annotated[bool | None, Query(description="due soon: past the first threshold of supervision")] = None,
    muted: Annotated[bool | None, Query(description="kept without dispatch: silenced or inhibited")] = None,
    q: Word = None,
    sort: Word = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """`status` may be several with commas, or `open`; `sort`: newest, oldest, due, grade, updated."""
    key.require(May.READ_CASES)
    asked = {"status": status, "domain": domain, "division": division, "department": department, "overdue": overdue}
    asked |= {"muted": muted, "soon": soon}
    with here.store.read() as tx:
        return reading.list_cases(tx, key, here, asked | {"q": q, "sort": sort, "cursor": cursor, "limit": limit})


@routes.get("/cases/{case_id}")
def show_case(case_id: str, key: Asker, here: Here) -> dict[str, Any]:
    key.require(May.READ_CASES)
    with here.store.read() as tx:
        return reading.whole_case(tx, reading.visible_case(tx, case_id, key, here.city), here, key)


@routes.get("/cases/{case_id}/suggestions")
def suggest_cases(case_id: str, key: Asker, here: Here) -> dict[str, Any]:
    """Open cases that may be about the same thing, the likeliest first, with distance, time and why; `merge` joins."""
    key.require(May.READ_CASES)
    with here.store.read() as tx:
        row = reading.visible_case(tx, case_id, key, here.city)
        return {"items": suggestions(tx, row, key, here.city), "next": None}


@routes.get("/cases/{case_id}/timeline")
def case_timeline(case_id: str, key: Asker, here: Here, cursor: Cursor = None, limit: Limit = 50) -> dict[str, Any]:
    """All of it, the newest first; the case itself carries its newest 200 entries."""
    key.require(May.READ_CASES)
    with here.store.read() as tx:
        return reading.timeline(tx, reading.visible_case(tx, case_id, key, here.city), here.city, cursor, limit)


@routes.post("/cases/actions")
def act_on_cases(key: Asker, here: Here, body: JsonBody) -> dict[str, Any]:
    """Up to 200 actions, each on a case of its own: a result for each, in order. What is refused changes nothing and
    stops nothing else."""
    key.require_any(May.ACT, May.VERIFY, May.FEEDBACK)
    return act_on_many(here, key, body)


@routes.get("/verifications")
def list_verifications(
    key: Asker,
    here: Here,
    division: Word = None,
    domain: Word = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """What waits to be verified 核查 on the spot in the key's divisions, the longest waiting first, with what the
    departments reported and the newest photos from before and after, each with who added it when and its thumbnail."""
    key.require_any(May.VERIFY, May.READ_DISPATCH)
    asked = {"division": division, "domain": domain, "cursor": cursor, "limit": limit}
    with here.store.read() as tx:
        return verifying.waiting(tx, key, here, asked)


@routes.get("/appeals")
def list_appeals(
    key: Asker,
    here: Here,
    outcome: Annotated[str | None, Query(pattern="^(open|upheld|rejected)$")] = None,
    department: Word = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """Appeals 申诉, the newest first; `outcome` is `open` until a supervisor has judged."""
    key.require_any(May.FEEDBACK, May.READ_DISPATCH)
    with here.store.read() as tx:
        return appealing.list_appeals(tx, key, here, outcome, department, cursor, limit)


@routes.post("/cases/{case_id}/{action}", openapi_extra=described(Request))
def act_on_case(case_id: str, action: str, key: Asker, here: Here, body: JsonBody) -> dict[str, Any]:
    """The case after the action. 409 names the legal actions, or carries the case that somebody changed first."""
    return do_action(here, key, case_id, action, body)


def do_action(here: Installation, key: Key, case_id: str, action: str, body: Any) -> dict[str, Any]:
    require_right(key, action, here.city.practice)
    request = parse_request(action, body)

    def do(tx: Connection) -> tuple[str, int]:
        found = reading.visible_case(tx, case_id, key, here.city).id
        return found, act(Turn.of(tx, request, key, here), found, action, here.clock())

    try:
        row_id, due = here.store.transact(do)
    except StaleVersion:
        with here.store.read() as tx:
            present = reading.whole_case(tx, reading.visible_case(tx, case_id, key, here.city), here, key)
        detail = reading.acted_first(present["timeline"][-1], present["version"])
        raise Problem(409, detail, case=present, legal=present["actions"]) from None
    if due:
        here.ringer.ring(DISPATCH)
    with here.store.read() as tx:  # by its id: a case that was moved out of the key's divisions is answered once more
        return reading.whole_case(tx, reading.case_of(tx, row_id), here, key)


@routes.get("/work-orders/{order_id}")
def show_order(order_id: str, key: Asker, here: Here) -> dict[str, Any]:
    key.require(May.READ_CASES)
    with here.store.read() as tx:
        return _order(here, key, order_id, tx)


@routes.post("/work-orders/{order_id}/feedback", openapi_extra=described(Feedback))
def give_feedback(order_id: str, key: Asker, here: Here, body: JsonBody) -> dict[str, Any]:
    """The work order after the feedback; the same `feedback_id` again has no second effect."""
    key.require(May.FEEDBACK)
    feedback = parse_feedback(body)

    def record(tx: Connection) -> int:
        order = reading.visible_order(tx, order_id, key, here.city)
        return take(tx, order.id, order.case_id, feedback, key.name, here.city, here.clock())

    if here.store.transact(record):
        here.ringer.ring(DISPATCH)
    with here.store.read() as tx:
        return _order(here, key, order_id, tx)


def _order(here: Installation, key: Key, order_id: str, tx: Any) -> dict[str, Any]:
    order = reading.visible_order(tx, order_id, key, here.city)
    row = reading.case_of(tx, order.case_id)
    case = {name: getattr(row, name) for name in ("id", "number", "status", "domain", "type", "grade", "title")}
    return reading.order_dict(order, row, here.city, here.clock()) | {"case": case, "place": row.place}
