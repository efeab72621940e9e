"""What each action does to a case, its orders and its clock; `actions` has checked by now that it is legal."""

from datetime import UTC, datetime

from citybrain.casework import handling_clock
from citybrain.casework.amendment import Amendment
from citybrain.casework.case import OrderStatus, Status
from citybrain.casework.hindrance import require_right
from citybrain.casework.opening import LEVELS, dispatch_to
from citybrain.casework.supervision import lapse, urge
from citybrain.casework.turn import Turn
from citybrain.city import City
from citybrain.clock import rfc3339, to_ms
from citybrain.deadline import YEARS, Limit
from citybrain.intake.placing import place_of
from citybrain.practice import DAY_MS
from citybrain.problem import invalid
from citybrain.routing.catalogue import EventType

BEYOND = to_ms(datetime(YEARS.stop - 1, 1, 1, tzinfo=UTC))


def file(amendment: Amendment, turn: Turn) -> None:
    """立案 by the acceptance clerk: what it is, has been decided; whose it is, the dispatcher decides."""
    _typed(amendment, turn)
    _placed(amendment, turn)
    amendment.case["triage_reason"] = None
    amendment.leaves_triage = True
    amendment.note("filed", text=turn.request.text, type=amendment.case["type"], grade=amendment.case["grade"])


def _typed(amendment: Amendment, turn: Turn) -> EventType:
    case = amendment.case
    type_ = turn.request.type or case["type"]
    if type_ is None:
        raise invalid("type", "the case has none yet", "name a type of its domain, see GET /api/v1/types")
    kind = turn.installation.type_of(case["domain"], type_)
    if kind is None:
        raise invalid("type", f"{type_!r} is no type of {case['domain']}", "see GET /api/v1/types")
    if case["type"] != type_:
        case["type"], case["grade"] = type_, min(case["grade"], kind.row.grade)
        amendment.note("typed", type=type_, grade=case["grade"])
    return kind


def dispatch(amendment: Amendment, turn: Turn) -> None:
    case, request = amendment.case, turn.request
    _department(request.department, "department", turn)
    for code in request.assist:
        _department(code, "assist", turn)
    kind = _typed(amendment, turn)
    _placed(amendment, turn)
    for order in amendment.active():
        amendment.cancel(order)
    if case["started_at"] is None:
        handling_clock.start_clock(amendment, kind.limit.amount, kind.limit.unit, turn.city)
    case["triage_reason"] = None
    if case["returns"] >= turn.city.practice.returns:
        case["appointed"] = True
        amendment.note("appointed", department=request.department)
    dispatch_to(amendment, request.department or "", request.assist, kind.assist_limit, turn.city)
    amendment.leaves_triage = True


def _placed(amendment: Amendment, turn: Turn) -> None:
    """Who files or dispatches may say in the same step where it is."""
    if turn.request.location is not None:
        require_right(turn.key, "relocate", turn.city.practice)
        _place_anew(amendment, turn)


def _place_anew(amendment: Amendment, turn: Turn) -> str | None:
    """The case's place is decided anew, and who is responsible there; an event itself is never edited."""
    case = amendment.case
    place = place_of(turn.request.location or {}, turn.installation)
    before = {level: case[level] for level in LEVELS}
    case["place"] = place
    case.update({level: (place.get(level) or {}).get("code") for level in LEVELS})
    lead = turn.installation.responsible(case["domain"], case["type"], case)
    amendment.note("relocated", reason=turn.request.reason, before=before, place=place, responsible=lead)
    return lead


def relocate(amendment: Amendment, turn: Turn) -> None:
    case, lead = amendment.case, _place_anew(amendment, turn)
    if case["status"] in (Status.DISPATCHED, Status.ACCEPTED) and lead and lead != case["lead"]:
        _change_lead(amendment, lead, "relocated")
        case["status"] = Status.DISPATCHED
    else:
        for order in amendment.active():
            amendment.tell("work_order.updated", order["id"])


def reassign(amendment: Amendment, turn: Turn) -> None:
    _department(turn.request.department, "department", turn)
    _change_lead(amendment, turn.request.department or "", turn.request.reason or "")


def _change_lead(amendment: Amendment, department: str, reason: str) -> None:
    """Another lead on the same clock: what is used up stays used up."""
    before = amendment.case["lead"]
    for order in amendment.active():
        if order["role"] == "lead" or order["department"] == department:
            amendment.cancel(order)
    amendment.case["lead"] = department
    amendment.order("lead", department)
    amendment.note("reassigned", before=before, department=department, reason=reason)


def return_(amendment: Amendment, turn: Turn) -> None:
    request = turn.request
    for order in amendment.active():
        if order["role"] == "lead":
            amendment.change_order(
                order, status=OrderStatus.RETURNED, reason=request.reason, responsible=request.responsible
            )
            amendment.tell("work_order.updated", order["id"])
    amendment.note("returned", reason=request.reason, responsible=request.responsible)
    bounced(amendment, turn.city)


