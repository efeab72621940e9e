"""What time brings about: when a case is looked at next, the centre's own clocks, and supervision 督办 raised level by
level. Every written change ends here, so that patrol finds what is due by one column."""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from citybrain.casework.amendment import Amendment
from citybrain.casework.case import ENDED, IN_HAND, Status, is_muted, legal_actions
from citybrain.casework.handling_clock import resume
from citybrain.city import City
from citybrain.deadline import Calendar, Limit, clock_of
from citybrain.practice import Practice

STAGES = {Status.TRIAGE: "acceptance", Status.FILED: "dispatch", Status.RETURNED: "dispatch"}
MINUTE_MS = 60_000
NEVER = 2**62


def schedule(amendment: Amendment, city: City) -> None:
    """After all else is decided: the clock of the stage that the case has come to, and when to look at it again."""
    case, practice = amendment.case, city.practice
    if case["status"] != amendment.status_before:
        case["stage_due_at"] = None
        minutes = 0 if is_muted(case) else _minutes(case["status"], practice)  # nobody is to dispatch what is muted
        case["stage_due_at"] = amendment.at + minutes * MINUTE_MS if minutes else None
        case["stage_supervised"] = False
    if case["asked"] and case["asked"]["what"] not in legal_actions(case["status"]):
        lapse(amendment, "moved_on")
    moved = case["due_at"] != amendment.due_before and case["due_at"] is not None
    if moved:
        _raise_again(case, amendment.at, city)
    for order in _of_their_own(amendment):
        _raise_again(order, amendment.at, city)
    expires = _expires(case)
    case["look_at"] = min(filter(None, (_look_at(amendment, city), expires and expires + 1)), default=None)


def look(amendment: Amendment, city: City) -> None:
    """Everything that is due of a case: it collects nothing where nothing is."""
    case, now = amendment.case, amendment.at
    if case["status"] == Status.SUSPENDED and case["suspended_until"] <= now:
        resume(amendment, city)
    if (expires := _expires(case)) is not None and expires < now:
        lapse(amendment, "unanswered")
    stage = STAGES.get(case["status"])
    if stage and not case["stage_supervised"] and case["stage_due_at"] is not None and case["stage_due_at"] < now:
        case["stage_supervised"] = True
        amendment.note("supervised", reason=f"{stage}_overdue", due_at=case["stage_due_at"])
    if case["status"] not in IN_HAND:
        return
    own = _of_their_own(amendment)
    if case["due_at"] is not None:
        with_it = [order for order in amendment.active() if order not in own]
        for raised in _raised(case, now, city):
            _tell(amendment, with_it, **raised)
    for order in own:
        for raised in _raised(order, now, city):
            amendment.change_order(order)
            _tell(amendment, [order], **raised, work_order=order["id"], department=order["department"])


def _raised(of: dict[str, Any], now: int, city: City) -> Iterator[dict[str, Any]]:
    """Each level that a case or an order has come to."""
    moments = moments_of(of, city)
    while of["supervision"] < len(moments) and moments[of["supervision"]] <= now:
        threshold = city.practice.thresholds[of["supervision"]]
        of["supervision"] += 1
        yield {"reason": threshold.code, "level": of["supervision"], "name": threshold.name, "due_at": of["due_at"]}


def _raise_again(of: dict[str, Any], at: int, city: City) -> None:
    """What lies ahead again, since the due time was moved, is raised again."""
    if of["supervision"] and of["due_at"] is not None:
        of["supervision"] = min(of["supervision"], sum(moment <= at for moment in moments_of(of, city)))


def _of_their_own(amendment: Amendment) -> list[dict[str, Any]]:
    """The orders in hand that are not due with the case."""
    return [order for order in amendment.active() if order["limit_unit"] and order["due_at"] is not None]


def lapse(amendment: Amendment, why: str) -> None:
    """What was asked for is answered by nobody any more."""
    asked, amendment.case["asked"] = amendment.case["asked"], None
    if asked is None:
        return
    amendment.note("lapsed", what=asked["what"], until=asked["until"], asked_by=asked["asked_by"], reason=why)
    for order in amendment.active():
        amendment.tell("work_order.updated", order["id"])


def urge(amendment: Amendment, reason: str) -> None:
    """督办: whoever has it in hand is told to hurry."""
    _tell(amendment, amendment.active(), reason=reason)


def _tell(amendment: Amendment, orders: Iterable[Mapping[str, Any]], **why: object) -> None:
    for order in orders:
        amendment.tell("work_order.supervised", order["id"])
    amendment.note("supervised", **why)


def _expires(case: Mapping[str, Any]) -> int | None:
    """Until when what was asked for may be granted."""
    return case["asked"]["expires_at"] if case["asked"] else None


def _minutes(status: str, practice: Practice) -> int:
    stage = STAGES.get(Status(status))
    return {"acceptance": practice.acceptance_minutes, "dispatch": practice.dispatch_minutes}.get(stage or "", 0)


def _look_at(amendment: Amendment, city: City) -> int | None:
    case = amendment.case
    if case["status"] in ENDED:
        return None
    if is_muted(case):  # `muting` has said when; what was suspended meanwhile, at once
        return amendment.at if amendment.status_before == Status.SUSPENDED else case["look_at"]
    if case["status"] == Status.SUSPENDED:
        return int(case["suspended_until"])
    if case["stage_due_at"] is not None:
        return None if case["stage_supervised"] else case["stage_due_at"] + 1
    if case["status"] not in IN_HAND:
        return None
    clocks = [case, *_of_their_own(amendment)] if case["due_at"] is not None else _of_their_own(amendment)
    ahead = (moment for clock in clocks for moment in moments_of(clock, city)[clock["supervision"] :][:1])
    return min((moment for moment in ahead if moment < NEVER), default=None)


def moments_of(of: Mapping[str, Any], city: City) -> tuple[int, ...]:
    limit = (of["limit_amount"], of["limit_unit"])
    return threshold_moments(city.calendar, of["due_at"], *limit, city.practice.moments)


@lru_cache(maxsize=4096)
def threshold_moments(
    calendar: Calendar, due_at: int, amount: float, unit: str, thresholds: tuple[tuple[float, bool], ...]
) -> tuple[int, ...]:
    """When each threshold is reached, in ms; what lies past the due time comes a tick later: until then it is in time.
    A batch of a thousand cases has a few due times."""
    limit = calendar.seconds_of(Limit(amount, unit))
    seconds = np.array([limits * limit for limits, _ in thresholds])
    try:
        moments = calendar.moved(np.full(len(thresholds), due_at), seconds, clock_of(unit)).tolist()
    except ValueError:  # beyond the years of any calendar
        moments = [NEVER if limits else due_at for limits, _ in thresholds]
    return tuple(moment + after for moment, (_, after) in zip(moments, thresholds, strict=True))
