"""How a case comes to each of its statuses, and a body with which each action is possible."""

from datetime import UTC, datetime, timedelta
from typing import Any

from desk import Desk
from sqlalchemy import Row

from citybrain.casework import silences
from citybrain.store.tables import work_orders

FIRE = {"domain": "fire", "type": "fire.building_fire"}  # leads: fire brigade; assist: police, health, power
BODIES: dict[str, dict[str, Any]] = {
    "file": {"type": "c01039"},
    "dispatch": {"department": "441402-cg", "type": "c01039"},
    "relocate": {"location": {"division_code": "441403"}, "reason": "位置有误"},
    "reassign": {"department": "441402-zj", "reason": "指定主办"},
    "return": {"reason": "不属于我单位职责"},
    "extend": {"until": "2025-03-06T12:00:00+08:00", "reason": "等待配件"},
    "suspend": {"until": "2025-03-20T12:00:00+08:00", "reason": "等待拆迁"},
    "ask": {"what": "suspend", "until": "2025-03-20T12:00:00+08:00", "reason": "等待拆迁"},
    "grant": {"granted": True},
    "resume": {},
    "supervise": {"reason": "群众催办"},
    "note": {"text": "已电话联系"},
    "verify": {"passed": True},
    "rework": {"reason": "没有修好"},
    "close": {},
    "reopen": {"reason": "又坏了"},
    "appeal": {"work_order": "one", "against": "overdue", "reason": "等待产权单位配合"},
    "judge": {"appeal": "one", "upheld": True, "reason": "情况属实"},
    "merge": {"into": "another"},
    "split": {"events": ["one"]},
    "void": {"reason": "重复上报"},
}


def in_triage(desk: Desk) -> Row[Any]:
    case = desk.open(description="嗯")  # nothing in it that any rule knows
    assert case.status == "triage"
    return case


def silenced(desk: Desk) -> Row[Any]:
    """Filed, and dispatched to nobody: a rule files and dispatches in one step otherwise."""
    ends = datetime.fromtimestamp(desk.now / 1000, UTC) + timedelta(hours=1)
    wanted = {"domain": "grid", "devices": ["quiet"], "reason": "检修", "ends_at": ends}
    with desk.here.store.write() as tx:
        silences.silence(tx, silences.NewSilence.model_validate(wanted), desk.key, desk.here, desk.now)
    return desk.open(attributes={"device_id": "quiet"})


def completed(desk: Desk, **event: Any) -> Row[Any]:
    case = desk.open(**event)
    for order in desk.orders(case.id):
        desk.answer(order.id, "completed")
    return desk.case(case.id)


def case_in(desk: Desk, status: str) -> Row[Any]:
    """A case that came to its status the way cases do."""
    begin = {"filed": silenced, "triage": in_triage, "void": in_triage}.get(status, Desk.open)
    case = begin(desk)
    if status == "accepted":
        desk.answer(desk.lead(case.id).id, "accepted")
    elif status in ("completed", "verified", "closed"):
        desk.answer(desk.lead(case.id).id, "completed")
    actions = {"returned": ["return"], "verified": ["verify"], "closed": ["verify", "close"], "void": ["void"]}
    for action in actions.get(status, ["suspend"] if status == "suspended" else []):
        desk.act(case.id, action, **BODIES[action])
    case = desk.case(case.id)
    assert case.status == status
    return case


def with_a_fact_to_contest(desk: Desk, case: Row[Any]) -> dict[str, str]:
    """The body of an appeal: the lead was late, if it has not returned the case."""
    order = desk.lead(case.id)
    desk.set(work_orders, work_orders.c.id == order.id, due_at=1)
    return {"work_order": order.id, "against": "returned" if order.status == "returned" else "overdue"}


def with_an_appeal(desk: Desk, case: Row[Any]) -> str:
    body = BODIES["appeal"] | with_a_fact_to_contest(desk, case)
    shown: str = desk.act(case.id, "appeal", **body)["appeals"][0]["id"]
    return shown


def with_another_event(desk: Desk, case: Row[Any]) -> None:
    """Puts one more event into a case, whatever its status."""
    other = desk.open(type="m06001")
    desk.act(other.id, "merge", into=case.id)
