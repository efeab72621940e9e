"""The handling clock of a case and its orders: started, extended, stopped and started again with what was left. An
order is due with its case, unless it has a limit of its own."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from citybrain.casework.amendment import Amendment
from citybrain.casework.case import ACTIVE_ORDERS, Status
from citybrain.city import City
from citybrain.clock import to_datetime, to_ms
from citybrain.deadline import Calendar, Limit, clock_of

Pause = tuple[int, int | None]  # from when until when the case was suspended; None: it still is


def start_clock(amendment: Amendment, amount: float, unit: str, city: City) -> None:
    """A new clock with the whole limit, from now."""
    due_at = due_moment(city.calendar, amendment.at, amount, unit)
    amendment.case.update(limit_amount=amount, limit_unit=unit, started_at=amendment.at, due_at=due_at)
    amendment.case.update(left_seconds=None, supervision=0)


@lru_cache(maxsize=512)
def due_moment(calendar: Calendar, at: int, amount: float, unit: str) -> int:
    """A batch of a thousand cases begins at one moment and has a few limits."""
    return to_ms(calendar.due(to_datetime(at), Limit(amount, unit)))


def own_clock(order: dict[str, Any], limit: Limit, city: City) -> None:
    """A new order's own limit, from now."""
    due_at = due_moment(city.calendar, order["created_at"], limit.amount, limit.unit)
    order.update(limit_amount=limit.amount, limit_unit=limit.unit, due_at=due_at)


def unit_of(order: Mapping[str, Any], case: Mapping[str, Any]) -> str | None:
    unit: str | None = order["limit_unit"] or case["limit_unit"]
    return unit


def extend(amendment: Amendment, until: int, reason: str) -> None:
    before = amendment.case["due_at"]
    amendment.case["due_at"] = until
    amendment.case["extensions"] += 1
    for order in amendment.active():
        amendment.change_order(order, due_at=max(until, order["due_at"]) if order["limit_unit"] else until)
        amendment.tell("work_order.updated", order["id"])
    amendment.note("extended", before=before, until=until, reason=reason)


def latest_extension(amendment: Amendment, limits: float, city: City) -> int:
    """The due time with so many of the original limits added."""
    case = amendment.case
    limit = Limit(case["limit_amount"], case["limit_unit"])
    by = np.array([limits * city.calendar.seconds_of(limit)])
    return int(city.calendar.moved(np.array([case["due_at"]]), by, limit.clock)[0])


def suspend(amendment: Amendment, until: int, reason: str, city: City) -> None:
    """挂账: the clock stops; what was used up stays used up."""
    case = amendment.case
    case["suspended_from"], case["suspended_until"] = case["status"], until
    case["left_seconds"], case["due_at"] = left_seconds(case["due_at"], case["limit_unit"], amendment.at, city), None
    for order in amendment.active():
        left = left_seconds(order["due_at"], unit_of(order, case), amendment.at, city)
        amendment.change_order(order, left_seconds=left, due_at=None)
        amendment.tell("work_order.updated", order["id"])
    amendment.note("suspended", until=until, reason=reason, left_seconds=case["left_seconds"])


def resume(amendment: Amendment, city: City) -> None:
    """Back to the status before, on a clock that goes on with what was left."""
    case = amendment.case
    case["status"] = case["suspended_from"] or Status.DISPATCHED
    case["due_at"] = due_again(case["left_seconds"], case["limit_unit"], amendment.at, city)
    case["left_seconds"] = None
    case["suspended_from"], case["suspended_until"] = None, None
    for order in amendment.active():
        restart(amendment, order, city)
        amendment.tell("work_order.updated", order["id"])
    amendment.note("resumed", due_at=case["due_at"])


def restart(amendment: Amendment, order: dict[str, Any], city: City) -> None:
    """One order's clock goes on with what was left of it."""
    due_at = due_again(order["left_seconds"], unit_of(order, amendment.case), amendment.at, city)
    amendment.change_order(order, due_at=due_at, left_seconds=None)


def used_seconds(
    order: Mapping[str, Any], unit: str | None, pauses: Iterable[Pause], now: int, calendar: Calendar
) -> int | None:
    """What an order has used of its clock, until it ended or until now, without the case's suspensions."""
    if unit is None:
        return None
    begun, clock = order["created_at"], clock_of(unit)
    ended = order["completed_at"] or (now if order["status"] in ACTIVE_ORDERS else order["updated_at"])
    still = ((max(begun, start), min(ended, end or ended)) for start, end in pauses)
    spans = [(begun, ended), *(span for span in still if span[0] < span[1])]
    first, *others = (calendar.remaining(to_datetime(end), to_datetime(start), clock) for start, end in spans)
    return round(first - sum(others))


def left_seconds(due_at: int | None, unit: str | None, at: int, city: City) -> int | None:
    """Clock seconds until due; negative when overdue already."""
    if due_at is None or unit is None:
        return None
    return round(city.calendar.remaining(to_datetime(due_at), to_datetime(at), clock_of(unit)))


def due_again(left: int | None, unit: str | None, at: int, city: City) -> int | None:
    if left is None or unit is None:
        return None
    return to_ms(city.calendar.resume(to_datetime(at), left, clock_of(unit)))
