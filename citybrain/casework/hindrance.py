"""What stands against an action that a case's status allows: the city's rules of practice, what the case waits for, and
who asks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from citybrain.casework.case import legal_actions, step_of
from citybrain.keys import Key
from citybrain.practice import DAY_MS, Action, Practice
from citybrain.problem import Problem

NAMED = 10  # cases that one sentence names
WAITS_FOR_PARTS = ("close", "merge")


@dataclass(frozen=True, slots=True)
class Situation:
    """A case at a moment: its columns, and of its parts (the cases of an area's divisions) those that are still open,
    `{"number", "status", "seen"}`; only what the key may see is named."""

    case: Mapping[str, Any]
    at: int
    practice: Practice
    open_parts: Sequence[Mapping[str, Any]] = ()


def require_right(key: Key, action: str, practice: Practice) -> None:
    """Raises Problem 403 where the key's role or its duties do not have the action, 404 where there is none."""
    if key.role not in step_of(action).by:
        raise Problem(403, f"the role {key.role} may not {action}")
    if not practice.allows(key.duties, action):
        who = ", ".join(practice.who_may(action)) or "nobody in this city"
        raise Problem(403, f"{action} is no duty of {key.name} ({', '.join(sorted(key.duties))}); it is of: {who}")


def may(key: Key, action: str, practice: Practice) -> bool:
    return key.role in step_of(action).by and practice.allows(key.duties, action)


def possible_actions(now: Situation) -> list[Action]:
    """What the status allows and nothing stands against."""
    return [action for action in legal_actions(now.case["status"]) if hindrance(action, now) is None]


def check_possible(action: str, now: Situation) -> None:
    """Raises Problem 409 with what stands against it, naming what is possible."""
    step_of(action)
    legal = {str(name): hindrance(name, now) for name in legal_actions(now.case["status"])}
    if why := legal.get(action, f"{action} is not possible while a case is {now.case['status']}"):
        extra: dict[str, Any] = {"open_cases": _seen(now)} if action in WAITS_FOR_PARTS and now.open_parts else {}
        raise Problem(409, why, legal=[name for name, against in legal.items() if against is None], **extra)


def hindrance(action: Action, now: Situation) -> str | None:
    rule = RULES.get(action)
    return rule.against(now) if rule else None


def _returning(now: Situation) -> str | None:
    why = f"{now.case['lead']} was appointed 指定主办: the case cannot be returned, only reassigned"
    return why if now.case["appointed"] else None


def _extending(now: Situation) -> str | None:
    case, rule = now.case, now.practice.extension
    if case["due_at"] is None:
        return "the case has no deadline that could be extended"
    if case["extensions"] >= rule.most:
        return f"the case was extended {case['extensions']} times; {rule.most} are possible"
    if case["due_at"] < now.at and not rule.once_overdue:
        return "the case is overdue; an extension is asked for before that"
    return None


def _asking(now: Situation) -> str | None:
    asked = now.case["asked"]
    return f"{asked['asked_by']} has asked for `{asked['what']}`, which waits for an answer" if asked else None


def _granting(now: Situation) -> str | None:
    asked = now.case["asked"]
    if asked is None:
        return "nothing that was asked for waits for an answer"
    late = asked["expires_at"] is not None and now.at > asked["expires_at"]
    return "what was asked for has lapsed: the due time has passed" if late else None


def _ending(now: Situation) -> str | None:
    if not now.open_parts:
        return None
    named = [f"{each['number']} ({each['status']})" for each in _seen(now)[:NAMED]]
    others = [f"{len(now.open_parts) - len(named)} more"] if len(named) < len(now.open_parts) else []
    return f"{len(now.open_parts)} of its cases are still open, end them first: {', '.join(named + others)}"


def _seen(now: Situation) -> list[dict[str, Any]]:
    return [{name: each[name] for name in ("id", "number", "status")} for each in now.open_parts if each["seen"]]


def _reopening(now: Situation) -> str | None:
    late = _closed_longer_than(now.practice.reopen_days, now)
    return f"the case was closed more than {now.practice.reopen_days} days ago; report it anew" if late else None


def _appealing(now: Situation) -> str | None:
    late = _closed_longer_than(now.practice.appeal_days, now)
    return f"the case was closed more than {now.practice.appeal_days} days ago" if late else None


def _closed_longer_than(days: int, now: Situation) -> bool:
    return now.case["closed_at"] is not None and now.at > now.case["closed_at"] + days * DAY_MS


def _judging(now: Situation) -> str | None:
    return None if now.case["appeals_open"] else "no appeal waits for a decision"


@dataclass(frozen=True, slots=True)
class Rule:
    """`told` is the column "not while" of the drawn table."""

    told: str
    against: Callable[[Situation], str | None]


RULES: dict[Action, Rule] = {
    "return": Rule("the lead is appointed", _returning),
    "extend": Rule("without deadline, extended often enough, overdue", _extending),
    "ask": Rule("something asked for waits", _asking),
    "grant": Rule("nothing waits, or it has lapsed at the due time", _granting),
    "close": Rule("a case of one of its divisions is open", _ending),
    "merge": Rule("a case of one of its divisions is open; into what was reported done before", _ending),
    "reopen": Rule("closed too long ago", _reopening),
    "appeal": Rule("closed too long ago", _appealing),
    "judge": Rule("no appeal waits", _judging),
}
