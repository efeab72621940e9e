"""Every decision can be recomputed from the record and comes out the same; what people changed since is told apart."""

import json
import random
from dataclasses import replace
from typing import Any

import pytest
from deciding import MIDDLE, OUTSIDE, SMOKE, decided, lines, told, use
from desk import Desk

from citybrain.casework.explaining import explain_event
from citybrain.casework.reading import case_of, whole_case
from citybrain.casework.recomputation import recompute
from citybrain.commands.explain import explain_event as dry_run
from citybrain.console.case import verdict, why
from citybrain.keys import Key, Role
from citybrain.problem import Problem
from citybrain.store.tables import events

REPORTS: dict[str, dict[str, Any]] = {
    "type posted": {"domain": "grid", "type": "c01039"},
    "type from text": {"domain": "grid", "title": "河边私搭乱建一间铁皮棚"},
    "fire, a rule on attributes": {"domain": "fire", "attributes": SMOKE},
    "emergency": {"domain": "emergency", "title": "山体滑坡堵住村道，3人被困", "grade": 4},
    "environment, derived facts": {
        "domain": "environment",
        "attributes": {"medium": "water", "readings": [{"flag": "N", "value": 120, "limit": 50}]},
    },
    "water": {"domain": "water", "attributes": {"water_level": 79.5, "warning_level": 77, "guarantee_level": 79}},
    "market, a day of the city's": {
        "domain": "market", "title": "电梯超期未检", "occurred_at": "2025-03-03T06:00:00+08:00",
        "attributes": {"inspection_due": "2025-03-02"},
    },
    "triage, no type": {"domain": "grid", "title": "一件说不清的事"},
    "triage, ambiguous": {"domain": "grid", "title": "广电井盖丢失，井口用砖头压着，路灯也不亮"},
    "triage, outside": {"domain": "grid", "type": "c01039", "location": OUTSIDE},
    "a large circle near edges": {"domain": "grid", "type": "c01039", "location": MIDDLE | {"accuracy_m": 900}},
    "by division code": {"domain": "grid", "type": "c01039", "location": {"division_code": "441402004"}},
    "by address": {"domain": "grid", "type": "c01039", "location": {"address": "梅州市梅江区江南街道江南路"}},
    "a line": {
        "domain": "water", "title": "河堤出现管涌，正在冒水",
        "location": {"geometry": {"type": "LineString", "coordinates": [[116.10, 24.29], [116.13, 24.30]]}},
    },
    "a placeholder": {"domain": "grid", "type": "c01039", "location": {"lng": 0.1, "lat": 0.1, "address": "梅江区"}},
}  # fmt: skip


# The same


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_a_decision_recomputed_from_the_record_is_the_one_that_was_recorded(desk: Desk, report: dict[str, Any]) -> None:
    event_id = decided(desk, report)
    desk.pass_time(days=400)
    answer = told(desk, event_id)
    assert (answer["same"], answer["differences"], answer["changed"]) == (True, [], [])
    assert answer["explanation"] == json.loads(json.dumps(answer["recomputed"])) | {
        "decided_at": "2025-03-03T09:00:00+08:00",
        "joined": None,
    }
    assert "结果相同" in lines(desk, answer, report["domain"])


def test_every_domains_examples_anywhere_in_the_city_are_recomputed_alike(desk: Desk) -> None:
    chance = random.Random(20261123)
    examples = [
        (domain.code, example)
        for domain in desk.here.domains.values()
        for kind in domain.catalogue.types.values()
        for example in kind.row.examples
    ]
    west, south, east, north = desk.here.city.envelope
    reports = []
    for code, example in chance.sample(examples, 600):
        where: dict[str, Any] = {"lng": chance.uniform(west, east), "lat": chance.uniform(south, north)}
        where |= chance.choice([{}, {"accuracy_m": chance.randint(1, 3000)}])
        reports.append(
            {"domain": code, "title": example.title, "description": example.description, "location": where}
            | {"attributes": example.attributes}
            | ({"type": example.posted} if example.posted else {})
            | chance.choice([{}, {"grade": chance.randint(1, 4)}])
        )
    desk.report(*reports)
    for code in desk.here.domains:
        desk.handle(code)
    desk.pass_time(days=30)

    verdicts = recompute(desk.rows(events), desk.here)

    assert len(verdicts) == 600
    assert [each for each in verdicts if not each.same] == []
    assert {each.then["type"]["by"] for each in verdicts if each.then} >= {"rule", "terms"}


def test_reports_that_joined_a_case_are_recomputed_too(desk: Desk) -> None:
    first, second = (decided(desk, {"domain": "fire", "attributes": SMOKE}) for _ in range(2))
    assert desk.event(first).case_id == desk.event(second).case_id
    opened, joined = told(desk, first), told(desk, second)
    assert (opened["same"], joined["same"]) == (True, True)
    assert opened["explanation"]["due_at"] == "2025-03-03T09:15:00+08:00"
    assert joined["explanation"]["joined"] == desk.event(second).case_id
    assert joined["explanation"]["due_at"] is None


# What the record has


def test_the_record_names_what_a_decision_rests_on(desk: Desk) -> None:
    event_id = decided(desk, {"domain": "fire", "attributes": SMOKE})
    kept = desk.event(event_id).explanation
    assert kept["at"] == desk.now
    assert kept["basis"] == desk.here.basis("fire")
    assert kept["basis"]["rules"].startswith(desk.here.domains["fire"].manifest.domain.version + " ")
    assert told(desk, event_id)["explanation"]["basis"]["edition"] == desk.here.locator.edition.id


