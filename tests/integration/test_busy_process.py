"""Events are taken whatever everybody else keeps the process busy with."""

import asyncio
import threading
from typing import Any

import anyio.to_thread
import httpx
from desk import Desk
from postgres import both_stores
from starlette.concurrency import run_in_threadpool

from citybrain.app import build
from citybrain.keys import create_key

pytestmark = both_stores
EVENT: dict[str, Any] = {
    "source_event_id": "e-1",
    "domain": "grid",
    "type": "m06001",
    "occurred_at": "2025-03-01T08:00:00+08:00",
    "location": {"lng": 116.1222, "lat": 24.2886, "datum": "gcj02"},
}


def test_an_event_is_taken_while_every_thread_of_the_process_is_taken(desk: Desk) -> None:
    with desk.here.store.write() as tx:
        source = create_key(tx, "gateway", "source", desk.now, "liu")

    async def post() -> int:
        end, limiter = threading.Event(), anyio.to_thread.current_default_thread_limiter()
        busy = [asyncio.create_task(run_in_threadpool(end.wait)) for _ in range(int(limiter.total_tokens))]
        for _ in range(100):
            await asyncio.sleep(0)
        assert not limiter.available_tokens
        transport = httpx.ASGITransport(build(desk.here))
        async with httpx.AsyncClient(transport=transport, base_url="http://city") as client:
            headers = {"Authorization": f"Bearer {source}"}
            waiting = asyncio.create_task(client.post("/api/v1/events", json=EVENT, headers=headers))
            taken, _ = await asyncio.wait([waiting], timeout=30)
            end.set()
            await asyncio.gather(*busy)
        return waiting.result().status_code if taken else 0

    assert asyncio.run(post()) == 202
