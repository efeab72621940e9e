"""Facts about routing: which type an event gets, how grave it is, who leads, and what goes to triage instead."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citybrain.domain import load_domains
from citybrain.routing.casualties import casualties, count
from citybrain.routing.catalogue import Catalogue
from citybrain.routing.context import Context
from citybrain.routing.decision import LOST, TRIAGE, Decision
from citybrain.routing.departments import Department
from citybrain.routing.explain import explain
from citybrain.routing.manifest import read_manifest
from citybrain.routing.report import Filed
from citybrain.routing.responsibility import Responsibility
from citybrain.routing.route import route
from citybrain.routing.rules import Score

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
PLACE = {"county": "A", "town": "A1", "village": None, "cell": None}
DOMAINS = load_domains({})
OFFICE = Department("office", "署", "Office", "county", ("A",), tuple(DOMAINS), tuple(DOMAINS), None)

PARK = """
[domain]
code = "park"
name = "公园"
name_en = "Park"
version = "1"
[words]
signs = ["坏", "倒", "漏水"]
after_place = ["旁", "对面"]
before_place = ["往"]
[[type]]
code = "park.bench"
name = "座椅损坏"
name_en = "Bench"
terms = ["座椅", "bench", "椅子&坏"]
without = ["捐赠"]
grade = 4
limit = { amount = 3, unit = "working_days" }
level = "county"
merge = { by = "device", within_minutes = 60 }
examples = ["座椅坏了"]
[[type]]
code = "park.bench_missing"
name = "座椅被盗"
name_en = "Bench stolen"
terms = ["座椅被偷"]
grade = 3
limit = { amount = 1, unit = "working_days" }
level = "county"
merge = { by = "place", within_minutes = 60 }
examples = ["座椅被偷"]
[[type]]
code = "park.lake"
name = "湖水位高"
name_en = "Lake high"
terms = ["湖水"]
grade = 3
limit = { amount = 2, unit = "urgent_hours" }
level = "county"
duty = "water"
assist = ["police", "nobody"]
examples = ["湖水漫上来"]
[[type]]
code = "park.kiosk"
name = "售货亭异常"
name_en = "Kiosk out of order"
things = ["售货亭", "小卖/零食&亭子"]
grade = 4
limit = { amount = 3, unit = "working_days" }
level = "county"
examples = ["售货亭漏水"]
[[rule]]
code = "high"
type = "park.lake"
priority = 10
when = [{ attribute = "level", op = ">=", other_attribute = "limit" }]
grade = 2
[[rule]]
code = "any_level"
type = "park.bench"
when = [{ attribute = "level", op = "exists" }]
[[rule]]
code = "test_mode"
type = "park.bench"
priority = 1
overrides = true
when = [{ attribute = "mode", op = "==", value = "test" }]
[[condition]]
code = "danger"
name = "有人受伤"
types = ["park.bench"]
terms = ["受伤", "流血&头"]
grade = 2
limit = { amount = 30, unit = "minutes" }
assist = ["police"]
[[condition]]
code = "later"
name = "第二个"
types = ["park.bench"]
terms = ["受伤"]
limit = { amount = 9, unit = "days" }
"""


@pytest.fixture(scope="module")
def park(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    path: Path = tmp_path_factory.mktemp("park") / "domain.toml"
    path.write_text(PARK, encoding="utf-8")
    manifest, mistakes = read_manifest(path)
    assert manifest is not None
    assert not mistakes
    return Catalogue(manifest)


def department(code: str, level: str, divisions: tuple[str, ...], *duties: str) -> Department:
    return Department(code, code, code, level, divisions, (), duties, None)


GARDENS = department("gardens", "county", ("A",), "park")
CITY = department("city-gardens", "city", ("CITY",), "park", "water", "police")


def event(title: str = "", **given: Any) -> Filed:
    filed: dict[str, Any] = {
        "id": "e",
        "domain": "park",
        "codes": PLACE,
        "method": "contains",
        "occurred_at": NOW,
    } | given
    return Filed(title=title, **filed)


def decide(catalogue: Catalogue, *events: Filed, departments: tuple[Department, ...] = (GARDENS,)) -> list[Decision]:
    return route(events, Context(catalogue, Responsibility(departments), NOW))


def test_the_posted_type_wins_over_terms_and_rules(park: Catalogue) -> None:
    decided = decide(park, event("湖水", type="park.bench", attributes={"level": 5, "limit": 4}))[0]
    assert (decided.type, decided.explanation["winner"]) == ("park.bench", "posted")
    assert {entry.get("lost") for entry in decided.explanation["type"]["matched"]} == {"posted_wins"}


def test_an_unknown_posted_type_is_left_to_the_rules_and_said_so(park: Catalogue) -> None:
    decided = decide(park, event("座椅坏了", type="park.no_such"))[0]
    assert decided.type == "park.bench"
    assert decided.explanation["type"]["posted_lost"] == "unknown"


def test_an_overriding_rule_wins_even_over_the_posted_type(park: Catalogue) -> None:
    decided = decide(park, event(type="park.lake", attributes={"mode": "TEST"}))[0]
    assert (decided.type, decided.explanation["type"]["posted_lost"]) == ("park.bench", "overridden")


def test_a_rule_on_attributes_wins_over_terms_and_the_first_by_priority_over_others(park: Catalogue) -> None:
    decided = decide(park, event("座椅坏了", attributes={"level": "5.5", "limit": 4}))[0]
    assert (decided.type, decided.grade) == ("park.lake", 2)
    lost = {entry.get("rule") or entry["kind"]: entry["lost"] for entry in decided.explanation["type"]["matched"][1:]}
    assert lost == {"any_level": "priority", "terms": "rule_wins"}


@pytest.mark.parametrize("level", ["FFFF", None, "", float("nan"), float("inf"), True, [], {}])
def test_no_value_is_never_a_level(park: Catalogue, level: Any) -> None:
    decided = decide(park, event("湖边", attributes={"level": level, "limit": -1}))[0]
    assert decided.type != "park.lake"


def test_the_longest_term_wins_and_its_parts_say_nothing(park: Catalogue) -> None:
    decided = decide(park, event("公园座椅被偷"))[0]
    assert decided.type == "park.bench_missing"
    assert decided.explanation["type"]["matched"][1]["lost"] == "part_of_longer"


def test_the_title_counts_more_than_the_description(park: Catalogue) -> None:
    assert decide(park, event("湖水很高", description="旁边有座椅"))[0].type == "park.lake"
    assert decide(park, event("座椅很旧", description="旁边是湖水"))[0].type == "park.bench"


@pytest.mark.parametrize("text", ["座 椅 坏了", "ＢＥＮＣＨ broken", "Bench", "那把椅子昨天就坏了", "坏了的椅子"])
def test_width_case_spaces_and_order_of_parts_do_not_matter(park: Catalogue, text: str) -> None:
    assert decide(park, event(text))[0].type == "park.bench"


def test_a_latin_term_is_not_found_inside_a_longer_word(park: Catalogue) -> None:
    assert decide(park, event("benchmark"))[0].triage == "no_type"


def test_an_excluding_term_excludes_and_no_longer_hides_others(park: Catalogue) -> None:
    decided = decide(park, event("捐赠座椅"))[0]
    assert decided.triage == "no_type"
    assert decided.explanation["type"]["matched"][0]["excluded_by"] == "捐赠"


def test_a_tie_goes_to_triage_with_the_candidates(park: Catalogue) -> None:
    decided = decide(park, event("座椅和湖水"))[0]
    assert (decided.triage, decided.type, decided.lead) == ("ambiguous_type", None, None)
    assert decided.explanation["type"]["guesses"] == ["park.bench", "park.lake", "park.bench_missing"]


def test_a_win_by_hardly_more_letters_is_a_tie() -> None:
    best = Score(longest=8, total=12)
    assert Score(longest=7, total=10).rivals(best)
    assert not Score(longest=7, total=8).rivals(best)
    assert not Score(longest=6, total=12).rivals(best)


def test_parts_of_a_term_that_stand_far_apart_speak_of_different_things(park: Catalogue) -> None:
    assert decide(park, event("椅子" + "很好看，" * 3 + "坏了"))[0].type == "park.bench"
    assert decide(park, event("椅子" + "很好看，" * 5 + "坏了"))[0].triage == "no_type"


@pytest.mark.parametrize(
    ("text", "type_", "why"),
    [
        ("售货亭漏水", "park.kiosk", None),
        ("坏了的售货亭", "park.kiosk", None),
        ("小卖亭子倒了", "park.kiosk", None),
        ("售货亭", None, "no_sign"),
        ("售货亭对面倒了很多水", None, "place"),
        ("往售货亭走，漏水", None, "place"),
        ("售货亭旁边的售货亭坏了", "park.kiosk", None),
    ],
)
def test_a_thing_counts_with_a_sign_of_what_is_wrong_and_not_as_a_place(
    park: Catalogue, text: str, type_: str | None, why: str | None
) -> None:
    decided = decide(park, event(text))[0]
    assert decided.type == type_
    assert decided.explanation["type"]["matched"][0].get("lost") == why


def test_what_terms_say_is_doubted_where_the_words_look_more_like_another_type(park: Catalogue) -> None:
    decided = decide(park, event("座椅", description="湖水漫上来，湖水位高，水位高"))[0]
    assert (decided.type, decided.triage) == (None, "ambiguous_type")
    assert decided.explanation["type"]["matched"][0]["lost"] == "words_differ"
    assert decided.explanation["type"]["guesses"][:2] == ["park.bench", "park.lake"]


def test_a_single_letter_inside_a_known_word_says_nothing_of_its_own() -> None:
    decided = DOMAINS["grid"].decide(
        [event("江边路柏油掉了一大块", domain="grid")],
        Context(DOMAINS["grid"].catalogue, Responsibility((OFFICE,)), NOW),
    )[0]
    assert decided.type == "m06013"  # not an oily road


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("路灯不亮", "m01037"),
        ("加油站出口左边30米井盖下陷", "m01023"),
        ("部件普查：路灯一盏，编码待补", "c01037"),
        ("新装的路灯未登记", "c01037"),
    ],
)
def test_a_report_reaches_the_matter_and_a_note_on_the_register_the_component(text: str, type_: str) -> None:
    grid = DOMAINS["grid"]
    decided = grid.decide([event(text, domain="grid")], Context(grid.catalogue, Responsibility((OFFICE,)), NOW))[0]
    assert decided.type == type_


def test_undecided_events_take_the_gravest_grade_of_their_guesses(park: Catalogue) -> None:
    tied = decide(park, event("座椅和湖水"))[0]
    assert (tied.type, tied.grade) == (None, 3)
    assert tied.explanation["grade"]["rules"] == {
        "guess:park.bench": 4,
        "guess:park.lake": 3,
        "guess:park.bench_missing": 3,
    }
    assert decide(park, event("座椅和湖水", grade=1))[0].grade == 1
    assert decide(park, event("天气不错"))[0].grade == 4


@pytest.mark.parametrize(
    ("domain", "text"),
    [("fire", "火好像在那边"), ("fire", "人困住了"), ("fire", "煤气"), ("water", "大水"), ("emergency", "被埋了")],
)
def test_a_grave_report_that_no_rule_decides_waits_at_no_low_grade(domain: str, text: str) -> None:
    one = DOMAINS[domain]
    decided = one.decide([event(text, domain=domain)], Context(one.catalogue, Responsibility((OFFICE,)), NOW))[0]
    assert decided.grade <= 2


def test_what_nothing_matches_goes_to_triage_with_guesses_at_most_three(park: Catalogue) -> None:
    decided = decide(park, event("椅被偷"))[0]
    assert (decided.triage, decided.lead) == ("no_type", None)
    assert decided.explanation["type"]["guesses"][0] == "park.bench_missing"


@pytest.mark.parametrize(("posted", "grade"), [(None, 4), (1, 1), (3, 3), (4, 4), (0, 4), (7, 4)])
def test_a_posted_grade_raises_and_never_lowers(park: Catalogue, posted: int | None, grade: int) -> None:
    assert decide(park, event("座椅坏了", grade=posted))[0].grade == grade
    assert decide(park, event("座椅坏了，有人受伤", grade=posted))[0].grade == min(grade, 2)


def test_the_first_condition_that_holds_sets_the_limit(park: Catalogue) -> None:
    plain, hurt, apart = decide(park, event("座椅坏了"), event("座椅坏了有人受伤"), event("座椅坏了 头在流血"))
    assert [(one.limit.amount, one.limit.unit) for one in (plain, hurt, apart) if one.limit] == [
        (3, "working_days"),
        (30, "minutes"),
        (30, "minutes"),
    ]
    assert hurt.explanation["limit"]["from"] == "condition:danger"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"method": "outside", "codes": {}}, "outside"),
        ({"method": "none", "codes": {}}, "no_place"),
        ({"codes": {"county": None}}, "no_place"),
        ({"codes": {"county": "B"}}, "no_department"),
    ],
)
def test_without_a_place_or_a_department_a_person_decides(park: Catalogue, given: dict[str, Any], reason: str) -> None:
    decided = decide(park, event("座椅坏了", **given))[0]
    assert (decided.triage, decided.lead, decided.assist, decided.type) == (reason, None, (), "park.bench")
    assert decided.explanation["triage"][0]["zh"] == TRIAGE[reason].zh


def test_every_reason_for_triage_is_told_the_place_first(park: Catalogue) -> None:
    decided = decide(park, event("天气不错", method="outside", codes={}))[0]
    assert [one["reason"] for one in decided.explanation["triage"]] == ["outside", "no_type"]


def test_the_same_device_and_type_share_a_merge_key_and_nothing_else_does(park: Catalogue) -> None:
    one, again, other, none = decide(
        park,
        event("座椅坏了", attributes={"device_id": "d1"}),
        event("座椅又坏了", attributes={"device_id": "d1"}),
        event("座椅坏了", attributes={"device_id": "d2"}),
        event("座椅坏了"),
    )
    assert one.merge_key == again.merge_key == "park.bench|device|d1"
    assert (other.merge_key, none.merge_key) == ("park.bench|device|d2", None)
    assert (one.merges[0].minutes, none.merges[0].minutes) == (60, None)


def test_merging_by_place_needs_a_cell(park: Catalogue) -> None:
    cell, town = decide(park, event("座椅被偷", codes=PLACE | {"cell": "A1-7"}), event("座椅被偷"))
    assert (cell.merge_key, town.merge_key) == ("park.bench_missing|place|A1-7", None)


def test_assisting_duties_become_departments_and_the_lead_does_not_assist_itself(park: Catalogue) -> None:
    police = department("police", "county", ("A",), "police")
    water = department("water", "county", ("A",), "water")
    decided = decide(park, event("湖水漫上来"), departments=(police, water))[0]
    assert (decided.lead, decided.assist) == ("water", ("police",))
    assert decided.explanation["department"]["assist"] == {"police": "police", "nobody": None}
    both = department("both", "county", ("A",), "water", "police")
    assert decide(park, event("湖水漫上来"), departments=(both,))[0].assist == ()


def test_an_explanation_is_json_and_the_same_every_time(park: Catalogue) -> None:
    seen = event("座椅坏了，湖水", attributes={"level": 3, "limit": 9})
    first, second = (json.dumps(decide(park, seen)[0].explanation, ensure_ascii=False) for _ in range(2))
    assert first == second


def test_explain_lists_every_rule_matched_or_not(park: Catalogue) -> None:
    context = Context(park, Responsibility((GARDENS,)), NOW)
    told = explain(event("湖水漫上来", attributes={"level": 3, "limit": 9}), context, route)
    assert {rule["rule"]: rule["holds"] for rule in told["tried"]["rules"]} == {
        "test_mode": False,
        "high": False,
        "any_level": True,
    }
    assert told["explanation"]["type"]["matched"][1]["why"]["zh"] == LOST["rule_wins"].zh
    json.dumps(told)


WORDS = st.text(alphabet="座椅被偷湖水捐赠受伤坏了 bench，。\n", max_size=30)
EVENTS = st.builds(
    event,
    title=WORDS,
    description=WORDS,
    type=st.sampled_from([None, "park.bench", "park.lake", "other"]),
    grade=st.one_of(st.none(), st.integers(-1, 6)),
    attributes=st.dictionaries(
        st.sampled_from(["level", "limit", "mode", "device_id"]),
        st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=4), st.lists(st.integers(), max_size=2)),
    ),
    method=st.sampled_from(["contains", "outside", "none"]),
    codes=st.sampled_from([PLACE, {}, {"county": "B"}]),
    id=st.uuids().map(str),
)


@settings(max_examples=60)
@given(events=st.lists(EVENTS, max_size=8))
def test_decisions_keep_order_are_pure_and_never_lower_a_grade(park: Catalogue, events: list[Filed]) -> None:
    decisions = decide(park, *events)
    assert [one.event_id for one in decisions] == [one.id for one in events]
    assert decisions == decide(park, *events)
    for seen, decided in zip(events, decisions, strict=True):
        worst = park.types[decided.type].row.grade if decided.type else 4
        posted = seen.grade if seen.grade in (1, 2, 3, 4) else 4
        assert 1 <= decided.grade <= min(worst, posted)
        assert (decided.triage is None) == (decided.lead is not None)
        assert decided.triage is None or decided.triage in TRIAGE


@settings(max_examples=40)
@given(title=st.text(max_size=40), description=st.text(max_size=40))
@pytest.mark.parametrize("code", sorted(DOMAINS))
def test_whatever_is_written_every_domain_decides_or_asks(code: str, title: str, description: str) -> None:
    domain = DOMAINS[code]
    seen = event(title, domain=code, description=description)
    decided = domain.decide([seen], Context(domain.catalogue, Responsibility((OFFICE,)), NOW))[0]
    assert (decided.lead is None) == (decided.triage is not None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("三楼有人被困", {"trapped": 1}),
        ("12名工人被埋，3人死亡", {"trapped": 12, "deaths": 3}),
        ("两人受伤", {"injured": 2}),
        ("二十三人失联", {"missing": 23}),
        ("工地塌方埋了3个人", {"trapped": 3}),
        ("无人员伤亡，没有人被困", {}),
        ("未造成人员受伤", {}),
        ("交通困难", {}),
    ],
)
def test_people_are_counted_as_reported_and_denials_are_heard(text: str, expected: dict[str, int]) -> None:
    assert casualties(event(text)) == expected


@pytest.mark.parametrize(("text", "number"), [("7", 7), ("十", 10), ("十五", 15), ("三十", 30), ("四十二", 42)])
def test_chinese_numbers_are_read(text: str, number: int) -> None:
    assert count(text) == number
