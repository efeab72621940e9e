"""What stands against an action that a case's status allows: the city's rules of practice, and who asks."""

from collections.abc import Callable, Mapping
from typing import Any

from citybrain.casework.case import legal_actions, step_of
from citybrain.keys import Key
from citybrain.practice import DAY_MS, Action, Practice
from citybrain.problem import Problem

Case = Mapping[str, Any]


def require_right(key: Key, action: str, practice: Practice) -> None:
    """Raises Problem 403 where the key's role or its duties do not have the action, 404 where there is none."""
    if key.role not in step_of(action).by:
        raise Problem(403, f"the role {key.role} may not {action}")
    if not practice.allows(key.duties, action):
        who = ", ".join(practice.who_may(action)) or "nobody in this city"
        raise Problem(403, f"{action} is no duty of {key.name} ({', '.join(sorted(key.duties))}); it is of: {who}")


def may(key: Key, action: str, practice: Practice) -> bool:
    return key.role in step_of(action).by and practice.allows(key.duties, action)


def possible_actions(case: Case, at: int, practice: Practice) -> list[Action]:
    """What the status allows and nothing stands against."""
    return [action for action in legal_actions(case["status"]) if hindrance(action, case, at, practice) is None]


def check_possible(action: str, case: Case, at: int, practice: Practice) -> None:
    """Raises Problem 409 with what stands against it, naming what is possible."""
    step_of(action)
    legal = {str(name): hindrance(name, case, at, practice) for name in legal_actions(case["status"])}
    if why := legal.get(action, f"{action} is not possible while a case is {case['status']}"):
        raise Problem(409, why, legal=[name for name, against in legal.items() if against is None])


def hindrance(action: Action, case: Case, at: int, practice: Practice) -> str | None:
    asked = _HINDRANCES.get(action)
    return asked(case, at, practice) if asked else None


def _returning(case: Case, at: int, practice: Practice) -> str | None:
    why = f"{case['lead']} was appointed 指定主办: the case cannot be returned, only reassigned"
    return why if case["appointed"] else None


def _extending(case: Case, at: int, practice: Practice) -> str | None:
    rule = practice.extension
    if case["due_at"] is None:
        return "the case has no deadline that could be extended"
    if case["extensions"] >= rule.most:
        return f"the case was extended {case['extensions']} times; {rule.most} are possible"
    if case["due_at"] < at and not rule.once_overdue:
        return "the case is overdue; an extension is asked for before that"
    return None


def _reopening(case: Case, at: int, practice: Practice) -> str | None:
    late = case["closed_at"] is not None and at > case["closed_at"] + practice.reopen_days * DAY_MS
    return f"the case was closed more than {practice.reopen_days} days ago; report it anew" if late else None


def _appealing(case: Case, at: int, practice: Practice) -> str | None:
    late = case["closed_at"] is not None and at > case["closed_at"] + practice.appeal_days * DAY_MS
    return f"the case was closed more than {practice.appeal_days} days ago" if late else None


def _judging(case: Case, at: int, practice: Practice) -> str | None:
    return None if case["appeals_open"] else "no appeal waits for a decision"


_HINDRANCES: dict[Action, Callable[[Case, int, Practice], str | None]] = {
    "return": _returning,
    "extend": _extending,
    "reopen": _reopening,
    "appeal": _appealing,
    "judge": _judging,
}
