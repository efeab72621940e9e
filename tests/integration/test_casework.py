"""The table of actions on cases in a real store: what is legal, what is refused, and who is told who acted first."""

from typing import Any

import pytest
from desk import Desk
from postgres import both_stores
from steps import BODIES, case_in, in_triage, with_a_fact_to_contest, with_an_appeal, with_another_event

from citybrain.casework.case import STEPS, Status
from citybrain.keys import Key, Role
from citybrain.store.tables import events

pytestmark = both_stores

# The table as a whole


@pytest.mark.parametrize("status", Status)
def test_a_wrong_step_is_409_names_the_legal_ones_and_changes_nothing(desk: Desk, status: str) -> None:
    case = case_in(desk, status)
    legal = [action for action, step in STEPS.items() if status in step.sources and action not in ("judge", "grant")]
    for action in set(STEPS) - set(legal):
        problem = desk.refused(case.id, action, **BODIES[action])
        assert (problem.status, problem.extra["legal"]) == (409, legal), action
    assert desk.case(case.id) == case
    assert desk.broken() == []


@pytest.mark.parametrize(
    ("status", "action"), [(status, action) for action, step in STEPS.items() for status in sorted(step.sources)]
)
def test_a_legal_step_leads_where_the_contract_says(desk: Desk, status: str, action: str) -> None:
    case, body = case_in(desk, status), dict(BODIES[action])
    if action == "appeal":
        body |= with_a_fact_to_contest(desk, case)
    if action == "judge":
        body["appeal"] = with_an_appeal(desk, case)
    if action == "grant":
        desk.act(case.id, "ask", **BODIES["ask"])
    if action == "merge":
        body["into"] = desk.open(type="m06001").number
    if action == "split":
        with_another_event(desk, case)
        body["events"] = [row.id for row in desk.rows(events, events.c.case_id == case.id)][:1]

    shown = desk.act(case.id, action, **body)

    expected = STEPS[action].target or ("dispatched" if action == "resume" else status)
    if action == "grant":
        expected = "suspended"
    if (action, status) == ("relocate", "accepted"):
        expected = "dispatched"  # the department that answers there has not accepted yet
    assert shown["status"] == desk.case(case.id).status == expected
    assert shown["version"] == desk.case(case.id).version > case.version
    assert desk.story(case.id)[-1][0] == "liu"
    assert desk.broken() == []


@pytest.mark.parametrize("action", [name for name, step in STEPS.items() if step.requires])
def test_a_missing_requirement_is_422_names_the_field_and_changes_nothing(desk: Desk, action: str) -> None:
    case = case_in(desk, sorted(STEPS[action].sources)[0])
    if action == "judge":
        with_an_appeal(desk, case)
    if action == "grant":
        desk.act(case.id, "ask", **BODIES["ask"])
    case = desk.case(case.id)
    for name in STEPS[action].requires:
        body = {key: value for key, value in BODIES[action].items() if key != name}
        problem = desk.refused(case.id, action, **body)
        assert problem.status == 422
        assert name in [error.field for error in problem.errors]
    assert desk.case(case.id) == case


@pytest.mark.parametrize("reason", ["", " \u3000", "\u200b\u2060", "长" * 2001])
def test_a_reason_is_something_to_read_and_no_book(desk: Desk, reason: str) -> None:
    case = desk.open()
    refused = desk.refused(case.id, "return", reason=reason)
    assert (refused.status, refused.errors[0].field) == (422, "reason")
    assert desk.case(case.id) == case


def test_an_old_version_is_409_with_the_present_case_and_who_acted_first(desk: Desk) -> None:
    case = desk.open()
    desk.key = Key("wang", Role.OPERATOR, frozenset(), frozenset(), frozenset())
    desk.act(case.id, "note", text="我来处理")

    problem = desk.refused(case.id, "supervise", version=case.version, reason="催办")

    assert problem.status == 409
    assert "wang" in problem.detail
    assert "noted" in problem.detail
    assert problem.extra["case"]["version"] == case.version + 1
    assert problem.extra["case"]["timeline"][-1]["data"] == {"text": "我来处理"}


def test_who_acts_on_what_has_changed_meanwhile_is_told_who_acted_first_and_what_is_legal_now(desk: Desk) -> None:
    case = in_triage(desk)
    desk.act(case.id, "dispatch", department="441402-cg", type="c01039")

    problem = desk.refused(case.id, "dispatch", version=case.version, department="441402-zj", type="c01039")

    assert problem.status == 409
    assert problem.detail.startswith("liu acted first (dispatched")
    assert problem.extra["case"]["status"] == "dispatched"
    assert problem.extra["legal"] == problem.extra["case"]["actions"]
    assert desk.case(case.id).lead == "441402-cg"


