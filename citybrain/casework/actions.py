"""Does an action: checks the step against the table and the version that was seen, then has it carried out."""

from collections.abc import Callable
from typing import cast

from sqlalchemy import Connection

from citybrain.casework import appealing, asking, effects, grouping
from citybrain.casework.amendment import Amendment, load
from citybrain.casework.attachments import check_named
from citybrain.casework.beside import Beside
from citybrain.casework.case import Status, step_of
from citybrain.casework.hindrance import WAITS_FOR_PARTS, Situation, check_possible
from citybrain.casework.turn import Request, Turn
from citybrain.casework.writing import StaleVersion, write
from citybrain.installation import Installation
from citybrain.keys import Key
from citybrain.practice import Action
from citybrain.problem import invalid

_EFFECTS: dict[Action, Callable[[Amendment, Turn], list[Amendment] | None]] = {
    "file": effects.file,
    "dispatch": effects.dispatch,
    "relocate": effects.relocate,
    "reassign": effects.reassign,
    "return": effects.return_,
    "extend": effects.extend,
    "suspend": effects.suspend,
    "ask": asking.ask,
    "grant": asking.refuse,
    "resume": effects.resume,
    "supervise": effects.supervise,
    "note": effects.note,
    "verify": effects.verify,
    "rework": effects.rework,
    "close": effects.close,
    "reopen": effects.reopen,
    "appeal": appealing.appeal,
    "judge": appealing.judge,
    "merge": grouping.merge,
    "split": grouping.split,
    "void": effects.void,
}


def act(tx: Connection, case_id: str, action: str, request: Request, key: Key, here: Installation) -> int:
    """Does the action, in the caller's transaction; returns how many deliveries are due. Problems: 404 unknown
    action, 409 wrong step or old version, 422 missing requirement."""
    amendment = load(tx, case_id, key.name, here.clock())
    beside = Beside.of(tx, request.attachments, [case_id] if action in WAITS_FOR_PARTS else [], key, here.city)
    return write(tx, decide(Turn.of(tx, request, key, here, beside), amendment, action), here.city)


def decide(turn: Turn, amendment: Amendment, action: str) -> list[Amendment]:
    """What the action changes, this case first. Where it raises, nothing was written and the amendment is spoilt."""
    case, at = amendment.case, amendment.at
    if turn.request.version != amendment.version:
        raise StaleVersion(case["id"])  # first: who acted on what has changed is told so, whatever is legal now
    check_possible(action, Situation(case, at, turn.city.practice, turn.beside.open_parts.get(case["id"], ())))
    _check_complete(turn, action)
    check_named(turn.request.attachments, case["id"], turn.beside.photos)
    if action == "verify" and turn.request.passed is False:
        action = "rework"
        if not turn.request.reason:
            raise invalid("reason", "a failed verification requires it", "say what is still wrong")
    if action == "grant":
        action, turn = asking.granted(amendment, turn)
    also = _EFFECTS[cast(Action, action)](amendment, turn) or []
    if target := step_of(action).target:
        case["status"] = target
    if case["status"] == Status.CLOSED:
        case["closed_at"] = case["closed_at"] or at
    return [amendment, *also]


def _check_complete(turn: Turn, action: str) -> None:
    needs = step_of(action).requires + (("attachments",) if action in turn.city.practice.photos else ())
    for name in needs:
        if getattr(turn.request, name) in (None, []):
            raise invalid(name, f"{action} requires it", "add it to the body")
