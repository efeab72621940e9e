"""/metrics tells Prometheus what waits, what is late, what has passed: from the record, for the whole installation."""

from typing import Any

import pytest
from desk import Desk
from postgres import both_stores, only_sqlite
from posting import FAILED, OK, claim, end
from prometheus_client.parser import text_string_to_metric_families
from serving import Service, wait_until

from citybrain.clock import now_ms
from citybrain.operations.metrics import Figures
from citybrain.store.stream import number_committed
from citybrain.store.tables import events

pytestmark = both_stores
Shown = dict[str, dict[tuple[str, ...], float]]


def shown(text: bytes) -> Shown:
    """By name and the values of the labels, these in the order of their names."""
    found: Shown = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(value for _, value in sorted(sample.labels.items()))] = sample.value
    return found


@pytest.fixture
def figures(desk: Desk) -> Figures:
    desk.now = now_ms()
    desk.here.broker_url = "redis://127.0.0.1:1"
    return Figures(desk.here, kept_seconds=0)


def test_what_waits_is_late_or_needs_a_person_is_told_by_domain_and_county(desk: Desk, figures: Figures) -> None:
    desk.endpoint("platform", domains=["grid"])
    desk.report({}, {}, {"description": "嗯"})
    desk.handle()
    desk.report({"domain": "fire", "location": {"division_code": "441403"}})
    quarantined = desk.report({"domain": "water"})[0]
    desk.set(events, events.c.id == quarantined, state="quarantined")
    desk.pass_time(days=30)
    told = shown(figures.text())
    assert told["citybrain_waiting_events"] == {("441403", "fire"): 1}
    assert told["citybrain_waiting_oldest_age_seconds"]["fire",] == pytest.approx(30 * 86_400, abs=60)
    assert told["citybrain_waiting_oldest_age_seconds"]["grid",] == 0
    assert told["citybrain_quarantined_events"] == {("441402", "water"): 1}
    assert told["citybrain_triage_cases"] == {("441402", "grid"): 1}
    assert told["citybrain_overdue_cases"]["grid",] == 2
    assert told["citybrain_overdue_stages"]["grid",] == 1
    assert told["citybrain_pending_deliveries"] == {("platform",): 2}
    assert told["citybrain_endpoint_enabled"] == {("platform",): 1}
    assert told["citybrain_broker_up"] == {(): 0}
    assert told["citybrain_store_up"] == told["citybrain_patrols_acting"] | {(): 1}
    assert told["process_resident_memory_bytes"][()] > 1e7


def test_what_is_held_for_want_of_an_endpoint_is_told(desk: Desk, figures: Figures) -> None:
    desk.open()
    assert shown(figures.text())["citybrain_held_deliveries"] == {("no_endpoint",): 1}


def test_what_has_passed_is_counted_once_however_often_somebody_looks(desk: Desk, figures: Figures) -> None:
    figures.text()
    desk.now -= 5_000  # what becomes due now is due by the database's clock too
    desk.endpoint("platform")
    desk.report({}, {}, {})
    desk.pass_time(seconds=2)
    desk.handle()
    end(desk, claim(desk), OK, OK, FAILED)
    desk.pass_time(minutes=1)
    with desk.here.store.write() as tx:
        number_committed(tx)
    figures.text()
    told = shown(figures.text())
    assert told["citybrain_changes_total"]["grid", "event.received"] == 3
    assert told["citybrain_changes_total"]["grid", "case.dispatched"] == 3
    assert told["citybrain_attempts_total"] == {("platform", "delivered"): 2, ("platform", "refused"): 1}
    assert told["citybrain_cased_seconds_count"] == {(): 3}
    assert told["citybrain_cased_seconds_bucket"]["1.0",] == 0
    assert told["citybrain_cased_seconds_bucket"]["5.0",] == 3
    assert told["citybrain_delivered_seconds_count"] == {(): 2}


def answered(told: Shown) -> Any:
    """Once both answers are told: figures are kept for a moment."""
    counts = told.get("citybrain_acknowledge_seconds_count", {})
    return counts if {("single", "202"), ("single", "422")} <= set(counts) else None


@only_sqlite
def test_answers_of_the_doors_are_timed_and_strangers_see_nothing(shared_service: Service) -> None:
    service = shared_service
    source = service.key("source", "metered")
    event: dict[str, Any] = {
        "source_event_id": "m-1", "domain": "grid", "occurred_at": "2026-11-20T08:00:00+08:00",
        "location": {"lng": 116.1222, "lat": 24.2886},
    }  # fmt: skip
    assert service.call("POST", "/api/v1/events", event, source).status == 202
    assert service.call("POST", "/api/v1/events", event | {"domain": "none"}, source).status == 422
    # From this machine nobody is asked for a key; behind a proxy it is somebody else's address.
    there = {"X_Forwarded_For": "10.1.2.3"}
    counts = wait_until(lambda: answered(shown(service.get("/metrics"))))
    assert counts["single", "202"] >= 1
    assert counts["single", "422"] >= 1
    assert service.call("GET", "/metrics", key="", **there).status == 401
    assert service.call("GET", "/metrics", key=source, **there).status == 403
    assert service.call("GET", "/metrics", key=service.key("auditor", "meter-reader"), **there).status == 200
