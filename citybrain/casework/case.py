"""The written-down life of a case 案件 and of a work order 派遣单: their statuses, and the tables of legal steps that
every change goes through. docs/casework.md is drawn from here (`drawing`)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from citybrain.keys import Role
from citybrain.practice import Action
from citybrain.problem import Problem


class Status(StrEnum):
    TRIAGE = "triage"  # 待分拨: no rule or polygon decided
    FILED = "filed"  # 立案
    DISPATCHED = "dispatched"  # 已派遣
    ACCEPTED = "accepted"  # 已受理
    RETURNED = "returned"  # 已退回
    COMPLETED = "completed"  # 已处置, to be verified
    VERIFIED = "verified"  # 已核查
    SUSPENDED = "suspended"  # 挂账
    CLOSED = "closed"  # 结案
    VOID = "void"  # 作废


class OrderStatus(StrEnum):
    SENT = "sent"
    ACCEPTED = "accepted"
    RETURNED = "returned"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Clock(StrEnum):
    """What a step does to the handling clock; whatever was used up stays used up, but for AGAIN."""

    UNTOUCHED = "untouched"
    STARTS = "starts, or goes on"
    EXTENDED = "extended"
    STOPS = "stops"
    GOES_ON = "goes on"
    AS_ASKED = "what was asked for, once it is granted"
    AGAIN = "the whole limit again"
    ENDS = "ends"


ENDED = frozenset({Status.CLOSED, Status.VOID})
OPEN = frozenset(Status) - ENDED
IN_HAND = frozenset({Status.DISPATCHED, Status.ACCEPTED})  # departments are at work
ACTIVE_ORDERS = frozenset({OrderStatus.SENT, OrderStatus.ACCEPTED})

CENTRE = frozenset({Role.OPERATOR, Role.ADMIN})  # which of its duties may what is the city's (`practice`)


@dataclass(frozen=True, slots=True)
class Step:
    """One action: from where it is legal, where it leads (None: stays), what it requires besides the version, what it
    does to the handling clock, which roles may do it."""

    sources: frozenset[Status]
    target: Status | None
    requires: tuple[str, ...] = ()
    clock: Clock = Clock.UNTOUCHED
    by: frozenset[Role] = CENTRE


def _step(
    sources: str, target: str | None, *requires: str, clock: Clock = Clock.UNTOUCHED, by: Iterable[Role] = ()
) -> Step:
    froms = frozenset(Status(name) for name in sources.split())
    return Step(froms, Status(target) if target else None, requires, clock, CENTRE | frozenset(by))


_ANY_OPEN = " ".join(sorted(OPEN))

STEPS: dict[Action, Step] = {
    "file": _step("triage", "filed"),
    "dispatch": _step("triage filed returned", "dispatched", "department", clock=Clock.STARTS),
    "relocate": _step("triage filed returned dispatched accepted", None, "location", "reason"),
    "reassign": _step("dispatched accepted", "dispatched", "department", "reason"),
    "return": _step("dispatched accepted", "returned", "reason"),
    "extend": _step("dispatched accepted", None, "until", "reason", clock=Clock.EXTENDED),
    "suspend": _step("filed dispatched accepted", "suspended", "until", "reason", clock=Clock.STOPS),
    "ask": _step("filed dispatched accepted", None, "what", "until", "reason", by=[Role.SYSTEM]),
    "grant": _step("filed dispatched accepted", None, "granted", clock=Clock.AS_ASKED),
    "resume": _step("suspended", None, clock=Clock.GOES_ON),
    "supervise": _step(_ANY_OPEN, None, "reason"),
    "note": _step(_ANY_OPEN, None, "text"),
    "verify": _step("completed", "verified", "passed", by=[Role.WORKER]),
    "rework": _step("completed verified", "dispatched", "reason", clock=Clock.AGAIN),
    "close": _step("verified", "closed", clock=Clock.ENDS),
    "reopen": _step("closed", "dispatched", "reason", clock=Clock.AGAIN),
    "appeal": _step(
        "dispatched accepted returned completed verified suspended closed", None,
        "work_order", "against", "reason", by=[Role.SYSTEM],
    ),
    "judge": _step(
        "dispatched accepted returned completed verified suspended closed", None, "appeal", "upheld", "reason"
    ),
    "merge": _step(_ANY_OPEN, "void", "into", clock=Clock.ENDS),
    "split": _step(_ANY_OPEN, None, "events"),
    "void": _step("triage filed returned", "void", "reason", clock=Clock.ENDS),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class OrderStep:
    """What becomes of a work order; a department's answer, or what an action on the case does to it."""

    sources: frozenset[OrderStatus]
    target: OrderStatus | None
    requires: tuple[str, ...]
    by: str


def _order_step(sources: str, target: str | None, by: str, *requires: str) -> OrderStep:
    froms = frozenset(OrderStatus(name) for name in sources.split())
    return OrderStep(froms, OrderStatus(target) if target else None, requires, by)


ANSWERS: dict[str, OrderStep] = {
    "accepted": _order_step("sent", "accepted", "department"),
    "progress": _order_step("sent accepted", None, "department"),
    "returned": _order_step("sent accepted", "returned", "department", "reason", "responsible"),
    "completed": _order_step("sent accepted", "completed", "department"),
}
CALLED_OFF = _order_step("sent accepted", "cancelled", "another lead, a merged or void case")


def was_kept(case: Mapping[str, Any]) -> bool:
    """Filed, and dispatched to nobody because of a silence or of a warning for its area."""
    return case["status"] == Status.FILED and bool(case["silence_id"] or case["inhibited_by"])


def is_muted(case: Mapping[str, Any]) -> bool:
    """That is so still: nobody is to dispatch it, so no clock of the centre runs."""
    return was_kept(case) and case["stage_due_at"] is None


def step_of(action: str) -> Step:
    """Raises Problem 404 for a word that is no action."""
    for name, step in STEPS.items():
        if name == action:
            return step
    raise Problem(404, f"no action {action!r}; there are {', '.join(STEPS)}")


def legal_actions(status: str) -> list[Action]:
    return [name for name, step in STEPS.items() if status in step.sources]


def status_after_feedback(status: str, orders: list[tuple[str, str]]) -> Status | None:
    """Where the orders' (role, status), the oldest first, move a dispatched or accepted case, or None. All leads
    accepted → accepted; the lead returned → returned, but not one that was followed by another; leads and assistants
    all completed → completed. Never backward."""
    if status not in IN_HAND:
        return None
    standing = [(role, state) for role, state in orders if state != OrderStatus.CANCELLED]
    if [state for role, state in standing if role == "lead"][-1:] == [OrderStatus.RETURNED]:
        return Status.RETURNED
    kept = [(role, state) for role, state in standing if state != OrderStatus.RETURNED]
    leads = [state for role, state in kept if role == "lead"]
    if leads and all(state == OrderStatus.COMPLETED for _, state in kept):
        return Status.COMPLETED
    if status == Status.DISPATCHED and leads and all(s in (OrderStatus.ACCEPTED, OrderStatus.COMPLETED) for s in leads):
        return Status.ACCEPTED
    return None
