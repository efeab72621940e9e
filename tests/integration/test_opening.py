"""What becomes of a batch of events once their handler has decided: cases, merged ones, triage, and who is told."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from desk import Desk
from postgres import both_stores
from sqlalchemy import event, select

from citybrain.routing.decision import Decision
from citybrain.routing.responsibility import Responsibility
from citybrain.store.dispatch_tables import deliveries
from citybrain.store.ledger_tables import ledger
from citybrain.store.tables import cases, events, stream, work_orders
from workers.handle import handle_batch

pytestmark = both_stores

SMOKE = {"domain": "fire", "attributes": {"device_id": "d1", "states": ["fire"], "component_type": 40}}  # Ⅲ, 60 min
HEAT = {"domain": "fire", "attributes": {"device_id": "d2", "states": ["fire"], "component_type": 40}}


def told(desk: Desk) -> list[str]:
    return [row.type for row in desk.rows(deliveries)]


# A batch


def test_a_thousand_events_become_a_thousand_cases_in_one_transaction(desk: Desk) -> None:
    desk.report(*[{}] * 1_000)
    commits: list[int] = []
    event.listen(desk.here.store.engine, "commit", lambda _: commits.append(1))

    assert handle_batch(desk.here, "grid") == 1_000

    assert len(commits) == 2  # the claim, and every consequence
    found = desk.rows(cases)
    assert len({case.number for case in found}) == len({case.id for case in found}) == 1_000
    assert {case.status for case in found} == {"dispatched"}
    assert {row.state for row in desk.rows(events)} == {"cased"}
    assert len(desk.rows(work_orders)) == len(desk.rows(deliveries)) == 1_000
    assert desk.bells.rung[-1] != "dispatch"  # nobody to send to
    assert desk.broken() == []


def test_numbers_go_on_from_batch_to_batch(desk: Desk) -> None:
    numbers = [desk.open().number for _ in range(3)]
    assert numbers == [f"20250303-grid-0000{number}" for number in (1, 2, 3)]


def test_the_event_carries_the_explanation_and_the_ledger_what_decided(desk: Desk) -> None:
    event_id = desk.report(SMOKE)[0]
    desk.handle("fire")
    row = desk.event(event_id)
    case = desk.case(row.case_id)
    assert row.explanation["type"]["rule"] == "smoke_detector"
    assert json.loads(desk.rows(ledger, ledger.c.chain == case.id)[0].data) == {
        "event": event_id,
        "type": "fire.smoke_alarm",
        "grade": 3,
        "rule": "rule:smoke_detector",
    }


def test_whoever_watches_sees_each_step_of_a_new_case(desk: Desk) -> None:
    case = desk.open()
    seen = [(row.type, row.case_id, row.county) for row in desk.rows(stream)]
    assert seen == [
        ("event.received", None, "441402"),
        ("case.filed", case.id, "441402"),
        ("case.dispatched", case.id, "441402"),
    ]


@pytest.mark.parametrize(
    ("report", "title"),
    [
        ({"title": "灯坏了", "description": "嗯"}, "灯坏了"),
        ({"description": "路灯不亮" * 30}, "路灯不亮" * 15),
        ({}, "景观灯"),
    ],
)
def test_a_case_is_called_what_it_was_reported_as(desk: Desk, report: dict[str, Any], title: str) -> None:
    assert desk.open(**report).title == title


# One thing reported several times


def test_alarms_of_one_device_are_one_case_within_a_batch_and_across(desk: Desk) -> None:
    desk.report(SMOKE, HEAT, SMOKE, SMOKE)
    desk.handle("fire")
    assert sorted(case.event_count for case in desk.rows(cases)) == [1, 3]
    before = told(desk)
    desk.pass_time(minutes=59)
    desk.report(SMOKE)
    desk.handle("fire")
    assert sorted(case.event_count for case in desk.rows(cases)) == [1, 4]
    assert told(desk) == before == ["work_order.dispatched"] * 2
    assert {row.state for row in desk.rows(events)} == {"cased"}
    assert desk.broken() == []


def test_a_merge_names_the_events_in_the_ledger_once_a_batch(desk: Desk) -> None:
    first, *more = desk.report(SMOKE, SMOKE, SMOKE)
    desk.handle("fire")
    case = desk.row(cases)
    assert desk.story(case.id) == [("rules", "filed"), ("rules", "dispatched"), ("rules", "merged")]
    assert desk.last_entry(case.id) == {"events": more, "count": 2, "event_count": 3}
    assert case.version == 1
    later = desk.report(SMOKE)
    desk.handle("fire")
    assert desk.last_entry(case.id) == {"events": later, "count": 1, "event_count": 4}
    assert desk.case(case.id).version == 2
    assert first


def test_what_comes_after_a_longer_quiet_than_the_rule_allows_is_another_case(desk: Desk) -> None:
    old = desk.open(**SMOKE)
    desk.pass_time(minutes=60, seconds=1)
    new = desk.open(**SMOKE)
    assert new.id != old.id
    assert desk.case(old.id).status == "dispatched"
    assert desk.open(**SMOKE).id == new.id
    assert desk.broken() == []


@pytest.mark.parametrize("end", ["closed", "void"])
def test_what_comes_after_the_end_of_a_case_is_another_case(desk: Desk, end: str) -> None:
    old = desk.open(**SMOKE)
    if end == "closed":
        desk.answer(desk.lead(old.id).id, "completed")
        desk.act(old.id, "verify", passed=True)
        desk.act(old.id, "close")
    else:
        desk.act(old.id, "return", reason="误报")
        desk.act(old.id, "void", reason="误报")
    assert desk.open(**SMOKE).id != old.id


@pytest.mark.parametrize("status", ["accepted", "returned", "suspended"])
def test_a_case_keeps_its_status_when_its_thing_is_reported_again(desk: Desk, status: str) -> None:
    case = desk.open(**SMOKE)
    if status == "suspended":
        desk.act(case.id, "suspend", until="2025-03-20T12:00:00+08:00", reason="等")
    else:
        desk.answer(desk.lead(case.id).id, status)
    again = desk.open(**SMOKE)
    assert (again.id, again.status, again.event_count) == (case.id, status, 2)
    assert desk.broken() == []


def test_a_graver_report_raises_the_grade_and_is_told_once(desk: Desk) -> None:
    case = desk.open(**SMOKE)
    desk.report(SMOKE | {"grade": 2}, SMOKE | {"grade": 1}, SMOKE | {"grade": 2}, SMOKE)
    desk.handle("fire")
    assert desk.case(case.id).grade == 1
    assert told(desk) == ["work_order.dispatched", "work_order.updated"]
    message = json.loads(desk.rows(deliveries)[-1].body)
    assert message["data"]["case"]["grade"] == 1
    desk.report(SMOKE | {"grade": 1})
    desk.handle("fire")
    assert len(told(desk)) == 2


def test_a_graver_report_in_the_very_batch_that_opens_a_case_needs_no_second_message(desk: Desk) -> None:
    desk.report(SMOKE, SMOKE | {"grade": 1})
    desk.handle("fire")
    assert desk.row(cases).grade == 1
    assert told(desk) == ["work_order.dispatched"]
    assert json.loads(desk.row(deliveries).body)["data"]["case"]["grade"] == 1


# For a person to decide


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        ({"location": {"lng": 113.2, "lat": 23.1, "datum": "wgs84"}}, "outside"),
        ({"location": {"address": "月球背面"}}, "no_place"),
        ({"description": "嗯"}, "no_type"),
    ],
)
def test_what_no_rule_decides_waits_in_triage_with_its_reason(desk: Desk, report: dict[str, Any], reason: str) -> None:
    event_id = desk.report(report)[0]
    desk.handle()
    case = desk.case(desk.event(event_id).case_id)
    assert (case.status, case.triage_reason, desk.event(event_id).state) == ("triage", reason, "triage")
    assert (case.lead, case.due_at, case.merge_key, desk.orders(case.id), told(desk)) == (None, None, None, [], [])
    assert desk.last_entry(case.id)["reason"] == reason
    assert desk.broken() == []


def test_where_nobody_is_responsible_a_person_decides(desk: Desk) -> None:
    vars(desk.here)["responsibility"] = Responsibility([])
    case = desk.open()
    assert (case.status, case.triage_reason, case.type) == ("triage", "no_department", "c01039")


def test_triage_is_never_merged(desk: Desk) -> None:
    outside = {"location": {"lng": 113.2, "lat": 23.1, "datum": "wgs84"}}
    first, second = desk.open(**SMOKE | outside), desk.open(**SMOKE | outside)
    assert first.id != second.id


# Handlers that break their word


def with_handler(desk: Desk, decide: Any) -> None:
    domain = replace(desk.here.domains["grid"], decide=decide)
    desk.here.domains = {**desk.here.domains, "grid": domain}


@pytest.mark.parametrize("wrong", ["order", "fewer", "more"])
def test_decisions_that_are_not_one_an_event_in_order_are_not_carried_out(desk: Desk, wrong: str) -> None:
    right = desk.here.domains["grid"].decide

    def decide(given: Any, context: Any) -> list[Decision]:
        decisions = right(given, context)
        if len(decisions) == 1:
            return decisions
        return {"order": decisions[::-1], "fewer": decisions[1:], "more": [*decisions, decisions[0]]}[wrong]

    with_handler(desk, decide)
    reported = desk.report({"type": "c01039"}, {"type": "m06001"})
    desk.handle()
    found = {row.id: desk.case(row.case_id).type for row in desk.rows(events)}
    assert found == dict(zip(reported, ["c01039", "m06001"], strict=True))  # each tried alone
    assert desk.broken() == []


def test_a_decision_without_a_department_and_without_triage_is_not_carried_out(desk: Desk) -> None:
    right = desk.here.domains["grid"].decide
    with_handler(desk, lambda given, context: [replace(each, lead=None) for each in right(given, context)])
    event_id = desk.report({})[0]
    desk.handle()
    assert desk.event(event_id).state == "quarantined"
    assert "department" in desk.event(event_id).trace
    assert desk.rows(cases) == []


def test_nothing_of_a_batch_stays_when_its_claim_was_lost(desk: Desk) -> None:
    right = desk.here.domains["grid"].decide

    def slow(given: Any, context: Any) -> list[Decision]:
        with_handler(desk, right)
        desk.set(events, events.c.lease_until > 0, lease_until=0)
        desk.handle()  # another worker, while this one thinks
        return right(given, context)

    with_handler(desk, slow)
    desk.report({}, {}, {})
    desk.handle()
    assert Counter(row.case_id for row in desk.rows(events)) == Counter(case.id for case in desk.rows(cases))
    assert len(desk.rows(cases)) == 3
    assert len(desk.rows(deliveries)) == 3
    assert desk.broken() == []


def test_a_domain_answers_only_for_its_own_queue(desk: Desk) -> None:
    desk.report({}, SMOKE)
    desk.handle("grid")
    with desk.here.store.read() as tx:
        assert tx.execute(select(events.c.domain).where(events.c.state == "received")).scalars().all() == ["fire"]
