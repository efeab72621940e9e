"""The written-down life of a case 案件: its statuses, and the table of legal steps that every change goes through."""

from dataclasses import dataclass
from enum import StrEnum

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


ENDED = frozenset({Status.CLOSED, Status.VOID})
OPEN = frozenset(Status) - ENDED
ACTIVE_ORDERS = frozenset({OrderStatus.SENT, OrderStatus.ACCEPTED})


@dataclass(frozen=True, slots=True)
class Step:
    """One action: from where it is legal, where it leads (None: stays), what it requires besides the version."""

    sources: frozenset[Status]
    target: Status | None
    requires: tuple[str, ...] = ()


def _step(sources: str, target: str | None, *requires: str) -> Step:
    return Step(frozenset(Status(name) for name in sources.split()), Status(target) if target else None, requires)


_ANY_OPEN = " ".join(sorted(OPEN))

STEPS: dict[str, Step] = {
    "dispatch": _step("triage filed returned", "dispatched", "department"),
    "relocate": _step("triage filed returned dispatched accepted", None, "location", "reason"),
    "reassign": _step("dispatched accepted", "dispatched", "department", "reason"),
    "return": _step("dispatched accepted", "returned", "reason"),
    "extend": _step("dispatched accepted", None, "until", "reason"),
    "suspend": _step("filed dispatched accepted", "suspended", "until", "reason"),
    "resume": _step("suspended", None),
    "supervise": _step(_ANY_OPEN, None, "reason"),
    "note": _step(_ANY_OPEN, None, "text"),
    "verify": _step("completed", "verified", "passed"),
    "rework": _step("completed verified", "dispatched", "reason"),
    "close": _step("verified", "closed"),
    "reopen": _step("closed", "dispatched", "reason"),
    "merge": _step(_ANY_OPEN, "void", "into"),
    "split": _step(_ANY_OPEN, None, "events"),
    "void": _step("triage filed returned", "void", "reason"),
}


def legal_actions(status: str) -> list[str]:
    return [name for name, step in STEPS.items() if status in step.sources]


def step_of(action: str) -> Step:
    """Raises Problem 404 for a word that is no action."""
    step = STEPS.get(action)
    if step is None:
        raise Problem(404, f"no action {action!r}; there are {', '.join(STEPS)}")
    return step


def legal_step(action: str, status: str) -> Step:
    """The step, or a Problem: 404 for a word that is no action, 409 naming what is legal from here."""
    step = step_of(action)
    if status not in step.sources:
        legal = legal_actions(status)
        raise Problem(409, f"{action} is not possible while a case is {status}", legal=legal)
    return step


def status_after_feedback(status: str, orders: list[tuple[str, str]]) -> Status | None:
    """Where the orders' (role, status), the oldest first, move a dispatched or accepted case, or None. All leads
    accepted → accepted; the lead returned → returned, but not one that was followed by another; leads and assistants
    all completed → completed. Never backward."""
    if status not in (Status.DISPATCHED, Status.ACCEPTED):
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
