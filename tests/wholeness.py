"""What must hold of every case, order, event and message of a store, whoever acted in whatever order."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from desk import Desk
from sqlalchemy import Row

from citybrain.casework.case import ACTIVE_ORDERS
from citybrain.store.appeal_tables import appeals
from citybrain.store.dispatch_tables import deliveries
from citybrain.store.ledger_tables import ledger
from citybrain.store.tables import cases, events, work_orders

Rows = list[Row[Any]]
STAGES = ("triage", "filed", "returned")
OUT = ("dispatched", "accepted")


def check_whole(desk: Desk) -> None:
    """Reads each table once; what `check --store` finds besides takes ten times as long and is asked at the end."""
    orders, entries = _by_case(desk.rows(work_orders), "case_id"), _by_case(desk.rows(ledger), "chain")
    open_appeals = _by_case(desk.rows(appeals, appeals.c.outcome.is_(None)), "case_id")
    known = desk.rows(cases)
    for case in known:
        mine, told = orders.get(case.id, []), entries[case.id]
        assert all(entry.actor for entry in told)
        assert case.status == told_by((entry.action, json.loads(entry.data)) for entry in told)
        assert case.appeals_open == len(open_appeals.get(case.id, []))
        _orders_fit_their_case(case, mine)
        _nothing_is_that_the_practice_forbids(case, told)
        _patrol_looks_at_whatever_time_can_change(case, desk.now)
        _clocks_stand_still_only_while_suspended(case, mine)
    waiting = {case.id: case.status == "triage" for case in known}
    assert all((event.state == "triage") == waiting[event.case_id] for event in desk.rows(events))
    _messages_are_in_order_and_none_follows_a_cancellation(desk.rows(deliveries))


def _by_case(rows: Iterable[Row[Any]], name: str) -> dict[str, Rows]:
    found: dict[str, Rows] = {}
    for row in rows:
        found.setdefault(getattr(row, name), []).append(row)
    return found


def _orders_fit_their_case(case: Row[Any], orders: Rows) -> None:
    active = [order for order in orders if order.status in ACTIVE_ORDERS]
    leads = [order for order in active if order.role == "lead"]
    out = (case.suspended_from or case.status) in OUT
    lead_done = any(order.role == "lead" and order.status == "completed" for order in orders)
    assert len(leads) <= 1
    assert [order.department for order in leads] in ([case.lead], [])
    assert bool(leads) <= out, "nobody leads what is not out for handling"
    assert not out or leads or lead_done
    assert not active or out or case.status == "returned"
    departments = [order.department for order in active]
    assert len(departments) == len(set(departments)), "a department has one order of a case in hand"


def _nothing_is_that_the_practice_forbids(case: Row[Any], told: Rows) -> None:
    actions = [entry.action for entry in told]
    bounced = [entry for entry in told if entry.action == "supervised" and '"returned_twice"' in entry.data]
    assert case.extensions == actions.count("extended") <= 2
    assert case.reworks == actions.count("reworked")
    asked = actions.count("asked") - sum(map(actions.count, ("granted", "refused", "lapsed")))
    assert asked == (case.asked is not None)
    assert len(bounced) == (case.returns >= 2)
    assert case.appointed == ("appointed" in actions)


def _patrol_looks_at_whatever_time_can_change(case: Row[Any], now: int) -> None:
    assert (case.stage_due_at is not None) == (case.status in STAGES)
    if case.status in ("closed", "void"):
        assert case.look_at is None
    if case.status == "suspended":
        assert case.look_at == case.suspended_until
    if case.asked:
        assert case.status in ("filed", *OUT)
        assert case.asked["expires_at"] is None or case.look_at <= case.asked["expires_at"] + 1
    if case.status in OUT and case.due_at and case.due_at > now:
        assert case.supervision < 4
        assert case.look_at is not None
        assert case.look_at <= case.due_at + 1


def _clocks_stand_still_only_while_suspended(case: Row[Any], orders: Rows) -> None:
    rests = case.status == "suspended"
    assert (case.suspended_until is not None) == (case.suspended_from is not None) == rests
    assert (case.left_seconds is not None) == (rests and case.started_at is not None)
    assert (case.due_at is None) == (rests or case.started_at is None) or case.status == "void"
    assert (case.closed_at is not None) == (case.status == "closed")
    with_it = [order for order in orders if order.status in ACTIVE_ORDERS and order.limit_unit is None]
    clocks = {(order.due_at, order.left_seconds) for order in with_it}
    assert clocks <= {(case.due_at, case.left_seconds)}


def _messages_are_in_order_and_none_follows_a_cancellation(sent: Rows) -> None:
    last: dict[Any, int] = {}
    told: dict[Any, list[str]] = {}
    for delivery in sent:  # by id: as they were made
        assert delivery.case_order > last.get(delivery.case_id, 0)
        last[delivery.case_id] = delivery.case_order
        told.setdefault(delivery.work_order_id, []).append(delivery.type)
    for types in told.values():
        assert types[0] == "work_order.dispatched"
        assert types.count("work_order.dispatched") == 1
        assert "work_order.cancelled" not in types[:-1]


def told_by(entries: Iterator[tuple[str, dict[str, Any]]]) -> str:
    """The status that a case's ledger tells, without a look at the case."""
    leads_to = {
        "triage": "triage", "dispatched": "dispatched", "reassigned": "dispatched", "returned": "returned",
        "completed": "completed", "verified": "verified", "reworked": "dispatched", "closed": "closed",
        "reopened": "dispatched", "merged_into": "void", "voided": "void", "filed": "filed",
    }  # fmt: skip
    status, before = "", ""
    for action, data in entries:
        if action == "suspended":
            status, before = "suspended", status
        elif action == "resumed":
            status = before
        elif action == "feedback" and data["effect"] and data["role"] == "lead" and data["status"] != "progress":
            moved = "returned" if data["status"] == "returned" else "accepted"
            status, before = (status, moved) if status == "suspended" else (moved, before)
        else:
            status = leads_to.get(action, status)
    return status
