"""Work orders as they are shown: each with its own clock, how it stands and what was used of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from citybrain.casework.handling_clock import Pause, unit_of, used_seconds
from citybrain.casework.message import order_deadline
from citybrain.city import City
from citybrain.clock import rfc3339
from citybrain.keys import Key, work_orders_visible
from citybrain.problem import not_found
from citybrain.store.ledger_tables import ledger
from citybrain.store.tables import work_orders


def orders_shown(
    tx: Connection, orders: Sequence[Row[Any]], case_row: Row[Any], city: City, now: int
) -> list[dict[str, Any]]:
    """Each with its own clock and what it has used of it."""
    pauses = _pauses(tx, case_row.id) if orders else []
    return [_order_dict(order, dict(case_row._mapping), pauses, city, now) for order in orders]


def _pauses(tx: Connection, case_id: str) -> list[Pause]:
    """When the case was suspended, as its ledger tells it."""
    moments = select(ledger.c.at, ledger.c.action).where(ledger.c.chain == case_id).order_by(ledger.c.seq)
    found: list[Pause] = []
    for at, action in tx.execute(moments.where(ledger.c.action.in_(("suspended", "resumed")))):
        found = [*found, (at, None)] if action == "suspended" else [*found[:-1], (found[-1][0], at)]
    return found


def _order_dict(
    order: Row[Any], case: Mapping[str, Any], pauses: Sequence[Pause], city: City, now: int
) -> dict[str, Any]:
    mine = dict(order._mapping)
    plain = ("id", "role", "department", "status", "reason", "responsible")
    department = city.departments.get(order.department)
    return {name: getattr(order, name) for name in plain} | {
        "case_id": order.case_id,
        "department_name": department.name if department else None,
        "responsible_department": city.department_named(order.responsible),
        "deadline": order_deadline(mine, case, city, now),
        "used_seconds": used_seconds(mine, unit_of(mine, case), pauses, now, city.calendar),
        "supervision": order.supervision if order.limit_unit else case["supervision"],
        "created_at": rfc3339(order.created_at, city.zone),
        "updated_at": rfc3339(order.updated_at, city.zone),
        "completed_at": rfc3339(order.completed_at, city.zone),
    }


def visible_order(tx: Connection, order_id: str, key: Key, city: City) -> Row[Any]:
    row = tx.execute(select(work_orders).where(work_orders.c.id == order_id, work_orders_visible(key, city))).first()
    if row is None:
        raise not_found("work order")
    return row
