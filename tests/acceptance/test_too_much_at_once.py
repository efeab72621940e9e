"""More is sent at once than one process may hold: it turns the rest away in time, and what matters gets through."""

import json
import re
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from serving import Service
from sqlalchemy import select

from citybrain.store.database import Store
from citybrain.store.tables import events

SENDERS, EVENTS = 8, 250  # batches of eight megabytes
MOST_MIB = 300  # more than before: sixteen megabytes of bodies and what is made of them; without a bound, 500
EVENT = {
    "domain": "grid", "type": "c01039", "occurred_at": "2026-11-20T08:00:00+08:00",
    "location": {"lng": 116.1222, "lat": 24.2886},
}  # fmt: skip


def batch(sender: int) -> bytes:
    words = ["路灯", "井盖"] * 1_000
    return json.dumps(
        [EVENT | {"source_event_id": f"b-{sender}-{n}", "attributes": {"log": words}} for n in range(EVENTS)]
    ).encode()


def peak(service: Service) -> int:
    """Of the API process, in MiB."""
    assert service.process is not None
    argv = ["ps", "-o", "pid=,args=", "--ppid", str(service.process.pid)]
    children = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    pid = next(line.split()[0] for line in children if "citybrain serve" in line)
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) // 1024


def test_a_flood_of_batches_is_shed_and_what_was_acknowledged_is_there(new_service: Any) -> None:
    service: Service = new_service(CITYBRAIN_BODIES_MIB="16")
    service.start("--workers", "1")
    system = service.key("system", "department", departments="441402-cg")
    service.post("/api/v1/events", EVENT | {"source_event_id": "before"})
    case = service.until("/api/v1/cases?domain=grid", lambda page: page["items"])["items"][0]
    order = service.get(f"/api/v1/cases/{case['id']}")["work_orders"][0]["id"]
    before = peak(service)
    answers: Counter[int] = Counter()
    acknowledged: set[str] = set()

    bodies, together = [batch(sender) for sender in range(SENDERS)], threading.Barrier(SENDERS)

    def send(sender: int) -> None:
        together.wait()
        while True:
            answer = service.call("POST", "/api/v1/events/batch", bodies[sender])
            answers[answer.status] += 1
            if answer.status == 200:
                acknowledged.update(result["id"] for result in answer.body["results"])
                return
            assert answer.status == 503, answer
            assert int(answer.headers["retry-after"]) > 0
            time.sleep(0.2)

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(SENDERS)]
    for thread in threads:
        thread.start()
    through = 0
    while any(thread.is_alive() for thread in threads):
        grave = EVENT | {"source_event_id": f"grave-{through}", "domain": "fire", "type": "fire.building_fire"}
        assert service.call("POST", "/api/v1/events", grave).status == 202
        told = {"feedback_id": f"f-{through}", "status": "progress", "note": "在途"}
        assert service.call("POST", f"/api/v1/work-orders/{order}/feedback", told, system).status == 200
        assert service.call("GET", "/healthz", key="").status == 200
        through += 1
    for thread in threads:
        thread.join()
    assert answers[200] == SENDERS
    assert answers[503] > 0
    assert peak(service) - before < MOST_MIB
    store = Store(service.database_url)
    with store.read() as tx:
        assert acknowledged <= set(tx.execute(select(events.c.id)).scalars())
    store.close()
    assert len(acknowledged) == SENDERS * EVENTS
