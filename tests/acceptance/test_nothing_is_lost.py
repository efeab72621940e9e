"""Any process is killed, or the broker wiped, in the middle of 3,000 events: every acknowledged one is handled once."""

import itertools
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
import redis
from crowd import all_moved_on, each_delivered, event, post_until_answered
from postgres import both_stores, only_sqlite
from serving import Receiver, Service

pytestmark = both_stores

EVENTS, BATCH = 3_000, 50


def _part(service: Service, word: str) -> int:
    """The process id of one child of this installation's supervisor, once it has started it."""
    assert service.process is not None
    ends = time.monotonic() + 30
    while True:
        found = subprocess.run(["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True)
        rows = [line.split(None, 2) for line in found.stdout.splitlines()[1:]]
        mine = [int(pid) for pid, ppid, args in rows if int(ppid) == service.process.pid and word in args]
        if mine:
            return mine[0]
        assert time.monotonic() < ends, service.log()[-2000:]
        time.sleep(0.1)


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
            except (OSError, HTTPException, redis.ConnectionError):
                continue  # it was down already

    breaker = threading.Thread(target=break_things)
    breaker.start()
    try:
        for start in range(0, EVENTS, BATCH):
            acknowledged |= post_until_answered(service, range(start, start + BATCH))
    finally:
        done.set()
        breaker.join()
    assert len(acknowledged) == EVENTS
    all_moved_on(service)
    check = service.command("check", "--store")
    assert check.returncode == 0, check.stdout
    assert f"events: {EVENTS}" in check.stdout.splitlines()
    assert f"cases: {EVENTS}" in check.stdout.splitlines()
    each_delivered(service, receiver)


@only_sqlite
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_restart_goes_on_where_it_was(new_service: Any, receiver: Receiver, how: int) -> None:
    service: Service = new_service()
    service.start()
    service.post("/api/v1/endpoints", {"name": "all", "url": receiver.url})
    acknowledged = {
        each for start in range(0, 1000, 250) for each in post_until_answered(service, range(start, start + 250))
    }
    service.stop(how)
    service.start()
    all_moved_on(service)
    assert f"cases: {len(acknowledged)}" in service.command("check", "--store").stdout.splitlines()
    each_delivered(service, receiver)


@only_sqlite
def test_without_a_broker_events_are_taken_and_dispatched_when_it_is_back(new_service: Any, receiver: Receiver) -> None:
    service: Service = new_service()
    service.start()
    service.post("/api/v1/endpoints", {"name": "all", "url": receiver.url})
    pid = _part(service, "valkey-server")
    os.kill(pid, signal.SIGSTOP)
    try:
        assert service.call("POST", "/api/v1/events", event(1)).status == 202
        assert service.get("/readyz")["status"] == "degraded"
    finally:
        os.kill(pid, signal.SIGCONT)
    receiver.wait("work_order.dispatched", seconds=20)
