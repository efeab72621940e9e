"""The contract's table of actions, row by row, against the table that the code goes by."""

from itertools import combinations_with_replacement, product
from typing import Any, get_args

import pytest

from citybrain.casework.case import STEPS, OrderStatus, Status, legal_actions, status_after_feedback
from citybrain.casework.drawing import PAGE, drawn
from citybrain.casework.hindrance import Situation, check_possible
from citybrain.casework.turn import parse_request
from citybrain.practice import Action, Practice
from citybrain.problem import Problem

OPEN = "triage filed dispatched accepted returned completed verified suspended"
# action: from, to (same: it stays), requires
CONTRACT = {
    "dispatch": ("triage filed returned", "dispatched", "department"),
    "relocate": ("triage filed returned dispatched accepted", "same", "location reason"),
    "reassign": ("dispatched accepted", "dispatched", "department reason"),
    "return": ("dispatched accepted", "returned", "reason"),
    "extend": ("dispatched accepted", "same", "until reason"),
    "suspend": ("filed dispatched accepted", "suspended", "until reason"),
    "resume": ("suspended", "same", ""),
    "supervise": (OPEN, "same", "reason"),
    "note": (OPEN, "same", "text"),
    "verify": ("completed", "verified", "passed"),
    "rework": ("completed verified", "dispatched", "reason"),
    "close": ("verified", "closed", ""),
    "reopen": ("closed", "dispatched", "reason"),
    "merge": (OPEN, "void", "into"),
    "split": (OPEN, "same", "events"),
    "void": ("triage filed returned", "void", "reason"),
}
# What the practice has beyond the contract: a clerk who files, departments that appeal.
ADDED = {
    "file": ("triage", "filed", ""),
    "ask": ("filed dispatched accepted", "same", "what until reason"),
    "grant": ("filed dispatched accepted", "same", "granted"),
    "appeal": ("dispatched accepted returned completed verified suspended closed", "same", "work_order against reason"),
    "judge": ("dispatched accepted returned completed verified suspended closed", "same", "appeal upheld reason"),
}
TABLE = CONTRACT | ADDED
SINGLE = [*OrderStatus]


@pytest.mark.parametrize("action", TABLE)
def test_an_action_is_legal_leads_and_requires_what_the_contract_says(action: Any) -> None:
    sources, target, requires = TABLE[action]

    step = STEPS[action]

    assert set(step.sources) == set(sources.split())
    assert (step.target or "same") == target
    assert set(step.requires) == set(requires.split())


def test_there_are_no_other_actions_and_a_pack_can_name_each() -> None:
    assert list(STEPS) == list(get_args(Action))
    assert set(STEPS) == set(TABLE)


@pytest.mark.parametrize("action", TABLE)
@pytest.mark.parametrize("status", Status)
def test_whatever_is_not_legal_is_409_and_names_what_is(action: str, status: str) -> None:
    case = {"status": status, "lead": "a", "appointed": False, "due_at": 1, "extensions": 0}
    case |= {"closed_at": None, "appeals_open": 1}
    case["asked"] = None if action == "ask" else {"expires_at": None, "asked_by": "wang", "what": "extend"}
    if status in TABLE[action][0].split():
        check_possible(action, Situation(case, 0, Practice()))
        return

    with pytest.raises(Problem) as refused:
        check_possible(action, Situation(case, 0, Practice()))

    assert refused.value.status == 409
    expected = {name for name, (sources, _, _) in TABLE.items() if status in sources.split()}
    expected -= {"grant" if action == "ask" else "ask"}
    assert set(refused.value.extra["legal"]) == expected <= set(legal_actions(status))


def test_a_void_case_has_no_legal_action_and_a_closed_one_can_only_be_reopened_or_contested() -> None:
    assert legal_actions("void") == []
    assert legal_actions("closed") == ["reopen", "appeal", "judge"]


def test_the_page_about_cases_is_drawn_from_the_tables() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == drawn(page), "run: python -m citybrain.casework.drawing"
    assert "| close | verified | closed | – | a case of one of its divisions is open | ends |" in page


@pytest.mark.parametrize("body", [{"version": 1}, {}, None, {"version": "x"}])
def test_a_word_that_is_no_action_is_404_whatever_the_body(body: object) -> None:
    with pytest.raises(Problem) as refused:
        parse_request("approve", body)
    assert refused.value.status == 404
    assert "dispatch" in refused.value.detail


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.DISPATCHED, Status.ACCEPTED}))
def test_feedback_moves_only_cases_that_are_out_for_handling(status: str) -> None:
    for lead, assist in product(SINGLE, SINGLE):
        assert status_after_feedback(status, [("lead", lead), ("assist", assist)]) is None


@pytest.mark.parametrize("status", [Status.DISPATCHED, Status.ACCEPTED])
def test_a_case_is_completed_when_its_lead_and_all_assistants_are(status: str) -> None:
    done = [("lead", "completed"), ("assist", "completed")]
    assert status_after_feedback(status, done) == Status.COMPLETED
    assert status_after_feedback(status, [*done, ("assist", "returned")]) == Status.COMPLETED  # it answered: not ours
    assert status_after_feedback(status, [*done, ("assist", "cancelled"), ("lead", "cancelled")]) == Status.COMPLETED
    for waiting in ("sent", "accepted"):
        assert status_after_feedback(status, [*done, ("assist", waiting)]) != Status.COMPLETED
        assert status_after_feedback(status, [("lead", waiting), ("assist", "completed")]) != Status.COMPLETED


def test_a_case_is_accepted_when_its_lead_accepts_whatever_the_assistants_say() -> None:
    for assist in SINGLE:
        assert status_after_feedback("dispatched", [("lead", "accepted"), ("assist", assist)]) == Status.ACCEPTED
        assert status_after_feedback("dispatched", [("lead", "sent"), ("assist", assist)]) is None


def test_a_lead_that_returned_it_once_does_not_send_it_back_again_under_the_next_lead() -> None:
    before = ("lead", "returned")
    assert status_after_feedback("dispatched", [before, ("lead", "sent")]) is None
    assert status_after_feedback("dispatched", [before, ("lead", "accepted")]) == Status.ACCEPTED
    assert status_after_feedback("dispatched", [before, ("lead", "completed")]) == Status.COMPLETED


def test_no_feedback_whatever_moves_a_case_backward() -> None:
    forward = {"dispatched": {None, "accepted", "returned", "completed"}, "accepted": {None, "returned", "completed"}}
    for number in (1, 2, 3):
        for roles in product(("lead", "assist"), repeat=number):
            for states in combinations_with_replacement(SINGLE, number):
                orders = list(zip(roles, map(str, states), strict=True))
                for status, reachable in forward.items():
                    assert status_after_feedback(status, orders) in reachable
