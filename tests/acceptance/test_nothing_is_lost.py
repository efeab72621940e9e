"""Any process is killed, or the broker wiped, in the middle of 3,000 events: every acknowledged one is handled once."""

import itertools
import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from postgres import both_stores, only_sqlite
from serving import Receiver, Service

pytestmark = both_stores

EVENTS, BATCH = 3_000, 50


def _part(service: Service, word: str) -> int:
    """The process id of one child of this installation's supervisor."""
    assert service.process is not None
    found = subprocess.run(
        ["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    mine = [line.split(None, 2) for line in found[1:]]
    return next(int(pid) for pid, ppid, args in mine if int(ppid) == service.process.pid and word in args)


def _kill(word: str) -> Callable[[Service], None]:
    return lambda service: os.kill(_part(service, word), signal.SIGKILL)


def _wipe(service: Service) -> None:
    redis.Redis(unix_socket_path=str(next(Path(service.data, "broker").glob("*.sock")))).flushall()


def _freeze(word: str, seconds: float) -> Callable[[Service], None]:
    def freeze(service: Service) -> None:
        pid = _part(service, word)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)

    return freeze


def _kill_api(service: Service) -> None:
    service.call("GET", "/healthz")  # raises OSError where it has not come back yet: nobody is killed for ever
    _kill("citybrain serve")(service)


FAULTS: dict[str, Callable[[Service], None]] = {
    "api killed": _kill_api,
    "worker killed": _kill("citybrain work"),
    "patrol killed": _kill("citybrain patrol"),
    "broker killed": _kill("valkey-server"),
    "broker wiped": _wipe,
    "worker frozen": _freeze("citybrain work", 2.0),
}


def test_3000_events_survive_every_fault(new_service: Any, receiver: Receiver) -> None:
    service: Service = new_service()
    service.start()
    service.post("/api/v1/endpoints", {"name": "all", "url": receiver.url})
    acknowledged: set[str] = set()
    faults = itertools.cycle(FAULTS.items())
    done = threading.Event()

    def break_things() -> None:
        while not done.wait(1.2):
            _, fault = next(faults)
            try:
                fault(service)
            except (StopIteration, OSError, redis.ConnectionError):
                continue  # it was down already

    breaker = threading.Thread(target=break_things)
    breaker.start()
    try:
        for start in range(0, EVENTS, BATCH):
            acknowledged |= _post_until_answered(service, range(start, start + BATCH))
    finally:
        done.set()
        breaker.join()
    assert len(acknowledged) == EVENTS
    _all_moved_on(service)
    check = service.command("check", "--store")
    assert check.returncode == 0, check.stdout
    assert f"events: {EVENTS}" in check.stdout.splitlines()
    assert f"cases: {EVENTS}" in check.stdout.splitlines()
    _each_delivered(service, receiver)


@only_sqlite
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_restart_goes_on_where_it_was(new_service: Any, receiver: Receiver, how: int) -> None:
    service: Service = new_service()
    service.start()
    service.post("/api/v1/endpoints", {"name": "all", "url": receiver.url})
    acknowledged = {
        each for start in range(0, 1000, 250) for each in _post_until_answered(service, range(start, start + 250))
    }
    service.stop(how)
    service.start()
    _all_moved_on(service)
    assert f"cases: {len(acknowledged)}" in service.command("check", "--store").stdout.splitlines()
    _each_delivered(service, receiver)


@only_sqlite
def test_without_a_broker_events_are_taken_and_dispatched_when_it_is_back(new_service: Any, receiver: Receiver) -> None:
    service: Service = new_service()
    service.start()
    service.post("/api/v1/endpoints", {"name": "all", "url": receiver.url})
    pid = _part(service, "valkey-server")
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        answer = service.call("POST", "/api/v1/events", _event(1))
        assert answer.status == 202
        assert time.monotonic() - began < 2
        assert service.get("/readyz")["status"] == "degraded"
    finally:
        os.kill(pid, signal.SIGCONT)
    receiver.wait("work_order.dispatched", seconds=20)


def _event(number: int) -> dict[str, Any]:
    lng, lat = 116.10 + (number % 60) * 0.0005, 24.27 + (number // 60) * 0.0005
    return {
        "source_event_id": f"n-{number}",
        "domain": ("grid", "fire", "water", "environment", "emergency")[number % 5],
        "title": f"第{number}号上报",
        "occurred_at": "2026-11-20T08:00:00+08:00",
        "location": {"lng": lng, "lat": lat, "datum": "wgs84"},
        "type": ("m06001", "fire.building_fire", None, None, None)[number % 5],
    }


def _post_until_answered(service: Service, numbers: range) -> set[str]:
    """As a good client does: the same ids again until the service has said yes."""
    body = json.dumps([_event(number) for number in numbers]).encode()
    ends = time.monotonic() + 60
    while True:
        try:
            answer = service.call("POST", "/api/v1/events/batch", body)
            if answer.status == 200:
                assert answer.body["rejected"] == 0, answer.body
                return {result["id"] for result in answer.body["results"]}
        except OSError:
            pass  # refused, reset, half an answer: not acknowledged
        assert time.monotonic() < ends, service.log()[-3000:]
        time.sleep(0.1)


def _all_moved_on(service: Service, seconds: float = 60) -> None:
    service.until("/api/v1/queues", lambda rows: not sum(row["waiting"] + row["quarantined"] for row in rows), seconds)
    pending = "/api/v1/deliveries?status=pending&limit=1"
    service.until(pending, lambda page: not page["items"], seconds)


def _each_delivered(service: Service, receiver: Receiver) -> None:
    """Every case with a work order reached the receiver; a message that came twice came with the same id."""
    messages = [(message.headers["webhook-id"], message.json) for message in receiver.of_type("work_order.dispatched")]
    orders = Counter(message["data"]["work_order"]["id"] for _, message in dict(messages).items())
    assert orders
    assert set(orders.values()) == {1}
    failed = service.get("/api/v1/deliveries?status=failed")["items"]
    assert failed == []
