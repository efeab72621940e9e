"""When the disk is full nothing is acknowledged and nothing is kept by half; when there is room again all goes on."""

import asyncio
from typing import Any

import httpx
from desk import Desk
from sqlalchemy import event

from citybrain.app import build
from citybrain.keys import create_key
from citybrain.store.tables import events, reporters, stream


def test_full_disk_is_503_and_nothing_is_stored(desk: Desk) -> None:
    here = desk.here
    here.broker_url = "redis://127.0.0.1:1"  # nobody there
    with here.store.write() as tx:
        key = create_key(tx, "phone", "source", here.clock(), "test")
    full = {"pages": 0}

    @event.listens_for(here.store.engine, "begin")
    def limit(connection: Any) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {full['pages'] or 1_000_000}")

    async def story() -> None:
        transport = httpx.ASGITransport(build(here))
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://city", headers=headers) as client:
            assert (await client.post("/api/v1/events", json=_event(1))).status_code == 202
            full["pages"] = 1  # no page more than there are
            batch = [_event(number) for number in range(100, 600)]
            answer = await client.post("/api/v1/events/batch", json=batch)
            assert answer.status_code == 503
            assert answer.headers["content-type"] == "application/problem+json"
            assert "Retry-After" in answer.headers
            assert (await client.get("/readyz")).json() == {"status": "degraded", "store": "ok", "broker": "failed"}
            assert [len(desk.rows(table)) for table in (events, reporters, stream)] == [1, 1, 1]
            full["pages"] = 0
            assert (await client.post("/api/v1/events/batch", json=batch)).json()["accepted"] == 500

    asyncio.run(story())


def _event(number: int) -> dict[str, Any]:
    return {
        "source_event_id": f"full-{number}",
        "domain": "grid",
        "type": "m06001",
        "occurred_at": "2025-03-01T08:00:00+08:00",
        "location": {"lng": 116.1222, "lat": 24.2886, "datum": "gcj02"},
        "reporter": {"name": "陈小明", "phone": "13800001234"},
    }
