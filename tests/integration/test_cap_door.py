"""POST /cap: alerts end in the same intake; an update finds the case of what it refers to."""

from typing import Any

import pytest
from alerts import INFO, alert
from serving import Answer, Service, wait_until

SENDER = "qx@meizhou.example"
SENT = "2026-11-20T08:00:00+08:00"


@pytest.fixture(scope="module")
def bureau(shared_service: Service) -> str:
    return shared_service.key("source", "weather-bureau", domains="emergency")


def send(service: Service, key: str, id_: str, body: str = INFO, **other: str) -> Answer:
    text = alert(body, identifier=id_, sent=SENT, **other)
    return service.call("POST", "/cap", text.encode(), key, Content_Type="application/cap+xml")


def references(*ids: str) -> str:
    return " ".join(f"{SENDER},{id_},{SENT}" for id_ in ids)


def case_of(service: Service, answer: Answer) -> dict[str, Any]:
    path = f"/api/v1/events/{answer.body['id']}"
    case_id = wait_until(lambda: service.get(path)["case_id"])
    return dict(service.get(f"/api/v1/cases/{case_id}"))


def test_an_alert_its_update_and_its_cancellation_are_one_case(shared_service: Service, bureau: str) -> None:
    first = send(shared_service, bureau, "one-1")
    assert first.status == 202, first
    assert first.body["place"]["method"] == "geometry"
    case = case_of(shared_service, first)
    assert (case["status"], case["type"]) == ("dispatched", "emergency.rainstorm_warning")
    second = send(shared_service, bureau, "one-2", msgType="Update", references=references("one-1"))
    assert case_of(shared_service, second)["id"] == case["id"]
    third = send(shared_service, bureau, "one-3", "", msgType="Cancel", references=references("one-2"))
    assert third.body["cap"] == {"status": "Actual", "message": "Cancel", "thread": first.body["cap"]["thread"]}
    assert case_of(shared_service, third)["id"] == case["id"]


def test_an_alert_that_comes_again_is_known_however_it_is_written(shared_service: Service, bureau: str) -> None:
    first = send(shared_service, bureau, "again")
    signature = '<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignatureValue>x</SignatureValue></Signature>'
    written = '<?xml version="1.0" encoding="gbk"?>\n\n' + alert(identifier="again", sent=SENT)
    again = shared_service.call("POST", "/cap", written.encode("gbk"), bureau, Content_Type="text/xml")
    assert (again.status, again.body["id"]) == (200, first.body["id"])
    assert send(shared_service, bureau, "again", INFO.replace("橙色", "红色")).status == 409
    assert send(shared_service, bureau, "signed", INFO + signature).status == 202


def test_a_test_message_is_answered_and_recorded_as_what_it_is(shared_service: Service, bureau: str) -> None:
    answer = send(shared_service, bureau, "test-1", status="Test")
    assert (answer.status, answer.body["cap"]["status"]) == (202, "Test")
    case = case_of(shared_service, answer)
    assert (case["status"], case["type"], case["work_orders"]) == ("void", "emergency.exercise", [])


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (alert(scope=None), "body"),
        ("<!DOCTYPE alert>" + alert(), "body"),
        ("no xml", "body"),
        (alert(msgType="Ack"), "msgType"),
        (alert(sent="1999-01-01T00:00:00Z"), "occurred_at"),
    ],
)
def test_refusals_are_problems_that_say_where(shared_service: Service, bureau: str, text: str, field: str) -> None:
    answer = shared_service.call("POST", "/cap", text.encode(), bureau)
    assert answer.status == 422, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.body["errors"][0]["field"] == field
    assert ("offset" in answer.body) == (field == "body")


def test_only_who_may_post_alerts_is_let_in(shared_service: Service) -> None:
    assert send(shared_service, "", "nobody").status == 401
    grid = shared_service.key("source", "cap-grid", domains="grid")
    assert send(shared_service, grid, "elsewhere").status == 403
    system = shared_service.key("system", "cap-system")
    assert send(shared_service, system, "reader").status == 403
    assert send(shared_service, grid, "large", f"<note>{'x' * 1_100_000}</note>").status == 413
