"""Photos as evidence: named by whoever acts or answers, of the same case, and shown to whoever verifies."""

from typing import Any

import pytest
from desk import Desk
from fastapi.testclient import TestClient
from postgres import both_stores
from steps import completed, with_a_fact_to_contest

from citybrain.app import build
from citybrain.casework.api import list_verifications
from citybrain.casework.attachment_api import case_attachments
from citybrain.casework.case import ANSWERS
from citybrain.clock import rfc3339
from citybrain.keys import create_key
from citybrain.problem import Problem
from citybrain.store.appeal_tables import appeals
from citybrain.store.ledger_tables import ledger
from citybrain.store.tables import cases, events, feedbacks

pytestmark = both_stores


def test_a_photo_of_another_case_is_refused_by_name_wherever_it_is_given(desk: Desk) -> None:
    other = desk.photo(desk.open().id)
    case = completed(desk)
    own = desk.photo(case.id)
    appeal = {"reason": "许可延误", **with_a_fact_to_contest(desk, case)}
    before = desk.rows(ledger), desk.rows(cases)
    asked: list[tuple[str, dict[str, Any]]] = [
        ("verify", {"passed": True}),
        ("verify", {"passed": False, "reason": "没有修好"}),
        ("rework", {"reason": "没有修好"}),
        ("appeal", appeal),
    ]
    for action, body in asked:
        problem = desk.refused(case.id, action, attachments=[own, other, "photo-1"], **body)
        assert problem.status == 422
        assert [each.field for each in problem.errors] == ["attachments.1", "attachments.2"]
        assert [name in each.message for name, each in zip((other, "photo-1"), problem.errors, strict=True)] == [1, 1]
    for answer in ANSWERS:
        with pytest.raises(Problem, match=r"attachments\.0: 'photo-1' is no photo of this case"):
            desk.answer(desk.lead(case.id).id, answer, attachments=["photo-1"])
    answer = desk.act_on_many(
        {"id": case.id, "version": desk.case(case.id).version, "action": "verify", "passed": True,
         "attachments": [other]},
    )["results"][0]  # fmt: skip
    assert (answer["outcome"], answer["problem"]["errors"][0]["field"]) == ("refused", "attachments.0")
    assert (desk.rows(ledger), desk.rows(cases)) == before
    assert desk.rows(appeals) == []
    assert len(desk.rows(feedbacks)) == 1  # the report of completion


def test_a_photo_of_an_event_goes_with_it_to_another_case(desk: Desk) -> None:
    """Taken by whoever reported it, it is evidence of the case that the event is in."""
    case, other = desk.open(), completed(desk)
    (event,) = desk.rows(events, events.c.case_id == case.id)
    photo = desk.photo(event.id, "before", of="event_id")
    desk.answer(desk.lead(case.id).id, "progress", attachments=[photo])
    assert desk.refused(other.id, "verify", passed=True, attachments=[photo]).status == 422
    desk.act(case.id, "merge", into=other.id)
    desk.act(other.id, "verify", passed=True, attachments=[photo])
    assert desk.last_entry(other.id)["attachments"] == [photo]


def test_a_photo_of_a_case_goes_with_it_into_another_and_back_when_that_is_split_off(desk: Desk) -> None:
    def seen(case_id: str) -> list[tuple[str, str | None]]:
        return [(each["id"], each["came_from"]) for each in case_attachments(case_id, desk.key, desk.here)["items"]]

    away, middle, case = desk.open(), desk.open(), desk.open()
    own, photo = desk.photo(case.id), desk.photo(away.id)
    (event,) = desk.rows(events, events.c.case_id == away.id)
    desk.act(away.id, "merge", into=middle.id)
    desk.act(middle.id, "merge", into=case.id)
    assert seen(case.id) == [(own, None), (photo, away.number)]
    assert desk.entries(middle.id, "merged")[0]["attachments"] == [photo]
    desk.answer(desk.lead(case.id).id, "completed", attachments=[photo])
    (task,) = list_verifications(desk.key, desk.here)["items"]
    assert {each["id"] for each in task["photos"]["after"]} == {own, photo}
    with pytest.raises(Problem, match=f"merged into {middle.id}: add the photo there"):
        desk.photo(away.id)
    desk.act(case.id, "split", events=[event.id])
    again = desk.event(event.id).case_id
    assert (seen(case.id), seen(again)) == ([(own, None)], [(photo, away.number)])
    assert desk.refused(case.id, "verify", passed=True, attachments=[photo]).status == 422
    assert desk.broken() == []


def test_a_task_of_verification_shows_the_photos_from_before_and_after(desk: Desk) -> None:
    case, other = completed(desk), completed(desk)
    (event,) = desk.rows(events, events.c.case_id == case.id)
    before = desk.photo(event.id, "before", of="event_id")
    desk.pass_time(minutes=5)
    after = [desk.photo(case.id) for _ in range(14)]
    desk.photo(desk.open().id)  # of a case that is not completed
    tasks = {each["id"]: each for each in list_verifications(desk.key, desk.here)["items"]}
    assert tasks[other.id]["photos"] == {"before": [], "after": []}
    photos = tasks[case.id]["photos"]
    assert [each["id"] for each in photos["before"]] == [before]
    assert [each["id"] for each in photos["after"]] == after[:1:-1]  # the newest twelve
    told = photos["after"][0]
    assert (told["actor"], told["received_at"]) == ("liu", rfc3339(desk.now, desk.here.city.zone))
    assert told["links"]["thumbnail"] == f"/api/v1/attachments/{after[-1]}/thumbnail"

    with desk.here.store.write() as tx:
        key = create_key(tx, "li", "worker", desk.now, "test", divisions=["441402"])
    browser = TestClient(build(desk.here))
    browser.post("/api/v1/session", json={"key": key}).raise_for_status()
    page = browser.get("/report").text
    for each in (before, after[-1]):
        assert f'<a href="/api/v1/attachments/{each}"><img src="/api/v1/attachments/{each}/thumbnail"' in page
        assert browser.get(f"/api/v1/attachments/{each}/thumbnail").headers["content-type"] == "image/jpeg"
    assert "处置前" in page
    assert "处置后照片，" in page
    assert '，liu"' in page