def test_a_version_from_the_future_is_409(desk: Desk) -> None:
    case = desk.open()
    assert desk.refused(case.id, "note", version=9, text="嗯").status == 409


def test_an_unknown_action_is_404(desk: Desk) -> None:
    assert desk.refused(desk.open().id, "approve").status == 404


# Over HTTP

LAMP = {
    "domain": "grid", "type": "c01039", "occurred_at": "2026-01-05T08:00:00+08:00",
    "location": {"division_code": "441402004"},
}  # fmt: skip


def test_conflicts_and_refusals_read_the_same_over_http(shared_service: Any) -> None:
    event = {
        "source_event_id": "casework-1",
        "domain": "grid",
        "type": "c01039",
        "occurred_at": "2026-01-05T08:00:00+08:00",
    }
    event_id = shared_service.post("/api/v1/events", event | {"location": {"division_code": "441402004"}})["id"]
    case_id = shared_service.until(f"/api/v1/events/{event_id}", lambda event: event["case_id"])["case_id"]
    path = f"/api/v1/cases/{case_id}"
    noted = shared_service.post(f"{path}/note", {"version": 1, "text": "一"})
    assert (noted["version"], noted["timeline"][-1]["actor"]) == (2, "admin")

    stale = shared_service.call("POST", f"{path}/note", {"version": 1, "text": "二"})
    assert (stale.status, stale.body["case"]["version"]) == (409, 2)
    assert stale.headers["content-type"] == "application/problem+json"
    wrong = shared_service.call("POST", f"{path}/close", {"version": 2})
    assert (wrong.status, "return" in wrong.body["legal"]) == (409, True)
    missing = shared_service.call("POST", f"{path}/return", {"version": 2})
    assert (missing.status, missing.body["errors"][0]["field"]) == (422, "reason")
    assert shared_service.call("POST", f"{path}/approve").status == 404
    for text in (b"NaN", b'"\\u0000"', b'"\\ud800"', b"[" * 40 + b"]" * 40):
        refused = shared_service.call("POST", f"{path}/note", b'{"version": 2, "text": ' + text + b"}")
        assert (refused.status, refused.headers["content-type"]) == (422, "application/problem+json"), text
    assert shared_service.call("POST", "/api/v1/cases/actions", b'{"items": [Infinity]}').status == 422
    assert shared_service.get(path)["version"] == 2
    assert shared_service.call("POST", "/api/v1/cases/none/note", {"version": 2, "text": "三"}).status == 404


def test_a_departments_system_answers_over_http_once_and_only_for_itself(shared_service: Any) -> None:
    event = {
        "source_event_id": "casework-2",
        "domain": "grid",
        "type": "c01039",
        "occurred_at": "2026-01-05T08:00:00+08:00",
    }
    event_id = shared_service.post("/api/v1/events", event | {"location": {"division_code": "441402004"}})["id"]
    case_id = shared_service.until(f"/api/v1/events/{event_id}", lambda event: event["case_id"])["case_id"]
    order = shared_service.get(f"/api/v1/cases/{case_id}")["work_orders"][0]
    theirs = shared_service.key("system", "casework-lights", departments=order["department"])
    others = shared_service.key("system", "casework-others", departments="441403-cg")
    path = f"/api/v1/work-orders/{order['id']}"

    accepted = {"feedback_id": "1", "status": "accepted"}
    assert shared_service.call("POST", f"{path}/feedback", accepted, others).status == 404
    returned = shared_service.call("POST", f"{path}/feedback", {"feedback_id": "1", "status": "returned"}, theirs)
    assert (returned.status, [error["field"] for error in returned.body["errors"]]) == (422, ["reason", "responsible"])
    for status in ("completed", "completed", "returned"):
        body = {"feedback_id": "1", "status": status, "reason": "a", "responsible": "b"}
        answer = shared_service.call("POST", f"{path}/feedback", body, theirs)
        assert (answer.status, answer.body["status"], answer.body["case"]["status"]) == (200, "completed", "completed")
    assert shared_service.get(path, theirs)["status"] == "completed"
    timeline = shared_service.get(f"/api/v1/cases/{case_id}")["timeline"]
    assert [entry["action"] for entry in timeline] == ["filed", "dispatched", "feedback", "completed"]
    assert timeline[2]["actor"] == "casework-lights"
