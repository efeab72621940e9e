"""What happens, as it happens: in commit order, resumed without loss or doubling, no more than the key may see."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

from postgres import both_stores
from serving import Service, wait_until

pytestmark = both_stores


class Watcher:
    """One open event stream; `events` holds (position, type, data) of everything but the pulse."""

    def __init__(self, service: Service, key: str, last: int | None = None) -> None:
        self.events: list[tuple[int, str, Any]] = []
        self.position = 0
        self._starts: list[int] = []
        self._connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        headers = {"Authorization": f"Bearer {key}"} | ({} if last is None else {"Last-Event-ID": str(last)})
        self._connection.request("GET", "/api/v1/stream", headers=headers)
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200
        assert self._answer.headers["Content-Type"].startswith("text/event-stream")
        self._socket = self._connection.sock
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for position, type_, data in _messages(self._answer):
            self.position = position
            self._starts = self._starts or [position]
            if type_ != "pulse":
                self.events.append((position, type_, data))

    def begun(self) -> int:
        """The position after which it tells everything."""
        return int(wait_until(lambda: self._starts)[0])

    def until(self, number: int, seconds: float = 120) -> list[tuple[int, str, Any]]:
        ends = time.monotonic() + seconds
        while len(self.events) < number:
            assert time.monotonic() < ends, self.events
            time.sleep(0.02)
        return self.events

    def close(self) -> None:
        import socket

        self._answer.fp.raw._sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
        self._thread.join(60)
        self._connection.close()


def _messages(lines: Any) -> Iterator[tuple[int, str, Any]]:
    fields: dict[str, str] = {}
    try:
        for raw in lines:
            line = raw.decode().rstrip("\n")
            if line:
                name, _, text = line.partition(": ")
                fields[name] = text
            else:
                yield int(fields["id"]), fields["event"], json.loads(fields["data"])
                fields = {}
    except (OSError, ValueError, http.client.HTTPException):
        return


def _event(number: int, lng: float = 116.1222, lat: float = 24.2886, domain: str = "grid") -> dict[str, Any]:
    return {
        "source_event_id": f"stream-{domain}-{number}",
        "domain": domain,
        "title": "河边私搭乱建",
        "occurred_at": "2026-11-20T08:00:00+08:00",
        "location": {"lng": lng, "lat": lat, "datum": "gcj02"},
    }


def test_event_and_its_case_are_told(shared_service: Service) -> None:
    watcher = Watcher(shared_service, shared_service.admin_key)
    event_id = shared_service.post("/api/v1/events", _event(1))["id"]
    case_id = shared_service.until(f"/api/v1/events/{event_id}", lambda event: event["case_id"])["case_id"]

    def told() -> list[str]:
        return [
            type_ for _, type_, data in watcher.events if event_id == data["event_id"] or case_id == data["case_id"]
        ]

    wait_until(lambda: len(told()) >= 3)
    assert told()[:3] == ["event.received", "case.filed", "case.dispatched"]
    positions = [position for position, _, _ in watcher.events]
    assert positions == sorted(set(positions))
    watcher.close()


def test_a_broken_stream_is_resumed_without_loss_or_doubling(shared_service: Service) -> None:
    whole = Watcher(shared_service, shared_service.admin_key)
    parts: list[tuple[int, str, Any]] = []
    watcher = Watcher(shared_service, shared_service.admin_key, whole.begun())
    for round_ in range(5):
        shared_service.post("/api/v1/events/batch", [_event(100 + 20 * round_ + n) for n in range(20)])
        watcher.until(10)
        watcher.close()
        parts += watcher.events
        last = watcher.events[-1][0]
        watcher = Watcher(shared_service, shared_service.admin_key, last)
    whole.until(300)
    wait_until(lambda: parts + watcher.events == whole.events)
    watcher.close()
    whole.close()


def test_a_key_is_told_no_more_than_it_may_see(shared_service: Service) -> None:
    here = Watcher(
        shared_service, shared_service.key("operator", "stream-op-meijiang", divisions="441402", domains="grid")
    )
    there = Watcher(shared_service, shared_service.key("operator", "stream-op-dabu", divisions="441422"))
    other = Watcher(shared_service, shared_service.key("source", "stream-other-source"))
    everywhere = Watcher(shared_service, shared_service.admin_key)
    shared_service.post("/api/v1/events", _event(900))
    here.until(3)
    shared_service.post("/api/v1/events", _event(901, domain="water"))
    last = wait_until(lambda: max((at for at, type_, data in everywhere.events if of_water(type_, data)), default=0))
    wait_until(lambda: min(each.position for each in (here, there, other)) >= last)
    assert {data["domain"] for _, _, data in here.events} == {"grid"}
    assert there.events == []
    assert other.events == []
    for watcher in (here, there, other, everywhere):
        watcher.close()


def of_water(type_: str, data: Any) -> bool:
    return type_.startswith("case.") and bool(data["domain"] == "water")


def test_a_position_that_is_none_is_refused(shared_service: Service) -> None:
    answer = shared_service.call("GET", "/api/v1/stream", None, None, Last_Event_ID="yesterday")
    assert answer.status == 422
    assert answer.body["errors"][0]["field"] == "Last-Event-ID"
