"""Appeals 申诉: a department contests what counts against it. Judged by who supervises; the score changes with it, the
fact never."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from citybrain.casework.amendment import Amendment
from citybrain.casework.case import ACTIVE_ORDERS, OrderStatus
from citybrain.casework.turn import Turn
from citybrain.city import City
from citybrain.clock import rfc3339
from citybrain.installation import Installation
from citybrain.keys import Key, Role, any_of, cases_visible, work_orders_visible
from citybrain.listing import page
from citybrain.problem import Problem, invalid
from citybrain.store.appeal_tables import appeals
from citybrain.store.ids import new_id
from citybrain.store.tables import cases, work_orders


def appeal(amendment: Amendment, turn: Turn) -> None:
    request, order = turn.request, amendment.orders.get(turn.request.work_order or "")
    mine = (work_orders.c.id == request.work_order) & turn.visible_orders
    if order is None or turn.tx.execute(select(work_orders.c.id).where(mine)).first() is None:
        raise invalid("work_order", "it is none of this case's, or not yours", "one of the case's work_orders")
    if request.against not in counted_against(amendment, order):
        raise invalid("against", f"{request.against} does not count against this work order", "see its `against`")
    known = (appeals.c.work_order_id == order["id"]) & (appeals.c.against == request.against)
    if turn.tx.execute(select(appeals.c.id).where(known)).first():
        raise Problem(409, f"an appeal against {request.against} was made for this work order already")
    row = {
        "id": new_id(),
        "case_id": amendment.case["id"],
        "work_order_id": order["id"],
        "department": order["department"],
        "against": request.against,
        "reason": request.reason,
        "attachments": request.attachments,
        "at": amendment.at,
        "actor": amendment.actor,
    }
    turn.tx.execute(insert(appeals).values(row))
    amendment.case["appeals_open"] += 1
    told = {name: row[name] for name in ("department", "against", "reason")}
    amendment.note("appealed", appeal=row["id"], work_order=order["id"], **told)


def judge(amendment: Amendment, turn: Turn) -> None:
    request = turn.request
    mine = (appeals.c.id == request.appeal) & (appeals.c.case_id == amendment.case["id"])
    row = turn.tx.execute(select(appeals).where(mine)).first()
    if row is None:
        raise invalid("appeal", "it is none of this case's", "the id of an appeal of this case")
    if row.outcome is not None:
        raise Problem(409, f"this appeal was {row.outcome} already")
    outcome = "upheld" if request.upheld else "rejected"
    values = {"outcome": outcome, "decided_at": amendment.at, "decided_by": amendment.actor}
    turn.tx.execute(update(appeals).where(appeals.c.id == row.id).values(values | {"decision": request.reason}))
    amendment.case["appeals_open"] -= 1
    told = {"department": row.department, "against": row.against, "outcome": outcome, "reason": request.reason}
    amendment.note("judged", appeal=row.id, work_order=row.work_order_id, **told)


def list_appeals(
    tx: Connection,
    key: Key,
    here: Installation,
    outcome: str | None,
    department: str | None,
    cursor: str | None,
    limit: int,
) -> dict[str, Any]:
    """Of the cases that the key sees; a department's system sees its own departments' alone."""
    query = select(appeals).where(_visible(key, here))
    if outcome:
        query = query.where(appeals.c.outcome.is_(None) if outcome == "open" else appeals.c.outcome == outcome)
    if department:
        query = query.where(appeals.c.department.in_(sorted(here.city.departments_below(department))))
    return page(tx, query, [(appeals.c.id, True)], cursor, limit, lambda row: appeal_dict(row, here.city))


def appeals_of(tx: Connection, case_id: str, city: City) -> list[dict[str, Any]]:
    rows = tx.execute(select(appeals).where(appeals.c.case_id == case_id).order_by(appeals.c.id)).all()
    return [appeal_dict(row, city) for row in rows]


def appeal_dict(row: Row[Any], city: City) -> dict[str, Any]:
    plain = ("id", "case_id", "work_order_id", "department", "against", "reason", "attachments", "actor")
    decided = ("outcome", "decided_by", "decision")
    return {name: getattr(row, name) for name in (*plain, *decided)} | {
        "at": rfc3339(row.at, city.zone),
        "decided_at": rfc3339(row.decided_at, city.zone),
    }


def _visible(key: Key, here: Installation) -> ColumnElement[bool]:
    if key.role is Role.SYSTEM and key.departments:
        theirs = work_orders_visible(key, here.city)
        return any_of(work_orders, work_orders.c.id == appeals.c.work_order_id, theirs)
    return any_of(cases, cases.c.id == appeals.c.case_id, cases_visible(key, here.city))


def counted_against(amendment: Amendment, order: dict[str, object]) -> list[str]:
    """The facts of the record that an evaluation would count against the order's department."""
    found = []
    ended = order["completed_at"] if order["status"] == OrderStatus.COMPLETED else amendment.at
    due = order["due_at"]
    counted = order["status"] in ACTIVE_ORDERS | {OrderStatus.COMPLETED}
    if counted and isinstance(due, int) and isinstance(ended, int) and due < ended:
        found.append("overdue")
    if order["status"] == OrderStatus.RETURNED:
        found.append("returned")
    if order["status"] == OrderStatus.COMPLETED and amendment.case["reworks"]:
        found.append("rework")
    return found
