"""Endpoints: who may be one, what is sent to it and how it is signed; nothing is lost or skipped while one is away."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

import pytest
from serving import Answer, Receiver, Service, wait_until
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from citybrain.clock import now_ms
from citybrain.dispatch.endpoint import parse_change
from citybrain.problem import Problem

ENDPOINTS = "/api/v1/endpoints"
NUMBERS, KINDS = count(), count()
POSTPONE = "UPDATE deliveries SET due_at = ? WHERE endpoint_id = ? AND status = 'pending' AND lease_until = 0"
CLAIMED = "SELECT count(*) FROM deliveries WHERE endpoint_id = ? AND status = 'pending' AND lease_until > 0"


@pytest.fixture
def kind(service: Service) -> Iterator[str]:
    """An event type that no other test's endpoint asks for; endpoints for it are deleted in the end."""
    kind = service.get("/api/v1/types?domain=grid")["items"][next(KINDS)]["code"]
    yield kind
    for each in service.get(f"{ENDPOINTS}?limit=500")["items"]:
        if each["types"] == [kind]:
            service.call("DELETE", f"{ENDPOINTS}/{each['id']}")


def create(service: Service, url: str, kind: str, **more: Any) -> dict[str, Any]:
    body = {"name": f"platform-{next(NUMBERS)}", "url": url, "types": [kind], **more}
    made: dict[str, Any] = service.post(ENDPOINTS, body)
    return made


