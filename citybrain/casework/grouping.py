"""Which events belong to one case: a case merged into another, events split off into a case of their own."""

from sqlalchemy import func, select, update

from citybrain.casework.amendment import NOTHING_YET, Amendment, load
from citybrain.casework.attachments import move_with_events
from citybrain.casework.case import OPEN, Status
from citybrain.casework.joining import REPORTED_DONE
from citybrain.casework.numbers import next_numbers
from citybrain.casework.opening import BLANK, LEVELS, raise_grade
from citybrain.casework.turn import Turn
from citybrain.problem import Problem, invalid
from citybrain.store.ids import new_id
from citybrain.store.tables import cases, events


def merge(amendment: Amendment, turn: Turn) -> list[Amendment]:
    """This case ends in another, which takes its events over."""
    into = turn.request.into or ""
    found = turn.tx.execute(select(cases.c.id).where((cases.c.id == into) | (cases.c.number == into), turn.visible))
    other_id = found.scalar()
    if other_id is None or other_id == amendment.case["id"]:
        raise invalid("into", "no such other case", "the id or number of an open case")
    other = load(turn.tx, other_id, turn.actor, amendment.at)
    if other.case["status"] not in OPEN:
        raise Problem(409, f"case {other.case['number']} is {other.case['status']}: nothing can be merged into it")
    _check_reported_before(amendment, other, turn)
    state = "triage" if other.case["status"] == Status.TRIAGE else "cased"
    mine = events.c.case_id == amendment.case["id"]
    photos = move_with_events(turn.tx, amendment.case["id"], other_id)
    moved = turn.tx.execute(update(events).where(mine).values(case_id=other_id, state=state)).rowcount
    other.case["event_count"] += moved
    other.case["last_event_at"] = max(other.case["last_event_at"] or 0, amendment.case["last_event_at"] or 0)
    told = {"from": amendment.case["number"], "event_count": other.case["event_count"]}
    other.note("merged", **told, **({"attachments": photos} if photos else {}))
    raise_grade(other, amendment.case["grade"], **{"from": amendment.case["number"]})
    for order in amendment.active():
        amendment.cancel(order)
    ended = {"merged_into": other_id, "event_count": 0, "suspended_from": None, "suspended_until": None}
    amendment.case.update(ended, left_seconds=None)
    amendment.note("merged_into", into=other.case["number"])
    return [other]


def _check_reported_before(amendment: Amendment, other: Amendment, turn: Turn) -> None:
    """What was seen after the departments had said that it is done may mean that it is not: raises Problem 409."""
    if other.case["status"] not in REPORTED_DONE:
        return
    newest = select(func.max(events.c.occurred_at)).where(events.c.case_id == amendment.case["id"])
    done_at = max(order["completed_at"] or 0 for order in other.orders.values())
    if (turn.tx.execute(newest).scalar() or 0) > done_at:
        number = other.case["number"]
        detail = f"case {number} was reported done before this was seen: send that one to `rework` first, or work this"
        raise Problem(409, f"{detail} as a case of its own")


def split(amendment: Amendment, turn: Turn) -> list[Amendment]:
    """Some of the events are about something else: a case of their own, in triage for a person to dispatch."""
    case, wanted = amendment.case, sorted(set(turn.request.events))
    mine = (events.c.case_id == case["id"]) & events.c.id.in_(wanted)
    columns = (events.c.id, events.c.domain, events.c.title, events.c.place)
    found = turn.tx.execute(select(*columns).where(mine).order_by(events.c.id)).all()
    if len(found) != len(wanted) or len(found) >= case["event_count"]:
        found_wrong = "not all of them are events of this case, or none would stay"
        raise invalid("events", found_wrong, "name some of its events")
    first = found[0]
    number = next_numbers(turn.tx, first.domain, 1, turn.city.zone, amendment.at)[0]
    codes = {level: (first.place.get(level) or {}).get("code") for level in LEVELS}
    type_ = case["type"] if first.domain == case["domain"] else None  # it was merged from another domain, and goes back
    taken = {"domain": first.domain, "type": type_, "grade": case["grade"], "demo": case["demo"]}
    new = Amendment(
        BLANK
        | taken
        | codes
        | {"id": new_id(), "number": number, "status": Status.TRIAGE, "title": first.title or case["title"]}
        | {"place": first.place, "triage_reason": "split", "event_count": len(found), "opened_at": amendment.at}
        | {"last_event_at": case["last_event_at"], "related_to": case["id"]}
        | NOTHING_YET,
        turn.actor,
        amendment.at,
    )
    turn.tx.execute(update(events).where(mine).values(case_id=new.case["id"], state="triage"))
    case["event_count"] -= len(found)
    amendment.note("split", events=wanted, into=number)
    new.note("triage", reason="split", events=wanted, **{"from": case["number"]})
    return [new]
