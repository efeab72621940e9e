"""The master of the brokers dies in the middle of 1,000 events: another takes its place, and every event is handled."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from brokers import Watched
from crowd import all_moved_on, each_delivered, event, post_until_answered
from serving import Receiver, Service

EVENTS, BATCH = 1_000, 50


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path / "brokers")
    made.folder.mkdir()
    try:
        made.start()
        yield made
    finally:
        made.end()


@pytest.mark.long
def test_1000_events_survive_the_death_of_the_master(new_service: Any, receiver: Receiver, watched: Watched) -> None:
    service: Service = new_service(CITYBRAIN_REDIS_URL=watched.url)
    service.start()
    service.post("/api/v1/endpoints", {"name": "all", "url": receiver.url})
    acknowledged: set[str] = set()
    for start in range(0, EVENTS, BATCH):
        acknowledged |= post_until_answered(service, range(start, start + BATCH))
        if start == EVENTS // 2:
            watched.servers["master"].kill()
    assert len(acknowledged) == EVENTS
    service.until("/readyz", lambda health: health["broker"] == "ok")
    assert service.call("POST", "/api/v1/events", event(EVENTS)).status == 202
    all_moved_on(service)  # workers move nothing but what a bell tells them
    assert f"events: {EVENTS + 1}" in service.command("check", "--store").stdout.splitlines()
    each_delivered(service, receiver)
