"""Does an action: checks the step against the table and the version that was seen, then has it carried out."""

from collections.abc import Callable

from citybrain.casework import effects, grouping
from citybrain.casework.amendment import Amendment, load
from citybrain.casework.case import Status, legal_step
from citybrain.casework.turn import Turn
from citybrain.casework.writing import StaleVersion, write
from citybrain.problem import invalid

_EFFECTS: dict[str, Callable[[Amendment, Turn], list[Amendment] | None]] = {
    "dispatch": effects.dispatch,
    "relocate": effects.relocate,
    "reassign": effects.reassign,
    "return": effects.return_,
    "extend": effects.extend,
    "suspend": effects.suspend,
    "resume": effects.resume,
    "supervise": effects.supervise,
    "note": effects.note,
    "verify": effects.verify,
    "rework": effects.rework,
    "close": effects.close,
    "reopen": effects.reopen,
    "merge": grouping.merge,
    "split": grouping.split,
    "void": effects.void,
}


def act(turn: Turn, case_id: str, action: str, at: int) -> int:
    """Does the action, in the caller's transaction; returns how many deliveries are due. Problems: 404 unknown
    action, 409 wrong step or old version, 422 missing requirement."""
    amendment = load(turn.tx, case_id, turn.actor, at)
    if turn.request.version != amendment.version:
        raise StaleVersion(case_id)  # first: who acted on what has changed is told so, whatever is legal now
    status = amendment.case["status"]
    step = legal_step(action, status)
    for name in step.requires:
        if getattr(turn.request, name) in (None, []):
            raise invalid(name, f"{action} requires it", "add it to the body")
    if action == "verify" and turn.request.passed is False:
        action, step = "rework", legal_step("rework", status)
        if not turn.request.reason:
            raise invalid("reason", "a failed verification requires it", "say what is still wrong")
    also = _EFFECTS[action](amendment, turn) or []
    if step.target is not None:
        amendment.case["status"] = step.target
    if amendment.case["status"] == Status.CLOSED:
        amendment.case["closed_at"] = at
    return write(turn.tx, [amendment, *also], turn.city)
