"""POST /cloudevents in its three content modes ends in the same intake as POST /api/v1/events, with its answers."""

import json
from typing import Any

import pytest
from serving import Answer, Service

DOOR = "/cloudevents"
STRUCTURED, BATCHED = "application/cloudevents+json", "application/cloudevents-batch+json"
MIB = 1024 * 1024
DATA = {"domain": "grid", "type": "m06001", "title": "河边私搭乱建", "location": {"lng": 116.1222, "lat": 24.2886}}


@pytest.fixture(scope="module")
def producer(shared_service: Service) -> str:
    return shared_service.key("source", "producer", domains="grid", datum="gcj02")


def cloud(id_: str, **changes: Any) -> dict[str, Any]:
    time = "2026-11-20T08:00:00+08:00"
    return {"specversion": "1.0", "id": id_, "source": "/gw/1", "type": "x.y", "time": time, "data": DATA} | changes


def send(service: Service, key: str, body: Any, content: str = STRUCTURED, **headers: str) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return service.call("POST", DOOR, data, key, Content_Type=content, **headers)


def test_one_event_in_three_modes_is_recorded_once(shared_service: Service, producer: str) -> None:
    first = send(shared_service, producer, cloud("modes"))
    assert first.status == 202, first
    assert first.body["place"]["county"]["code"] == "441402"
    headers = {"ce_specversion": "1.0", "ce_id": "modes", "ce_source": "/gw/1", "ce_type": "x.y"}
    headers["ce_time"] = "2026-11-20T08:00:00%2B08:00"
    again = send(shared_service, producer, DATA, "application/json", **headers)
    assert (again.status, again.body) == (200, first.body)
    batch = send(shared_service, producer, [cloud("modes"), cloud("modes-2")], BATCHED)
    assert [each["outcome"] for each in batch.body["results"]] == ["duplicate", "accepted"]
    assert batch.body["results"][0]["id"] == first.body["id"]
    kept = shared_service.get(f"/api/v1/events/{first.body['id']}", producer)
    assert kept["source"] == "producer"
    assert kept["attributes"]["cloudevent"]["source"] == "/gw/1"
    assert kept["location"]["datum"] == "gcj02"


def test_the_same_id_with_other_data_is_a_conflict(shared_service: Service, producer: str) -> None:
    assert send(shared_service, producer, cloud("twice")).status == 202
    other = send(shared_service, producer, cloud("twice", data=DATA | {"title": "另一件事"}))
    assert other.status == 409
    assert send(shared_service, producer, cloud("twice", source="/gw/2")).status == 202


def test_what_is_wrong_with_an_item_is_said_of_it_alone(shared_service: Service, producer: str) -> None:
    items = [cloud("good"), cloud("old", specversion="0.3"), 7, cloud("nowhere", data={"domain": "grid"})]
    answer = send(shared_service, producer, items, BATCHED)
    assert answer.status == 200, answer
    assert (answer.body["accepted"], answer.body["rejected"]) == (1, 3)
    problems = [each["problem"] for each in answer.body["results"][1:]]
    assert [each["status"] for each in problems] == [422, 422, 422]
    assert problems[0]["errors"][0]["field"] == "specversion"


def test_an_empty_batch_is_no_mistake(shared_service: Service, producer: str) -> None:
    """Binding 3.3.2: the batch MAY be empty."""
    assert send(shared_service, producer, [], BATCHED).body["results"] == []


@pytest.mark.parametrize(
    ("body", "content", "status"),
    [
        (b"{", STRUCTURED, 422),
        (b"{}", "application/json", 422),  # no ce- headers at all
        (b"{}", "application/cloudevents+avro", 415),
        (b"x" * (MIB + 1), STRUCTURED, 413),
        (cloud("w", type="gov.meizhou.fire.building_fire", data={"location": DATA["location"]}), STRUCTURED, 403),
    ],
)
def test_refusals_are_problems(shared_service: Service, producer: str, body: Any, content: str, status: int) -> None:
    answer = send(shared_service, producer, body, content)
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"


def test_only_who_may_post_is_let_in(shared_service: Service) -> None:
    assert send(shared_service, "", cloud("nobody")).status == 401
    reader = shared_service.key("auditor", "cloud-reader")
    assert send(shared_service, reader, cloud("nobody"), "application/json").status == 403


def test_a_batch_may_be_larger_than_a_single_event(shared_service: Service, producer: str) -> None:
    items = [cloud(f"large-{n}", data=DATA | {"description": "大" * 9_000}) for n in range(60)]
    assert len(json.dumps(items, ensure_ascii=False).encode()) > MIB
    answer = send(shared_service, producer, items, BATCHED)
    assert answer.body["accepted"] == 60