def test_the_page_tells_which_rules_were_tried_and_why_they_did_not_hold(desk: Desk) -> None:
    event_id = decided(desk, {"domain": "fire", "attributes": SMOKE})
    parts = why.of(told(desk, event_id)["explanation"], "fire", desk.here).tried
    tried = {part.head: part.lines for part in parts}
    assert any("不成立：第" in line and "项条件不满足" in line for line in tried["试过而不成立的规则"])
    version = desk.here.domains["fire"].manifest.domain.version
    assert any(line.startswith(f"领域规则：{version} ") for line in tried["决定的依据"])


def test_the_explanation_stands_in_the_record_once_and_small(desk: Desk) -> None:
    for title in ("居民楼三楼起火了，冒黑烟", "房子着火，快来人"):
        event_id = decided(desk, {"domain": "fire", "title": title})
        assert len(json.dumps(desk.event(event_id).explanation, ensure_ascii=False)) < 900
    case = desk.act(desk.event(event_id).case_id, "note", text="已电话联系")
    assert case["explanation"] == told(desk, event_id)["explanation"]


def test_a_case_that_was_split_off_is_explained_by_its_own_first_event(desk: Desk) -> None:
    texts = ["水位高了", "水位又高了", "水位更高了"]
    attributes = {"device_id": "s1", "water_level": 79.5, "warning_level": 77, "guarantee_level": 79}
    ids = [decided(desk, {"domain": "water", "title": text, "attributes": attributes}) for text in texts]
    case_id = desk.event(ids[0]).case_id
    assert {desk.event(each).case_id for each in ids} == {case_id}
    desk.act(case_id, "split", events=ids[1:])
    other = desk.event(ids[1]).case_id
    with desk.here.store.read() as tx:
        shown = whole_case(tx, case_of(tx, other), desk.here, desk.key)
    assert shown["explanation"] == told(desk, ids[1])["explanation"]
    assert [each["action"] for each in explain_event(ids[1], desk.key, desk.here)["afterwards"]] == ["triage"]


def test_a_dry_run_says_what_is_then_decided(desk: Desk) -> None:
    report = REPORTS["market, a day of the city's"]
    event_id = decided(desk, report)
    dry = dry_run(json.dumps(report | {"source_event_id": "x", "location": MIDDLE}).encode(), desk.here)
    assert (
        dry["explanation"]["derived"] == desk.event(event_id).explanation["derived"] == {"inspection_overdue_days": 1}
    )
    assert dry["decision"]["type"] == told(desk, event_id)["explanation"]["type"]["winner"]


# What cannot be recomputed


def test_an_event_that_waits_has_no_explanation_yet(desk: Desk) -> None:
    event_id = desk.report({"domain": "fire", "title": "居民楼三楼起火了"})[0]
    answer = told(desk, event_id)
    assert (answer["explanation"], answer["same"], answer["obstacle"]) == (None, None, None)
    assert verdict.of(answer, "fire", desk.here) is None


def test_a_domain_that_was_taken_away_is_said_and_its_explanation_stays(desk: Desk) -> None:
    event_id = decided(desk, {"domain": "market", "title": "药店卖过期药"})
    desk.here.domains = {code: each for code, each in desk.here.domains.items() if code != "market"}
    answer = told(desk, event_id)
    assert (answer["same"], answer["obstacle"]) == (None, "no_domain")
    assert answer["explanation"]["type"]["winner"] == "market.drug"
    assert "该领域已停用" in lines(desk, answer, "market")


def test_a_handler_that_fails_now_is_an_obstacle_and_no_error(desk: Desk) -> None:
    event_id = decided(desk, {"domain": "fire", "title": "居民楼三楼起火了"})

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("another version's fault")

    use(desk, fire=replace(desk.here.domains["fire"], decide=broken))
    assert told(desk, event_id)["obstacle"] == "handler_failed"


# What people changed since


def test_what_operators_change_later_is_told_apart_and_is_no_difference(desk: Desk) -> None:
    event_id = decided(desk, {"domain": "fire", "title": "居民楼三楼起火了，冒黑烟"})
    case_id = desk.event(event_id).case_id
    desk.pass_time(minutes=5)
    desk.act(case_id, "note", text="已电话联系")
    desk.act(case_id, "reassign", department="441402-yj", reason="现场已由应急接手")
    desk.act(case_id, "relocate", location={"division_code": "441422"}, reason="在大埔")
    answer = explain_event(event_id, desk.key, desk.here)
    assert (answer["same"], answer["differences"]) == (True, [])
    assert [(each["actor"], each["action"]) for each in answer["afterwards"]] == [
        ("liu", "reassigned"),
        ("liu", "relocated"),
        ("liu", "reassigned"),
    ]


def test_a_case_dispatched_out_of_triage_shows_what_a_person_decided(desk: Desk) -> None:
    event_id = decided(desk, {"domain": "grid", "title": "一件说不清的事"})
    desk.act(desk.event(event_id).case_id, "dispatch", department="441402-cg", type="m06001")
    answer = explain_event(event_id, desk.key, desk.here)
    assert answer["same"] is True
    assert [each["action"] for each in answer["afterwards"]] == ["typed", "dispatched"]


def test_who_may_not_see_the_event_is_told_nothing_and_a_source_no_more_than_the_rules(desk: Desk) -> None:
    event_id = decided(desk, {"domain": "fire", "title": "居民楼三楼起火了"})
    nobody: frozenset[str] = frozenset()
    source = Key("liu", Role.SOURCE, nobody, nobody, nobody)
    assert explain_event(event_id, source, desk.here)["afterwards"] is None
    elsewhere = Key("wang", Role.OPERATOR, nobody, frozenset({"441422"}), nobody)
    with pytest.raises(Problem) as refused:
        explain_event(event_id, elsewhere, desk.here)
    assert refused.value.status == 404
