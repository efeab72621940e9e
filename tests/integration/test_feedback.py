"""What departments answer, and where it moves their orders and the case: forward only, once, whatever comes late."""

from typing import Any

import pytest
from desk import Desk
from postgres import both_stores
from sqlalchemy import Row

from citybrain.casework.api import give_feedback, show_case
from citybrain.casework.case import ACTIVE_ORDERS
from citybrain.keys import Key, Role
from citybrain.problem import Problem
from citybrain.store.tables import feedbacks

pytestmark = both_stores

FIRE = {"domain": "fire", "type": "fire.building_fire"}  # leads: fire brigade; assist: police, health, power
SUSPENSION = {"until": "2025-03-20T12:00:00+08:00", "reason": "等待拆迁"}


def status(desk: Desk, case: Row[Any]) -> str:
    return str(desk.case(case.id).status)


def effects(desk: Desk) -> list[tuple[str, bool]]:
    found = sorted(desk.rows(feedbacks), key=lambda row: int(row.feedback_id.split("-")[1]))
    return [(row.status, row.effect) for row in found]


def test_a_case_is_accepted_when_its_lead_accepts_and_not_when_an_assistant_does(desk: Desk) -> None:
    case = desk.open(**FIRE)
    assistant = desk.orders(case.id, "assist")[0]
    desk.answer(assistant.id, "accepted")
    assert status(desk, case) == "dispatched"
    desk.answer(desk.lead(case.id).id, "accepted")
    assert status(desk, case) == "accepted"


@pytest.mark.parametrize("accepting", [True, False])
def test_a_case_is_completed_when_lead_and_assistants_are_accepted_or_not(desk: Desk, accepting: bool) -> None:
    case = desk.open(**FIRE)
    orders = desk.orders(case.id)
    for order in orders:
        assert status(desk, case) != "completed"
        if accepting:
            desk.answer(order.id, "accepted")
        desk.pass_time(minutes=1)
        desk.answer(order.id, "completed")
    assert status(desk, case) == "completed"
    assert [order.completed_at for order in desk.orders(case.id)] == [desk.now - 60_000 * n for n in (3, 2, 1, 0)]
    assert desk.story(case.id)[-1] == ("liu", "completed")
    assert desk.broken() == []


def test_a_lead_that_completes_at_once_has_accepted_the_case(desk: Desk) -> None:
    case = desk.open(**FIRE)
    desk.answer(desk.lead(case.id).id, "completed")
    assert status(desk, case) == "accepted"


def test_a_lead_that_returns_it_says_why_and_who_should_and_the_case_is_returned(desk: Desk) -> None:
    case = desk.open()
    desk.answer(desk.lead(case.id).id, "accepted")
    desk.answer(desk.lead(case.id).id, "returned", reason="是公路局的灯", responsible="441402-jt")
    lead = desk.lead(case.id)
    assert (status(desk, case), lead.status, lead.reason, lead.responsible) == (
        "returned",
        "returned",
        "是公路局的灯",
        "441402-jt",
    )


def test_an_assistant_that_returns_it_leaves_the_case_with_the_others(desk: Desk) -> None:
    case = desk.open(**FIRE)
    lead, police, health, power = desk.orders(case.id)
    desk.answer(police.id, "returned")
    assert status(desk, case) == "dispatched"
    for order in (lead, health, power):
        desk.answer(order.id, "completed")
    assert status(desk, case) == "completed"


def test_the_last_assistant_to_return_it_completes_what_the_others_completed(desk: Desk) -> None:
    case = desk.open(**FIRE)
    lead, police, health, power = desk.orders(case.id)
    for order in (lead, police, health):
        desk.answer(order.id, "completed")
    desk.answer(power.id, "returned")
    assert status(desk, case) == "completed"


@pytest.mark.parametrize("missing", ["reason", "responsible"])
def test_a_return_without_reason_or_responsible_is_422_and_not_recorded(desk: Desk, missing: str) -> None:
    order = desk.lead(desk.open().id)
    with pytest.raises(Problem) as refused:
        desk.answer(order.id, "returned", **{missing: None})
    assert (refused.value.status, [error.field for error in refused.value.errors]) == (422, [missing])
    assert desk.rows(feedbacks) == []


@pytest.mark.parametrize(
    "wrong",
    [{"status": "done"}, {"feedback_id": ""}, {"at": "yesterday"}, {"colour": "red"}, {"at": "2025-03-03T08:00"}],
)
def test_what_is_no_feedback_is_422(desk: Desk, wrong: dict[str, Any]) -> None:
    order = desk.lead(desk.open().id)
    with pytest.raises(Problem) as refused:
        give_feedback(order.id, desk.key, desk.here, {"feedback_id": "1", "status": "accepted"} | wrong)
    assert refused.value.status == 422


def test_the_same_feedback_again_has_no_second_effect(desk: Desk) -> None:
    case = desk.open(**FIRE)
    lead = desk.lead(case.id)
    for _ in range(3):
        desk.answer(lead.id, "progress", "p1", note="到场")
    before = (desk.case(case.id), desk.story(case.id), desk.told(case.id))
    desk.answer(lead.id, "completed", "p1")  # the id says that it is the same, whatever it holds
    assert (desk.case(case.id), desk.story(case.id), desk.told(case.id)) == before
    assert [row.status for row in desk.rows(feedbacks)] == ["progress"]


