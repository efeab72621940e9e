"""Many who report: events all over the city, posted as good clients do, and what has become of them in the end."""

import http.client
import json
import time
from collections import Counter
from typing import Any

from serving import Api, Receiver


def event(number: int) -> dict[str, Any]:
    lng, lat = 116.10 + (number % 60) * 0.0005, 24.27 + (number // 60) * 0.0005
    return {
        "source_event_id": f"n-{number}",
        "domain": ("grid", "fire", "water", "environment", "emergency")[number % 5],
        "title": f"第{number}号上报",
        "occurred_at": "2026-11-20T08:00:00+08:00",
        "location": {"lng": lng, "lat": lat, "datum": "wgs84"},
        "type": ("m06001", "fire.building_fire", None, None, None)[number % 5],
    }


def post_until_answered(service: Api, numbers: range) -> set[str]:
    """As a good client does: the same ids again until the service has said yes."""
    body = json.dumps([event(number) for number in numbers]).encode()
    ends = time.monotonic() + 180
    while True:
        try:
            answer = service.call("POST", "/api/v1/events/batch", body)
            if answer.status == 200:
                assert answer.body["rejected"] == 0, answer.body
                return {result["id"] for result in answer.body["results"]}
        except (OSError, http.client.HTTPException):
            pass  # refused, reset, half an answer: not acknowledged
        assert time.monotonic() < ends, "never answered"
        time.sleep(0.1)


def all_moved_on(service: Api, seconds: float = 180) -> None:
    service.until("/api/v1/queues", lambda rows: not sum(row["waiting"] + row["quarantined"] for row in rows), seconds)
    pending = "/api/v1/deliveries?status=pending&limit=1"
    service.until(pending, lambda page: not page["items"], seconds)


def each_delivered(service: Api, receiver: Receiver) -> None:
    """Every case with a work order reached the receiver; a message that came twice came with the same id."""
    messages = [(message.headers["webhook-id"], message.json) for message in receiver.of_type("work_order.dispatched")]
    orders = Counter(message["data"]["work_order"]["id"] for _, message in dict(messages).items())
    assert orders
    assert set(orders.values()) == {1}
    failed = service.get("/api/v1/deliveries?status=failed")["items"]
    assert failed == []
