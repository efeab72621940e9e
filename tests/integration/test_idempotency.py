"""Sources send twice, on purpose and by accident: the same report is one event, another under its id is a conflict."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from postgres import both_stores
from serving import Service

pytestmark = both_stores

EVENTS = "/api/v1/events"


def event(id_: str, **changes: Any) -> dict[str, Any]:
    return {
        "source_event_id": id_,
        "domain": "grid",
        "title": "路灯不亮",
        "occurred_at": "2026-11-20T08:00:00+08:00",
        "location": {"lng": 116, "lat": 24.25, "datum": "gcj02"},
        "attributes": {"photos": 2, "tags": ["夜间", "主干道"]},
        **changes,
    }


def count(service: Service, source: str) -> int:
    return len(service.get(f"{EVENTS}?limit=500", source)["items"])


def test_same_report_again_gets_the_first_answer(shared_service: Service) -> None:
    source = shared_service.key("source", "phone-1")
    first = shared_service.call("POST", EVENTS, event("a-1"), source)
    assert first.status == 202
    shared_service.until(f"{EVENTS}/{first.body['id']}", lambda seen: seen["state"] != "received")
    again = shared_service.call("POST", EVENTS, event("a-1"), source)
    assert (again.status, again.body) == (200, first.body)
    assert count(shared_service, source) == 1


SAYS_THE_SAME = {
    "keys in another order": json.dumps(dict(reversed(event("b-1").items()))),
    "inner keys in another order": json.dumps(event("b-1", location={"datum": "gcj02", "lat": 24.25, "lng": 116})),
    "116.0 for 116": json.dumps(event("b-1", location={"lng": 116.0, "lat": 24.25, "datum": "gcj02"})),
    "2.425e1 for 24.25": json.dumps(event("b-1")).replace("24.25", "2.425e1"),
    "2.0 for 2": json.dumps(event("b-1")).replace('"photos": 2', '"photos": 2.0'),
    "escapes for letters": json.dumps(event("b-1"), ensure_ascii=True),
    "letters for escapes": json.dumps(event("b-1"), ensure_ascii=False),
    "indented": json.dumps(event("b-1"), indent=4),
}


@pytest.mark.parametrize("body", SAYS_THE_SAME.values(), ids=SAYS_THE_SAME.keys())
def test_another_spelling_of_the_same_is_the_same(shared_service: Service, body: str) -> None:
    first = shared_service.post(EVENTS, event("b-1"))
    again = shared_service.call("POST", EVENTS, body.encode())
    assert (again.status, again.body["id"]) == (200, first["id"])


SAYS_OTHERWISE: dict[str, dict[str, Any]] = {
    "another title": {"title": "路灯不亮了"},
    "another order of a list": {"attributes": {"photos": 2, "tags": ["主干道", "夜间"]}},
    "a text for a number": {"attributes": {"photos": "2", "tags": ["夜间", "主干道"]}},
    "true for one": {"attributes": {"photos": True, "tags": ["夜间", "主干道"]}},
    "one field more": {"grade": 4},
    "another second": {"occurred_at": "2026-11-20T08:00:01+08:00"},
    "a metre to the east": {"location": {"lng": 116.00001, "lat": 24.25, "datum": "gcj02"}},
    "another domain": {"domain": "water"},
}


@pytest.mark.parametrize("changes", SAYS_OTHERWISE.values(), ids=SAYS_OTHERWISE.keys())
def test_another_report_under_the_same_id_is_a_conflict(shared_service: Service, changes: dict[str, Any]) -> None:
    first = shared_service.post(EVENTS, event("c-1"))
    answer = shared_service.call("POST", EVENTS, event("c-1", **changes))
    assert (answer.status, answer.body["id"]) == (409, first["id"])
    assert answer.headers["content-type"] == "application/problem+json"
    assert shared_service.get(f"{EVENTS}/{first['id']}")["title"] == "路灯不亮"


def test_conflict_leaves_the_way_free_for_the_true_report(shared_service: Service) -> None:
    source = shared_service.key("source", "phone-2")
    assert shared_service.call("POST", EVENTS, event("d-1"), source).status == 202
    assert shared_service.call("POST", EVENTS, event("d-1", title="x"), source).status == 409
    assert shared_service.call("POST", EVENTS, event("d-1"), source).status == 200
    assert count(shared_service, source) == 1


def test_same_id_of_another_source_is_another_event(shared_service: Service) -> None:
    one, two = (shared_service.key("source", name) for name in ("phone-3", "phone-4"))
    first = shared_service.call("POST", EVENTS, event("e-1"), one)
    second = shared_service.call("POST", EVENTS, event("e-1", title="另一件事"), two)
    assert (first.status, second.status) == (202, 202)
    assert first.body["id"] != second.body["id"]


def test_refused_report_does_not_use_its_id_up(shared_service: Service) -> None:
    assert shared_service.call("POST", EVENTS, event("f-1", grade=9)).status == 422
    assert shared_service.call("POST", EVENTS, event("f-1", grade=4)).status == 202


def test_of_fifty_at_once_one_is_new(shared_service: Service) -> None:
    source = shared_service.key("source", "phone-5")
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: shared_service.call("POST", EVENTS, event("g-1"), source), range(50)))
    assert sorted(answer.status for answer in answers) == [200] * 49 + [202]
    assert len({answer.body["id"] for answer in answers}) == 1
    assert count(shared_service, source) == 1


def test_of_fifty_different_at_once_one_is_kept_and_all_others_are_told(shared_service: Service) -> None:
    source = shared_service.key("source", "phone-6")

    def post(number: int) -> int:
        return shared_service.call("POST", EVENTS, event("h-1", title=f"第{number}份"), source).status

    with ThreadPoolExecutor(50) as pool:
        statuses = sorted(pool.map(post, range(50)))
    assert statuses == [202] + [409] * 49
    assert count(shared_service, source) == 1


def test_ids_are_remembered_over_a_restart(shared_service: Service) -> None:
    first = shared_service.post(EVENTS, event("i-1"))
    shared_service.stop()
    shared_service.start("--workers", "1")
    again = shared_service.call("POST", EVENTS, event("i-1"))
    assert (again.status, again.body) == (200, first)
    assert shared_service.call("POST", EVENTS, event("i-1", title="x")).status == 409