def test_two_orders_may_use_the_same_feedback_id(desk: Desk) -> None:
    case = desk.open(**FIRE)
    for order in desk.orders(case.id):
        desk.answer(order.id, "completed", "done")
    assert status(desk, case) == "completed"


def test_feedback_out_of_order_is_recorded_and_moves_nothing_backward(desk: Desk) -> None:
    case = desk.open()
    order = desk.lead(case.id)
    desk.answer(order.id, "completed")
    late = ["accepted", "progress", "returned", "completed"]
    for answer in late:
        desk.answer(order.id, answer)
    assert (status(desk, case), desk.lead(case.id).status) == ("completed", "completed")
    assert effects(desk) == [("completed", True), *((answer, False) for answer in late)]
    assert [action for _, action in desk.story(case.id)].count("feedback") == 5


def test_a_second_acceptance_is_recorded_without_effect(desk: Desk) -> None:
    order = desk.lead(desk.open().id)
    for _ in range(2):
        desk.answer(order.id, "accepted")
    assert effects(desk) == [("accepted", True), ("accepted", False)]


def test_progress_is_kept_and_moves_nothing(desk: Desk) -> None:
    case = desk.open()
    desk.answer(desk.lead(case.id).id, "progress", note="已派人前往", at="2025-03-03T08:59:00+08:00")
    assert (status(desk, case), desk.lead(case.id).status) == ("dispatched", "sent")
    assert desk.last_entry(case.id)["note"] == "已派人前往"
    assert desk.row(feedbacks).at == desk.now - 60_000


def test_feedback_for_a_cancelled_order_is_recorded_and_moves_nothing(desk: Desk) -> None:
    case = desk.open()
    old = desk.lead(case.id)
    desk.act(case.id, "reassign", department="441402-zj", reason="指定主办")
    desk.answer(old.id, "completed")
    assert (status(desk, case), desk.orders(case.id)[0].status) == ("dispatched", "cancelled")
    assert effects(desk) == [("completed", False)]
    assert desk.last_entry(case.id)["effect"] is False


@pytest.mark.parametrize("end", ["void", "closed"])
def test_feedback_after_the_end_is_recorded_and_moves_nothing(desk: Desk, end: str) -> None:
    case = desk.open()
    order = desk.lead(case.id)
    if end == "void":
        desk.act(case.id, "return", reason="误报")
        desk.act(case.id, "void", reason="误报")
    else:
        desk.answer(order.id, "completed")
        desk.act(case.id, "verify", passed=True)
        desk.act(case.id, "close")
    desk.answer(order.id, "completed")
    assert status(desk, case) == end
    assert effects(desk)[-1] == ("completed", False)


def test_an_acceptance_while_suspended_waits_until_the_case_comes_back(desk: Desk) -> None:
    case = desk.open()
    desk.act(case.id, "suspend", **SUSPENSION)
    desk.answer(desk.lead(case.id).id, "accepted")
    assert status(desk, case) == "suspended"
    desk.act(case.id, "resume")
    assert status(desk, case) == "accepted"


def test_a_completion_while_suspended_completes_the_case_and_its_clock_is_no_longer_paused(desk: Desk) -> None:
    case = desk.open()
    desk.act(case.id, "suspend", **SUSPENSION)
    desk.answer(desk.lead(case.id).id, "completed")
    now = desk.case(case.id)
    assert (now.status, now.suspended_from, now.suspended_until, now.left_seconds) == ("completed", None, None, None)
    assert now.due_at is not None
    assert [row["deadline"]["state"] for row in shown(desk, case)["work_orders"]] == ["stopped"]
    assert shown(desk, case)["deadline"]["state"] == "stopped"


def test_a_return_while_suspended_starts_the_clock_again_for_whoever_is_next(desk: Desk) -> None:
    case = desk.open(**FIRE)
    desk.pass_time(minutes=5)
    desk.act(case.id, "suspend", **SUSPENSION)
    desk.pass_time(hours=2)
    desk.answer(desk.lead(case.id).id, "returned")
    assert status(desk, case) == "returned"
    desk.act(case.id, "dispatch", department="441402-yj")
    assert desk.case(case.id).due_at == desk.lead(case.id).due_at == desk.now + 10 * 60_000


def shown(desk: Desk, case: Row[Any]) -> dict[str, Any]:
    return show_case(case.id, desk.key, desk.here)


def test_a_system_gives_feedback_only_on_orders_of_its_departments_and_those_below(desk: Desk) -> None:
    case = desk.open(**FIRE)
    lead, police, *_ = desk.orders(case.id)
    desk.key = Key("xf", Role.SYSTEM, frozenset(), frozenset(), frozenset({"441400-xf"}))
    desk.answer(lead.id, "accepted")
    with pytest.raises(Problem) as refused:
        desk.answer(police.id, "accepted")
    assert refused.value.status == 404
    assert desk.rows(feedbacks)[0].actor == "xf"


def test_after_rework_the_answers_of_the_first_time_count_no_more(desk: Desk) -> None:
    case = desk.open()
    first = desk.lead(case.id)
    desk.answer(first.id, "completed")
    desk.act(case.id, "rework", reason="没有修好")
    assert [order.status for order in desk.orders(case.id) if order.status in ACTIVE_ORDERS] == ["sent"]
    desk.answer(first.id, "completed")
    assert status(desk, case) == "dispatched"
    desk.answer(desk.lead(case.id).id, "accepted")
    assert status(desk, case) == "accepted"
