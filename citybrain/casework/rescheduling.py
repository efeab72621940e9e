"""What a new calendar does to deadlines: a year's holidays are published in the November before, when cases are due in
January already. Patrol notes the calendar that it finds; where it is another one than before, every due time that lies
ahead on a working clock is reckoned anew, from when its clock began. What a person granted, until when, stays."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Row, or_, select

from citybrain.casework.amendment import Amendment, load_all
from citybrain.casework.case import ACTIVE_ORDERS, IN_HAND, Status
from citybrain.casework.handling_clock import due_again, due_moment
from citybrain.casework.writing import write
from citybrain.city import City
from citybrain.deadline import clock_of
from citybrain.store.database import Store
from citybrain.store.ledger import CITY, Entry, append_to_city
from citybrain.store.ledger_tables import ledger
from citybrain.store.tables import cases, work_orders

PATROL = "patrol"
LOADED = "calendar.loaded"
RUNNING = (*IN_HAND, Status.RETURNED)
MOVES = ("extended", "suspended", "resumed", "reworked", "reopened")
AT_ONCE = 500


def note_calendar(store: Store, city: City, now: int) -> int:
    """Once for each calendar, under patrol's lease; the first moves nothing. Returns how many deliveries are due."""
    with store.write() as tx:
        content = _content(city)
        mine = (ledger.c.chain == CITY) & (ledger.c.action == LOADED)
        before = tx.execute(select(ledger.c.data).where(mine).order_by(ledger.c.seq.desc()).limit(1)).scalar()
        if before and orjson.loads(before) == content:
            return 0
        due = _reschedule(tx, city, now) if before else 0
        append_to_city(tx, Entry(LOADED, PATROL, content), now)
        return due


def _content(city: City) -> dict[str, Any]:
    zone, weekdays, intervals, days = city.calendar.content
    listed = {day.isoformat(): kind for day, kind in sorted(days.items())}
    return {"zone": zone, "weekdays": weekdays, "minutes": [list(each) for each in intervals], "days": listed}


def _reschedule(tx: Connection, city: City, now: int) -> int:
    ahead = select(cases.c.id).where(cases.c.status.in_(RUNNING), or_(_due_ahead(cases, now), _order_ahead(now)))
    ids, due = tx.execute(ahead.order_by(cases.c.id)).scalars().all(), 0
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        moved = _moves(tx, some)
        amendments = load_all(tx, some, PATROL, now)
        due += write(tx, [each for each in amendments if _move(each, moved.get(each.case["id"], ()), city)], city)
    return due


def _due_ahead(table: Any, now: int) -> ColumnElement[bool]:
    ahead: ColumnElement[bool] = table.c.limit_unit.startswith("working", autoescape=True) & (table.c.due_at > now)
    return ahead


def _order_ahead(now: int) -> ColumnElement[bool]:
    mine = (work_orders.c.case_id == cases.c.id) & work_orders.c.status.in_(ACTIVE_ORDERS)
    return select(work_orders.c.id).where(mine, _due_ahead(work_orders, now)).exists()


def _moves(tx: Connection, case_ids: Sequence[str]) -> dict[str, list[Row[Any]]]:
    """What the ledgers have of clocks that were moved after they had begun, in order."""
    mine = ledger.c.chain.in_(case_ids) & ledger.c.action.in_(MOVES)
    found: dict[str, list[Row[Any]]] = {}
    for row in tx.execute(select(ledger).where(mine).order_by(ledger.c.chain, ledger.c.seq)):
        found.setdefault(row.chain, []).append(row)
    return found


def _move(amendment: Amendment, moves: Sequence[Row[Any]], city: City) -> bool:
    """Whether anything of the case is due at another time now."""
    case, before = amendment.case, amendment.case["due_at"]
    if before is not None and before > amendment.at:
        case["due_at"] = _case_due(case, moves, city)
    for order in amendment.active():
        due_at = _own_due(order, moves, city) if order["limit_unit"] else case["due_at"]
        if due_at != order["due_at"]:
            amendment.change_order(order, due_at=due_at)
            amendment.tell("work_order.updated", order["id"])
    if not amendment.messages and case["due_at"] == before:
        return False
    amendment.note("rescheduled", before=before, due_at=case["due_at"], reason="calendar")
    return True


def _case_due(case: Mapping[str, Any], moves: Sequence[Row[Any]], city: City) -> int | None:
    """From the beginning of its clock, or from the end of its last suspension with what was left then."""
    due_at: int | None = case["due_at"]
    if not _may_move(case, moves):
        return due_at
    if not moves or moves[-1].action in ("reworked", "reopened"):
        return due_moment(city.calendar, case["started_at"], case["limit_amount"], case["limit_unit"])
    left = [orjson.loads(each.data)["left_seconds"] for each in moves if each.action == "suspended"][-1]
    return due_again(left, case["limit_unit"], moves[-1].at, city)


def _may_move(of: Mapping[str, Any], moves: Sequence[Row[Any]]) -> bool:
    granted = bool(moves) and moves[-1].action == "extended"
    return of["due_at"] is not None and clock_of(of["limit_unit"]) == "working" and not granted


def _own_due(order: Mapping[str, Any], moves: Sequence[Row[Any]], city: City) -> int | None:
    """Of an order with a limit of its own, unless its clock was moved since: what was left of it then is not told."""
    since = [each for each in moves if each.at > order["created_at"]]
    if since or not _may_move(order, since):
        due_at: int | None = order["due_at"]
        return due_at
    return due_moment(city.calendar, order["created_at"], order["limit_amount"], order["limit_unit"])
