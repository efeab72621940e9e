"""Asked for, then granted: an extension 延期 or a suspension 挂账 that a department asks for, or an operator without
the duty. Nothing happens to the clock until who may do it says yes; what is done then is what was asked for."""

from dataclasses import replace
from typing import Any

from citybrain.casework import effects
from citybrain.casework.amendment import Amendment
from citybrain.casework.hindrance import Situation, check_possible, require_right
from citybrain.casework.turn import Turn
from citybrain.city import City
from citybrain.clock import rfc3339, to_datetime
from citybrain.keys import Role
from citybrain.problem import Problem, invalid

_UNTIL = {"extend": effects.extended_until, "suspend": effects.suspended_until}


def ask(amendment: Amendment, turn: Turn) -> None:
    """Whatever would be refused is refused at once."""
    case, request = amendment.case, turn.request
    what = request.what or "extend"
    _check_now(what, amendment, turn)
    due = case["due_at"]
    asked: dict[str, Any] = {"what": what, "until": _UNTIL[what](amendment, turn), "reason": request.reason}
    asked |= {"department": _department(amendment, turn)} | effects.evidence(turn)
    amendment.note("asked", **asked)
    expires = due if due is not None and due > amendment.at else None
    case["asked"] = asked | {"asked_by": amendment.actor, "at": amendment.at, "expires_at": expires}


def granted(amendment: Amendment, turn: Turn) -> tuple[str, Turn]:
    """The action that follows: what was asked for, with its own time and reason, or none but the answer."""
    case, request = amendment.case, turn.request
    asked = case["asked"]
    require_right(turn.key, asked["what"], turn.city.practice)
    if not request.granted:
        if not request.reason:
            raise invalid("reason", "a refusal requires it", "say why it is refused")
        return "grant", turn
    _check_now(asked["what"], amendment, turn)
    told = {name: asked[name] for name in ("what", "until", "asked_by")}
    amendment.note("granted", **told, reason=request.reason)
    case["asked"] = None
    as_asked = {"until": to_datetime(asked["until"]), "reason": asked["reason"]}
    return asked["what"], replace(turn, request=request.model_copy(update=as_asked))


def refuse(amendment: Amendment, turn: Turn) -> None:
    asked, amendment.case["asked"] = amendment.case["asked"], None
    told = {name: asked[name] for name in ("what", "until", "asked_by")}
    amendment.note("refused", **told, reason=turn.request.reason)
    for order in amendment.active():
        amendment.tell("work_order.updated", order["id"])


def asked_dict(asked: dict[str, Any] | None, city: City) -> dict[str, Any] | None:
    """As it is shown while it waits for an answer."""
    if asked is None:
        return None
    return asked | {name: rfc3339(asked[name], city.zone) for name in ("until", "at", "expires_at")}


def _check_now(what: str, amendment: Amendment, turn: Turn) -> None:
    check_possible(what, Situation(amendment.case, amendment.at, turn.city.practice))


def _department(amendment: Amendment, turn: Turn) -> str | None:
    """Of a department's system: the one of its own that has the case in hand, the lead first. Raises Problem 409."""
    if turn.key.role is not Role.SYSTEM or not turn.key.departments:
        return None
    own = frozenset().union(*(turn.city.departments_below(code) for code in turn.key.departments))
    mine = [order for order in amendment.active() if order["department"] in own]
    if not mine:
        raise Problem(409, "none of your departments has this case in hand any more")
    return str(min(mine, key=lambda order: order["role"] != "lead")["department"])
