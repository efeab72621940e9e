"""A batch is many reports in one request: each stands alone, whatever the others are like."""

import json
from typing import Any

import pytest
from postgres import both_stores
from serving import Answer, Service

pytestmark = both_stores

BATCH = "/api/v1/events/batch"
MIB = 1024 * 1024


def event(id_: str, **changes: Any) -> dict[str, Any]:
    return {
        "source_event_id": id_,
        "domain": "grid",
        "title": "路灯不亮",
        "occurred_at": "2026-11-20T08:00:00+08:00",
        "location": {"lng": 116.1222, "lat": 24.2886, "datum": "gcj02"},
        **changes,
    }


def post_lines(service: Service, text: str | bytes, key: str | None = None, more: str = "") -> Answer:
    body = text.encode() if isinstance(text, str) else text
    return service.call("POST", BATCH, body, key, Content_Type=f"application/x-ndjson{more}")


def outcomes(answer: Answer) -> list[str]:
    assert answer.status == 200, answer
    assert [result["index"] for result in answer.body["results"]] == list(range(len(answer.body["results"])))
    found = [result["outcome"] for result in answer.body["results"]]
    assert [answer.body[name] for name in ("accepted", "duplicate", "rejected")] == [
        found.count(name) for name in ("accepted", "duplicate", "rejected")
    ]
    return found


MIXED = [
    event("m-1"),
    event("m-2", grade=9),
    event("m-3", domain="gird"),
    "no event",
    None,
    event("m-0"),
    event("m-1"),
    event("m-1", title="another"),
    event("m-4", location={"lng": 24.2886, "lat": 116.1222}),
    event("m-5"),
]
EXPECTED = ["accepted", *["rejected"] * 4, "duplicate", "duplicate", "rejected", "rejected", "accepted"]


@pytest.mark.parametrize("form", ["array", "lines"])
def test_each_item_stands_alone(shared_service: Service, form: str) -> None:
    source = shared_service.key("source", f"batcher-{form}")
    before = shared_service.post("/api/v1/events", event("m-0"), source)
    if form == "array":
        answer = shared_service.call("POST", BATCH, MIXED, source)
    else:
        answer = post_lines(shared_service, "\n".join(map(json.dumps, MIXED)), source)
    assert outcomes(answer) == EXPECTED
    results = answer.body["results"]
    assert results[5]["id"] == before["id"]
    assert results[6]["id"] == results[0]["id"]
    fields = {index: results[index]["problem"]["errors"][0]["field"] for index in (1, 2, 3, 4, 8)}
    assert fields == {1: "grade", 2: "domain", 3: "body", 4: "body", 8: "location"}
    assert (results[7]["problem"]["status"], results[7]["id"]) == (409, results[0]["id"])
    kept = {each["source_event_id"] for each in shared_service.get("/api/v1/events?limit=500", source)["items"]}
    assert kept == {"m-0", "m-1", "m-5"}


def test_same_id_twice_in_one_batch_is_one_accepted_and_one_duplicate(shared_service: Service) -> None:
    answer = shared_service.call("POST", BATCH, [event("in-one-batch"), event("in-one-batch")])
    assert outcomes(answer) == ["accepted", "duplicate"]
    assert len({result["id"] for result in answer.body["results"]}) == 1


def test_whole_batch_again_is_all_duplicates_with_the_same_ids(shared_service: Service) -> None:
    batch = [event(f"again-{number}") for number in range(300)]
    first, second = (shared_service.call("POST", BATCH, batch) for _ in range(2))
    assert outcomes(first) == ["accepted"] * 300
    assert outcomes(second) == ["duplicate"] * 300
    assert [each["id"] for each in first.body["results"]] == [each["id"] for each in second.body["results"]]


def test_broken_line_costs_only_itself(shared_service: Service) -> None:
    good = [json.dumps(event(f"line-{number}"), ensure_ascii=False).encode() for number in range(4)]
    broken = [b"{", b"\xff\xfe", b'{"title": NaN}', b"[" * 5_000, json.dumps(event("s", title="\ud800")).encode()]
    answer = post_lines(shared_service, b"\n".join([good[0], *broken, good[1], good[2], b"\0", good[3]]))
    assert outcomes(answer) == ["accepted", *["rejected"] * 5, "accepted", "accepted", "rejected", "accepted"]
    problems = [each["problem"] for each in answer.body["results"] if each["outcome"] == "rejected"]
    assert {error["field"] for problem in problems for error in problem["errors"]} == {"body"}


def test_item_with_a_nul_character_costs_only_itself(shared_service: Service) -> None:
    answer = shared_service.call("POST", BATCH, [event("nul-1"), event("nul-2", title="a\0b"), event("nul-3")])
    assert outcomes(answer) == ["accepted", "rejected", "accepted"]


def test_blank_lines_and_line_ends_of_any_kind_are_no_events(shared_service: Service) -> None:
    lines = f"\r\n\n{json.dumps(event('crlf-1'))}\r\n   \n{json.dumps(event('crlf-2'))}\n\n"
    assert outcomes(post_lines(shared_service, lines)) == ["accepted", "accepted"]


def test_charset_beside_the_content_type_changes_nothing(shared_service: Service) -> None:
    answer = post_lines(shared_service, json.dumps(event("charset")), more="; charset=utf-8")
    assert outcomes(answer) == ["accepted"]


def test_empty_batch_is_an_empty_answer(shared_service: Service) -> None:
    empty = {"accepted": 0, "duplicate": 0, "rejected": 0, "results": []}
    assert shared_service.call("POST", BATCH, []).body == empty
    assert post_lines(shared_service, "").body == empty
    assert post_lines(shared_service, "\n\n").body == empty


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b'"x"', b"[{]", b"[NaN]", json.dumps(event("x")).encode()])
def test_body_that_is_no_array_is_refused_as_a_whole(shared_service: Service, body: bytes) -> None:
    answer = shared_service.call("POST", BATCH, body)
    assert answer.status == 422
    assert [error["field"] for error in answer.body["errors"]] == ["body"]
    assert answer.body["errors"][0]["remedy"]


def test_source_is_refused_what_is_outside_its_domains_item_by_item(shared_service: Service) -> None:
    source = shared_service.key("source", "water-only", domains="water")
    answer = shared_service.call("POST", BATCH, [event("w-1", domain="water"), event("w-2")], source)
    assert outcomes(answer) == ["accepted", "rejected"]
    assert answer.body["results"][1]["problem"]["status"] == 403


def test_ten_thousand_are_taken_and_one_more_is_not(shared_service: Service) -> None:
    source = shared_service.key("source", "bulk")
    many = [event(f"bulk-{number}") for number in range(10_001)]
    refused = shared_service.call("POST", BATCH, many, source)
    assert refused.status == 422
    assert "10000" in refused.body["errors"][0]["remedy"]
    assert shared_service.get("/api/v1/events", source)["items"] == []
    taken = post_lines(shared_service, "\n".join(map(json.dumps, many[1:])), source)
    assert outcomes(taken) == ["accepted"] * 10_000
    assert len({result["id"] for result in taken.body["results"]}) == 10_000


@pytest.mark.parametrize("over", [0, 1])
def test_batch_may_have_sixteen_mebibytes_and_no_byte_more(shared_service: Service, over: int) -> None:
    start = json.dumps([event(f"large-{over}")]).encode()
    answer = shared_service.call("POST", BATCH, start + b" " * (16 * MIB + over - len(start)))
    if over:
        assert (answer.status, answer.headers["content-type"]) == (413, "application/problem+json")
        assert "16 MiB" in answer.body["detail"]
    else:
        assert outcomes(answer) == ["accepted"]
