"""Who reported is personal data: masked for departments, unless an endpoint is allowed to see it."""

from typing import Any

from serving import Receiver, Service


def _event(number: int) -> dict[str, Any]:
    return {
        "source_event_id": f"person-{number}",
        "domain": "grid",
        "type": "m06001",
        "occurred_at": "2026-11-20T08:00:00+08:00",
        "location": {"lng": 116.1222, "lat": 24.2886, "datum": "gcj02"},
        "reporter": {"name": "陈小明", "phone": "13800001234"},
    }


def test_only_an_allowed_endpoint_is_told_who_reported(service: Service, receiver: Receiver) -> None:
    endpoint = service.post("/api/v1/endpoints", {"name": "platform", "url": receiver.url})
    service.post("/api/v1/events", _event(1))
    masked = receiver.wait("work_order.dispatched").json
    assert masked["data"]["events"][0]["reporter"] == {"name": "陈**", "phone": "138****1234"}

    changed = service.call("PATCH", f"/api/v1/endpoints/{endpoint['id']}", {"unmasked": True})
    assert changed.status == 200
    service.post("/api/v1/events", _event(2))
    told = receiver.wait("work_order.dispatched", 2).json
    assert told["data"]["events"][0]["reporter"] == {"name": "陈小明", "phone": "13800001234"}