def report(service: Service, kind: str) -> dict[str, Any]:
    """A new case of that type, somewhere else than the last one."""
    number = next(NUMBERS)
    event = {
        "source_event_id": f"for-endpoints-{number}",
        "domain": "grid",
        "type": kind,
        "title": f"第{number}件",
        "occurred_at": "2026-11-20T08:00:00+08:00",
        "location": {"lng": 115.9 + number % 40 / 100, "lat": 24.1 + number // 40 / 100, "datum": "gcj02"},
    }
    id_ = service.post("/api/v1/events", event)["id"]
    case_id = service.until(f"/api/v1/events/{id_}", lambda seen: seen["case_id"])["case_id"]
    case: dict[str, Any] = service.get(f"/api/v1/cases/{case_id}")
    assert case["status"] == "dispatched", case
    return case


def supervise(service: Service, case_id: str, reason: str) -> None:
    version = service.get(f"/api/v1/cases/{case_id}")["version"]
    service.post(f"/api/v1/cases/{case_id}/supervise", {"version": version, "reason": reason})


def sent(service: Service, endpoint_id: str, **filters: str) -> list[dict[str, Any]]:
    """The endpoint's deliveries, the oldest first."""
    query = "".join(f"&{name}={value}" for name, value in filters.items())
    found: list[dict[str, Any]] = service.get(f"/api/v1/deliveries?limit=500&endpoint={endpoint_id}{query}")["items"]
    return found[::-1]


def until_sent(
    service: Service, endpoint_id: str, status: str, number: int = 1, seconds: float = 60
) -> list[dict[str, Any]]:
    path = f"/api/v1/deliveries?limit=500&endpoint={endpoint_id}&status={status}"
    found: list[dict[str, Any]] = service.until(path, lambda page: len(page["items"]) >= number, seconds)["items"]
    return found


def refused(answer: Answer, field_: str) -> dict[str, str]:
    assert answer.status == 422, answer
    assert answer.headers["content-type"] == "application/problem+json"
    errors = {error["field"]: error for error in answer.body["errors"]}
    assert field_ in errors, answer.body
    assert errors[field_]["message"]
    assert errors[field_]["remedy"]
    found: dict[str, str] = errors[field_]
    return found


def test_endpoint_is_created_shown_changed_and_deleted(service: Service) -> None:
    made = service.call("POST", ENDPOINTS, {"name": " 城管平台 ", "url": "https://example.com/hook"})
    assert made.status == 201
    endpoint = made.body
    assert endpoint["secret"].startswith("whsec_")
    path = f"{ENDPOINTS}/{endpoint['id']}"
    shown = service.get(path)
    assert shown == {name: value for name, value in endpoint.items() if name != "secret"}
    assert (shown["name"], shown["enabled"], shown["unmasked"], shown["department"]) == ("城管平台", True, False, None)
    assert (shown["domains"], shown["divisions"], shown["types"]) == ([], [], [])
    assert shown in service.get(ENDPOINTS)["items"]

    change = {"name": "城管平台二", "url": "https://example.org/", "domains": ["grid"], "divisions": ["441402"]}
    assert service.call("PATCH", path, change | {"types": ["m06001"], "department": "441402-cg"}).status == 200
    assert {name: service.get(path)[name] for name in change} == change
    emptied = service.call("PATCH", path, {"domains": None, "divisions": [], "department": None}).body
    assert (emptied["domains"], emptied["divisions"], emptied["department"]) == ([], [], None)
    assert (emptied["types"], emptied["name"]) == (["m06001"], "城管平台二")

    assert service.call("DELETE", path).status == 204
    assert service.call("GET", path).status == 404
    assert endpoint["id"] not in {each["id"] for each in service.get(ENDPOINTS)["items"]}
    for method, more in (
        ("DELETE", ""),
        ("PATCH", ""),
        ("POST", "/test"),
        ("POST", "/enable"),
        ("POST", "/rotate-secret"),
    ):
        assert service.call(method, path + more, {}).status == 404


def test_name_is_taken_once_and_free_again_after_deletion(service: Service, kind: str) -> None:
    one = create(service, "https://example.com/", kind, name="唯一")
    body = {"name": "唯一", "url": "https://example.com/", "types": [kind]}
    assert service.call("POST", ENDPOINTS, body).status == 409
    other = create(service, "https://example.com/", kind, name="另一个")
    assert service.call("PATCH", f"{ENDPOINTS}/{other['id']}", {"name": "唯一"}).status == 409
    assert service.call("PATCH", f"{ENDPOINTS}/{one['id']}", {"name": "唯一"}).status == 200
    service.call("DELETE", f"{ENDPOINTS}/{one['id']}")
    assert service.call("POST", ENDPOINTS, body).status == 201


GOOD = {"name": "新平台", "url": "https://example.com/hook"}
WRONG: list[tuple[str, Any]] = [
    *(("name", value) for value in (None, "", "  ", 5, [], "x" * 101)),
    *(
        ("url", value)
        for value in (None, "", 5, "example.com", "ftp://example.com/", "http://", "https://exa mple.com/")
    ),
    *(("url", value) for value in ("http://u:p@example.com/", "https://example.com:99999/", "http://x" + "y" * 2100)),
    *(("department", value) for value in ("441402-xx", 5, [], "")),
    *(("domains", value) for value in ("grid", ["traffic"], {})),
    *(("divisions", value) for value in ("441402", ["999999"])),
    *(("types", value) for value in ("m06001", ["m99999"])),
    *(("unmasked", value) for value in ("yes", 1, [])),
    *((name, "x") for name in ("secret", "enabled", "id", "colour")),
]


@pytest.mark.parametrize(("name", "value"), WRONG, ids=lambda value: repr(value)[:40])
def test_wrong_value_is_refused_by_its_name_and_creates_nothing(service: Service, name: str, value: Any) -> None:
    before = len(service.get(f"{ENDPOINTS}?limit=500")["items"])
    refused(service.call("POST", ENDPOINTS, GOOD | {name: value}), name)
    assert len(service.get(f"{ENDPOINTS}?limit=500")["items"]) == before


def test_what_is_wrong_in_a_list_is_named(service: Service) -> None:
    for body in ({"name": "x"}, {"name": "x", "url": None}):
        refused(service.call("POST", ENDPOINTS, body), "url")
    refused(service.call("POST", ENDPOINTS, GOOD | {"domains": ["grid", 5]}), "domains.1")
    for whole in ([], "x", None, b"", b"{", b"\xff{}"):
        assert service.call("POST", ENDPOINTS, whole).status in (400, 422)


PRIVATE = [
    *(
        "http://10.0.0.1/",
        "http://192.168.1.1/hook",
        "http://172.16.0.1:8080/",
        "http://169.254.169.254/latest/meta-data",
    ),
    *("http://[::1]:8000/", "http://[fd00::1]/", "http://[::ffff:10.0.0.1]/", "http://0.0.0.0/", "http://100.64.0.1/"),
    *("http://2130706433/", "http://0x7f.1/", "http://127.1/", "http://224.0.0.1/", "http://[fe80::1]/"),
]


def test_private_address_is_refused_by_url(service: Service, kind: str) -> None:
    made = create(service, "https://example.com/", kind)
    for url in PRIVATE:
        refused(service.call("POST", ENDPOINTS, GOOD | {"url": url}), "url")
        refused(service.call("PATCH", f"{ENDPOINTS}/{made['id']}", {"url": url}), "url")
    assert service.get(f"{ENDPOINTS}/{made['id']}")["url"] == "https://example.com/"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9301/", "http://localhost/", "http://app.localhost:8000/"])
def test_without_an_allow_list_this_machine_is_refused_and_the_remedy_names_the_list(desk: Any, url: str) -> None:
    with pytest.raises(Problem) as refusal:
        parse_change(GOOD | {"url": url}, desk.here)
    (error,) = refusal.value.errors
    assert (refusal.value.status, error.field) == (422, "url")
    assert "CITYBRAIN_WEBHOOK_ALLOW" in error.remedy


def test_secret_is_told_once_and_nowhere_else(service: Service, receiver: Receiver, kind: str) -> None:
    made = create(service, receiver.url, kind)
    path = f"{ENDPOINTS}/{made['id']}"
    service.post(f"{path}/test")
    until_sent(service, made["id"], "delivered")
    secrets = [made["secret"], service.post(f"{path}/rotate-secret")["secret"]]
    told = [service.get(path), service.get(f"{ENDPOINTS}?limit=500"), service.call("PATCH", path, {}).body]
    told += [sent(service, made["id"]), service.post(f"{path}/disable"), service.post(f"{path}/enable")]
    told += [service.log(), *(message.body.decode() for message in receiver.messages)]
    with sqlite3.connect(f"file:{service.data / 'citybrain.db'}?mode=ro", uri=True) as store:
        told += (
            store.execute("SELECT data FROM ledger").fetchall() + store.execute("SELECT data FROM stream").fetchall()
        )
    for text in map(json.dumps, told):
        assert not [secret for secret in secrets if secret.removeprefix("whsec_") in text]


def test_test_message_arrives_signed(service: Service, receiver: Receiver, kind: str) -> None:
    made = create(service, receiver.url, kind)
    delivery_id = service.post(f"{ENDPOINTS}/{made['id']}/test")["delivery_id"]
    message = receiver.wait("endpoint.test")
    Webhook(made["secret"]).verify(message.body, message.headers)
    assert message.headers["webhook-id"] == delivery_id
    assert message.headers["content-type"] == "application/json"
    assert message.json["data"]["endpoint"] == {"id": made["id"], "name": made["name"]}
    (delivery,) = until_sent(service, made["id"], "delivered")
    assert [(each["status"], each["error"]) for each in delivery["attempts"]] == [(204, None)]
    assert service.get(f"{ENDPOINTS}/{made['id']}")["health"]["succeeded_at"]
    with pytest.raises(WebhookVerificationError):
        Webhook(made["secret"]).verify(message.body + b" ", message.headers)


def test_message_that_fails_is_shown_with_its_attempts_and_sent_again_under_its_id(
    service: Service, receiver: Receiver, kind: str
) -> None:
    receiver.status = 500
    made = create(service, receiver.url, kind)
    service.post(f"{ENDPOINTS}/{made['id']}/test")
    receiver.wait("endpoint.test")
    path = f"{ENDPOINTS}/{made['id']}"
    failing = service.until(path, lambda shown: shown["health"]["failures"])
    assert failing["health"]["last_error"] == "status: answered 500"
    (delivery,) = sent(service, made["id"])
    assert (delivery["status"], delivery["attempts"][0]["status"]) == ("pending", 500)
    postpone(service, made["id"])
    receiver.status = 200
    service.post(f"/api/v1/deliveries/{delivery['id']}/retry")
    (delivered,) = until_sent(service, made["id"], "delivered")
    assert [each["status"] for each in delivered["attempts"]][-1] == 200
    assert {message.headers["webhook-id"] for message in receiver.messages} == {delivery["id"]}
    assert service.get(path)["health"]["failures"] == 0
    assert service.call("POST", f"/api/v1/deliveries/{delivery['id']}/retry").status == 409


def test_after_a_rotation_both_secrets_sign_and_after_two_all_three(
    service: Service, receiver: Receiver, kind: str
) -> None:
    made = create(service, receiver.url, kind)
    path = f"{ENDPOINTS}/{made['id']}"
    first, second = made["secret"], service.post(f"{path}/rotate-secret")["secret"]
    assert first != second
    service.post(f"{path}/test")
    message = receiver.wait("endpoint.test")
    for secret in (first, second):
        Webhook(secret).verify(message.body, message.headers)
    third = service.post(f"{path}/rotate-secret")["secret"]
    service.post(f"{path}/test")
    message = receiver.wait("endpoint.test", 2)
    for secret in (first, second, third):
        Webhook(secret).verify(message.body, message.headers)


def test_what_a_disabled_endpoint_misses_is_held_and_comes_in_order_when_it_is_enabled(
    service: Service, receiver: Receiver, kind: str
) -> None:
    made = create(service, receiver.url, kind)
    path = f"{ENDPOINTS}/{made['id']}"
    disabled = service.post(f"{path}/disable")
    assert (disabled["enabled"], disabled["disabled_because"]) == (False, "by hand")
    cases = [report(service, kind) for _ in range(2)]
    for reason in ("催办一", "催办二", "催办三"):
        for case in cases:
            supervise(service, case["id"], reason)
    held = until_sent(service, made["id"], "held", 8)
    assert {each["held_because"] for each in held} == {"disabled"}
    time.sleep(1.5)  # a round of the patrol
    assert receiver.messages == []
    assert service.post(f"{path}/enable")["enabled"] is True
    until_sent(service, made["id"], "delivered", 8)
    for case in cases:
        mine = [message.json for message in receiver.messages if message.json["data"]["case"]["id"] == case["id"]]
        assert [each["type"] for each in mine] == ["work_order.dispatched", *["work_order.supervised"] * 3]
        stamps = [each["timestamp"] for each in mine]
        assert stamps == sorted(stamps)


def test_receiver_that_is_gone_is_disabled_until_somebody_enables_it(
    service: Service, receiver: Receiver, kind: str
) -> None:
    receiver.status = 410
    made = create(service, receiver.url, kind)
    path = f"{ENDPOINTS}/{made['id']}"
    service.post(f"{path}/test")
    gone = service.until(path, lambda shown: not shown["enabled"])
    assert gone["disabled_because"] == "gone"
    report(service, kind)
    until_sent(service, made["id"], "held", 2)
    time.sleep(1.5)
    assert len(receiver.messages) == 1
    receiver.status = 204
    assert service.post(f"{path}/enable")["disabled_because"] is None
    until_sent(service, made["id"], "delivered", 2)
    ids = [message.headers["webhook-id"] for message in receiver.of_type("endpoint.test")]
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_what_a_deleted_endpoint_has_not_received_waits_for_the_next_one(
    service: Service, receiver: Receiver, kind: str
) -> None:
    made = create(service, receiver.url, kind)
    service.post(f"{ENDPOINTS}/{made['id']}/disable")
    case = report(service, kind)
    service.post(f"{ENDPOINTS}/{made['id']}/test")
    until_sent(service, made["id"], "held", 2)
    service.call("DELETE", f"{ENDPOINTS}/{made['id']}")
    waiting = service.get(f"/api/v1/deliveries?case={case['id']}")["items"]
    assert [(each["status"], each["held_because"], each["endpoint_id"]) for each in waiting] == [
        ("held", "no_endpoint", None)
    ]
    assert [(each["type"], each["status"]) for each in sent(service, made["id"])] == [("endpoint.test", "failed")]
    heir = create(service, receiver.url, kind)
    (delivery,) = until_sent(service, heir["id"], "delivered")
    assert delivery["id"] == waiting[0]["id"]
    time.sleep(0.5)
    assert [message.json["type"] for message in receiver.messages] == ["work_order.dispatched"]


def test_endpoint_gets_what_was_held_for_want_of_one_and_only_that(
    service: Service, receiver: Receiver, kind: str
) -> None:
    case = report(service, kind)
    (order,) = case["work_orders"]
    assert [(each["status"], each["held_because"]) for each in case["deliveries"]] == [("held", "no_endpoint")]
    others = [
        create(service, receiver.url, kind, divisions=["441422"]),
        create(service, receiver.url, kind, domains=["water"]),
        create(service, receiver.url, kind, department="441422-cg"),
    ]
    time.sleep(0.5)
    assert [sent(service, each["id"]) for each in others] == [[], [], []]
    mine = create(service, receiver.url, kind, department=order["department"], domains=["grid"])
    (delivery,) = until_sent(service, mine["id"], "delivered")
    assert delivery["work_order_id"] == order["id"]


def test_endpoint_of_a_department_gets_the_orders_of_those_below(
    service: Service, receiver: Receiver, kind: str
) -> None:
    known = {each["code"]: each for each in service.get("/api/v1/departments")["items"]}
    below = report(service, kind)["work_orders"][0]["department"]
    above = known[below]["parent"]
    assert above
    made = create(service, receiver.url, kind, department=above)
    (delivery,) = until_sent(service, made["id"], "delivered")
    assert delivery["department"] == below


def test_replay_sends_again_what_was_made_since_under_the_same_ids(
    service: Service, receiver: Receiver, kind: str
) -> None:
    made = create(service, receiver.url, kind)
    path = f"{ENDPOINTS}/{made['id']}"
    report(service, kind)
    first = receiver.wait("work_order.dispatched")
    until_sent(service, made["id"], "delivered", 1)
    time.sleep(1.1)
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    report(service, kind)
    second = receiver.wait("work_order.dispatched", 2)
    until_sent(service, made["id"], "delivered", 2)

    assert service.post(f"{path}/replay", {"since": since}) == {"replayed": 1}
    again = receiver.wait("work_order.dispatched", 3)
    assert (again.headers["webhook-id"], again.body) == (second.headers["webhook-id"], second.body)
    until_sent(service, made["id"], "delivered", 2)
    assert service.post(f"{path}/replay", {"since": "2000-01-01T00:00:00Z"}) == {"replayed": 2}
    receiver.wait("work_order.dispatched", 5)
    assert {message.headers["webhook-id"] for message in receiver.messages[3:]} == {
        first.headers["webhook-id"],
        second.headers["webhook-id"],
    }
    assert service.post(f"{path}/replay", {"since": "2099-01-01T00:00:00+08:00"}) == {"replayed": 0}
    for wrong in ({}, {"since": None}, {"since": "2026-11-20T08:00:00"}, {"since": "yesterday"}):
        refused(service.call("POST", f"{path}/replay", wrong), "since")


def test_replay_and_retry_hold_for_a_disabled_endpoint(service: Service, receiver: Receiver, kind: str) -> None:
    made = create(service, receiver.url, kind)
    path = f"{ENDPOINTS}/{made['id']}"
    report(service, kind)
    (delivery,) = until_sent(service, made["id"], "delivered")
    service.post(f"{path}/disable")
    assert service.post(f"{path}/replay", {"since": "2000-01-01T00:00:00Z"}) == {"replayed": 1}
    assert [each["status"] for each in sent(service, made["id"])] == ["held"]
    _set_status(service, delivery["id"], "failed")
    assert service.post(f"/api/v1/deliveries/{delivery['id']}/retry")["status"] == "held"
    time.sleep(1.5)
    assert len(receiver.messages) == 1
    service.post(f"{path}/enable")
    receiver.wait("work_order.dispatched", 2)


def test_retry_for_a_deleted_endpoint_waits_for_the_next_one(service: Service, receiver: Receiver, kind: str) -> None:
    made = create(service, receiver.url, kind)
    report(service, kind)
    (delivery,) = until_sent(service, made["id"], "delivered")
    _set_status(service, delivery["id"], "failed")
    service.call("DELETE", f"{ENDPOINTS}/{made['id']}")
    retried = service.post(f"/api/v1/deliveries/{delivery['id']}/retry")
    assert (retried["status"], retried["held_because"], retried["endpoint_id"]) == ("held", "no_endpoint", None)
    time.sleep(1.5)
    assert len(receiver.messages) == 1


def postpone(service: Service, endpoint_id: str) -> None:
    """None of its messages is on its way, nor goes again by itself."""

    def none_is_claimed() -> bool:
        with sqlite3.connect(service.data / "citybrain.db", timeout=60) as store:
            store.execute(POSTPONE, (now_ms() + 3_600_000, endpoint_id))
            return bool(store.execute(CLAIMED, (endpoint_id,)).fetchone() == (0,))

    wait_until(none_is_claimed)


def _set_status(service: Service, delivery_id: str, status: str) -> None:
    """As after three days of failing."""
    with sqlite3.connect(service.data / "citybrain.db", timeout=60) as store:
        store.execute("UPDATE deliveries SET status = ? WHERE id = ?", (status, delivery_id))


@dataclass
class Hesitant:
    """A receiver that keeps every caller waiting until `go` is set, and then answers `status`."""

    url: str = ""
    calls: int = 0
    status: int = 500
    go: threading.Event = field(default_factory=threading.Event)

    def wait(self, calls: int) -> None:
        ends = time.monotonic() + 120
        while self.calls < calls:
            assert time.monotonic() < ends, self
            time.sleep(0.02)


@pytest.fixture
def hesitant() -> Iterator[Hesitant]:
    there = Hesitant()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            there.calls += 1
            there.go.wait(10)
            self.send_response(there.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    there.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield there
    there.go.set()
    server.shutdown()


def test_endpoint_that_is_disabled_during_an_attempt_is_sent_nothing_more(
    service: Service, hesitant: Hesitant, kind: str
) -> None:
    made = create(service, hesitant.url, kind)
    service.post(f"{ENDPOINTS}/{made['id']}/test")
    hesitant.wait(1)
    service.post(f"{ENDPOINTS}/{made['id']}/disable")
    hesitant.go.set()
    service.until(f"{ENDPOINTS}/{made['id']}", lambda shown: shown["health"]["failures"] == 1)
    (delivery,) = sent(service, made["id"])
    assert (delivery["status"], delivery["held_because"], len(delivery["attempts"])) == ("held", "disabled", 1)


def test_success_after_failures_releases_nothing_to_an_endpoint_that_was_disabled_meanwhile(
    service: Service, hesitant: Hesitant, kind: str
) -> None:
    made = create(service, hesitant.url, kind)
    path = f"{ENDPOINTS}/{made['id']}"
    hesitant.go.set()
    for _ in range(2):
        service.post(f"{path}/test")
    service.until(path, lambda shown: shown["health"]["failures"] >= 2)
    postpone(service, made["id"])
    hesitant.go.clear()
    hesitant.status = 204
    calls = hesitant.calls
    first, second = (each["id"] for each in sent(service, made["id"]))
    service.post(f"/api/v1/deliveries/{first}/retry")
    hesitant.wait(calls + 1)
    service.post(f"{path}/disable")
    hesitant.go.set()
    service.until(path, lambda shown: shown["health"]["failures"] == 0)
    time.sleep(1.5)
    assert {each["id"]: each["status"] for each in sent(service, made["id"])}[second] == "held"


def test_endpoint_that_is_deleted_during_an_attempt_holds_up_nobody(
    service: Service, hesitant: Hesitant, receiver: Receiver, kind: str
) -> None:
    made = create(service, hesitant.url, kind)
    case = report(service, kind)
    hesitant.wait(1)
    service.call("DELETE", f"{ENDPOINTS}/{made['id']}")
    hesitant.go.set()
    path = f"/api/v1/deliveries?case={case['id']}"
    time.sleep(1.5)
    (delivery,) = service.get(path)["items"]
    assert (delivery["status"], delivery["held_because"], delivery["endpoint_id"]) == ("held", "no_endpoint", None)
    heir = create(service, receiver.url, kind)
    receiver.wait("work_order.dispatched")
    (delivered,) = until_sent(service, heir["id"], "delivered")
    assert delivered["id"] == delivery["id"]


def test_nothing_unforeseen_is_in_the_log(service: Service) -> None:
    assert "Traceback" not in service.log()
    assert " ended (" not in service.log()
