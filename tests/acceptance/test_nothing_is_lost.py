"""An installation is stopped, or killed with its broker, in the middle of its work: every acknowledged event is handled
once. What else can break, one process at a time and all together, is `make faults`."""

import os
import signal
import subprocess
import time
from typing import Any

from crowd import all_moved_on, each_delivered, event, post_until_answered
from serving import Receiver, Service


def _part(service: Service, word: str) -> int:
    """The process id of one child of this installation's supervisor, once it has started it."""
    assert service.process is not None
    ends = time.monotonic() + 120
    while True:
        found = subprocess.run(["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True)
        rows = [line.split(None, 2) for line in found.stdout.splitlines()[1:]]
        mine = [int(pid) for pid, ppid, args in rows if int(ppid) == service.process.pid and word in args]
        if mine:
            return mine[0]
        assert time.monotonic() < ends, service.log()[-2000:]
        time.sleep(0.1)


def test_restarts_go_on_where_it_was(new_service: Any, receiver: Receiver) -> None:
    service: Service = new_service()
    service.start()
    service.post("/api/v1/endpoints", {"name": "all", "url": receiver.url})
    acknowledged: set[str] = set()
    for how in (signal.SIGKILL, signal.SIGTERM):
        for _ in range(2):
            acknowledged |= post_until_answered(service, range(len(acknowledged), len(acknowledged) + 250))
        service.stop(how)
        service.start()
    all_moved_on(service)
    assert f"cases: {len(acknowledged)}" in service.command("check", "--store").stdout.splitlines()
    each_delivered(service, receiver)


def test_without_a_broker_events_are_taken_and_dispatched_when_it_is_back(new_service: Any, receiver: Receiver) -> None:
    service: Service = new_service()
    service.start()
    service.post("/api/v1/endpoints", {"name": "all", "url": receiver.url})
    pid = _part(service, "valkey-server")
    os.kill(pid, signal.SIGSTOP)
    try:
        assert service.call("POST", "/api/v1/events", event(0)).status == 202
        assert service.get("/readyz")["status"] == "degraded"
    finally:
        os.kill(pid, signal.SIGCONT)
    receiver.wait("work_order.dispatched")

    os.kill(pid, signal.SIGKILL)
    assert service.call("POST", "/api/v1/events", event(5)).status == 202
    receiver.wait("work_order.dispatched", 2)
    assert _part(service, "valkey-server") != pid