def bounced(amendment: Amendment, city: City) -> None:
    """Returned once more: when it is often enough, it is supervised, and whoever leads next is appointed."""
    amendment.case["returns"] += 1
    if amendment.case["returns"] == city.practice.returns:
        amendment.note("supervised", reason="returned_twice", returns=amendment.case["returns"])


def extend(amendment: Amendment, turn: Turn) -> None:
    lapse(amendment, "extended")
    handling_clock.extend(amendment, extended_until(amendment, turn), turn.request.reason or "")


def extended_until(amendment: Amendment, turn: Turn) -> int:
    """Raises Problem 422 for a time that cannot be granted."""
    until, limits = _later(turn, amendment.at), turn.city.practice.extension.limits
    if until <= amendment.case["due_at"]:
        raise invalid("until", "it is not later than the present deadline", "name a later time")
    latest = handling_clock.latest_extension(amendment, limits, turn.city)
    if until > latest:
        remedy = f"until {rfc3339(latest, turn.city.zone)} at the latest"
        raise invalid("until", f"an extension adds at most {limits:g} of the original limit", remedy)
    return until


def suspend(amendment: Amendment, turn: Turn) -> None:
    until = suspended_until(amendment, turn)
    handling_clock.suspend(amendment, until, turn.request.reason or "", turn.city)


def suspended_until(amendment: Amendment, turn: Turn) -> int:
    until, days = _later(turn, amendment.at), turn.city.practice.suspension_days
    if until > amendment.at + days * DAY_MS:
        raise invalid("until", f"a case is suspended for {days} days at most", "name an earlier time")
    return until


def resume(amendment: Amendment, turn: Turn) -> None:
    handling_clock.resume(amendment, turn.city)


def supervise(amendment: Amendment, turn: Turn) -> None:
    urge(amendment, turn.request.reason or "")


def note(amendment: Amendment, turn: Turn) -> None:
    amendment.note("noted", text=turn.request.text)


def verify(amendment: Amendment, turn: Turn) -> None:
    amendment.note("verified", passed=True, text=turn.request.text, **evidence(turn))


def rework(amendment: Amendment, turn: Turn) -> None:
    """返工: the same departments once more, with the whole limit again; what they did before stays on record."""
    amendment.case["reworks"] += 1
    _again_to_all(amendment, turn)
    amendment.note("reworked", reason=turn.request.reason, due_at=amendment.case["due_at"], **evidence(turn))


def reopen(amendment: Amendment, turn: Turn) -> None:
    amendment.case["closed_at"] = None
    _again_to_all(amendment, turn)
    amendment.note("reopened", reason=turn.request.reason, due_at=amendment.case["due_at"])


def _again_to_all(amendment: Amendment, turn: Turn) -> None:
    case = amendment.case
    if case["limit_unit"]:
        handling_clock.start_clock(amendment, case["limit_amount"], case["limit_unit"], turn.city)
    done = [order for order in amendment.orders.values() if order["status"] == OrderStatus.COMPLETED]
    assist = {order["department"]: order for order in done if order["role"] == "assist"}
    amendment.order("lead", case["lead"])
    for department, before in assist.items():
        if department != case["lead"]:
            order = amendment.order("assist", department)
            if before["limit_unit"]:
                handling_clock.own_clock(order, Limit(before["limit_amount"], before["limit_unit"]), turn.city)


def close(amendment: Amendment, turn: Turn) -> None:
    told = {o["department"]: o for o in amendment.orders.values() if o["status"] == OrderStatus.COMPLETED}
    for order in told.values():
        amendment.tell("case.closed", order["id"])
    amendment.note("closed", text=turn.request.text, **evidence(turn))


def void(amendment: Amendment, turn: Turn) -> None:
    for order in amendment.active():
        amendment.cancel(order)
    amendment.leaves_triage = True
    amendment.note("voided", reason=turn.request.reason)


def evidence(turn: Turn) -> dict[str, list[str]]:
    return {"attachments": turn.request.attachments} if turn.request.attachments else {}


def _department(code: str | None, field: str, turn: Turn) -> None:
    if code is None or turn.city.departments.get(code) is None:
        raise invalid(field, f"no department {code!r}", "see GET /api/v1/departments")


def _later(turn: Turn, at: int) -> int:
    until = to_ms(turn.request.until) if turn.request.until else 0
    if until <= at:
        raise invalid("until", "it is not in the future", "RFC 3339 with an offset, later than now")
    if until >= BEYOND:
        raise invalid("until", "no calendar reaches that far", f"a time before the year {YEARS.stop - 1}")
    return until
