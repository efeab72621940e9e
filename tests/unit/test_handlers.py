"""Facts about the six built-in domains: what their handlers know that words alone do not say."""

from datetime import UTC, datetime
from typing import Any

import pytest

from citybrain.domain import load_domains
from citybrain.routing.context import Context
from citybrain.routing.decision import Decision
from citybrain.routing.departments import Department
from citybrain.routing.report import Filed
from citybrain.routing.responsibility import Responsibility

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
DOMAINS = load_domains({})
OFFICE = Department("office", "署", "Office", "county", ("A",), tuple(DOMAINS), tuple(DOMAINS), None)


def decide(domain: str, title: str = "", type: str | None = None, **attributes: Any) -> Decision:
    seen = Filed(
        id="e",
        domain=domain,
        occurred_at=NOW,
        title=title,
        type=type,
        attributes=attributes,
        codes={"county": "A"},
        method="contains",
    )
    found = DOMAINS[domain]
    return found.decide([seen], Context(found.catalogue, Responsibility((OFFICE,)), NOW))[0]


def outcome(decision: Decision) -> tuple[str | None, int]:
    return decision.type, decision.grade


def test_an_alarm_of_a_panel_under_test_is_no_fire() -> None:
    real = decide("fire", component_type=40, states=["fire"], running=True)
    tested = decide("fire", type="fire.smoke_alarm", component_type=40, states=["fire"], running=False)
    assert (real.type, tested.type) == ("fire.smoke_alarm", "fire.system_test")


def test_a_fault_is_no_fire_and_a_fire_beside_a_fault_is_one() -> None:
    assert decide("fire", states=["fault"], running=True).type == "fire.device_fault"
    assert decide("fire", states=["fault", "fire"], running=True).type == "fire.panel_alarm"


def test_people_trapped_make_a_fire_graver_and_quicker_unless_denied() -> None:
    trapped = decide("fire", "路边一辆小车自燃，司机被困车内")
    denied = decide("fire", "路边一辆小车自燃，没有人被困")
    assert (outcome(trapped), outcome(denied)) == (("fire.vehicle_fire", 2), ("fire.vehicle_fire", 3))
    assert decide("fire", "居民楼起火，12人被困").grade == 1


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (76.9, None),
        (77.0, "water.over_warning_level"),
        (78.69, "water.over_warning_level"),
        (78.7, "water.near_guarantee_level"),
        (79.0, "water.over_guarantee_level"),
        (81.0, "water.over_design_level"),
        ("77.5", "water.over_warning_level"),
    ],
)
def test_the_level_against_its_marks_gives_the_flood_colour(level: Any, expected: str | None) -> None:
    decided = decide("water", water_level=level, warning_level=77, guarantee_level=79, design_level=81)
    assert decided.type == expected


@pytest.mark.parametrize("level", ["FF", "FFFFFF", "ffffffff", "", None, float("nan"), 99999.9, True])
def test_no_value_is_never_a_water_level(level: Any) -> None:
    decided = decide("water", water_level=level, warning_level=77, guarantee_level=79, design_level=81)
    assert decided.type in (None, "water.no_water_value")


def test_a_mark_that_is_missing_reaches_nothing() -> None:
    assert decide("water", water_level=500).type is None
    assert decide("water", water_level=500, warning_level="FFFF").type is None


def test_a_return_period_counts_like_a_level() -> None:
    assert decide("water", return_period_years=20).type == "water.over_guarantee_level"
    assert decide("water", return_period_years=50).type == "water.over_design_level"


def test_a_test_report_of_a_station_raises_no_flood() -> None:
    assert decide("water", function="30H", water_level=90, warning_level=77).type == "water.station_test"


def reading(flag: str | None = "N", value: Any = 120, limit: Any = 50, **more: Any) -> dict[str, Any]:
    given = {"pollutant": "w01018", "value": value, "limit": limit, **more}
    return given if flag is None else given | {"flag": flag}


@pytest.mark.parametrize("flag", ["M", "C", "D", "F", "S", "T", "B", "", None])
def test_only_a_normal_value_raises_an_exceedance(flag: str | None) -> None:
    posted = decide("environment", type="environment.water_exceedance", medium="water", readings=[reading(flag)])
    assert posted.type in ("environment.monitor_fault", "environment.monitor_service")
    assert decide("environment", medium="water", readings=[reading("N")]).type == "environment.water_exceedance"


@pytest.mark.parametrize(("value", "grade"), [(51, 3), (99, 3), (100, 2), (250, 1)])
def test_how_far_over_its_limit_a_value_is_sets_the_grade(value: float, grade: int) -> None:
    assert outcome(decide("environment", medium="water", readings=[reading(value=value)])) == (
        "environment.water_exceedance",
        grade,
    )


@pytest.mark.parametrize("value", [50, 49.9, 0, None, "--", float("nan")])
def test_a_value_within_its_limit_or_none_at_all_raises_nothing(value: Any) -> None:
    assert decide("environment", medium="water", readings=[reading(value=value)]).type is None


def test_an_abnormal_reading_beside_a_normal_one_does_not_count() -> None:
    decided = decide("environment", medium="water", readings=[reading("D", value=900), reading(value=60)])
    assert decided.explanation["derived"]["exceedance"] == 1.2


def test_a_lower_limit_can_be_broken_too() -> None:
    acid = reading(value=3.0, limit=9, limit_low=6, pollutant="w01001")
    assert outcome(decide("environment", medium="water", readings=[acid])) == ("environment.water_exceedance", 2)


@pytest.mark.parametrize(
    ("aqi", "expected"),
    [
        (100, (None, 4)),
        (101, ("environment.ambient_air_moderate", 4)),
        (201, ("environment.ambient_air_heavy", 2)),
        (301, ("environment.ambient_air_heavy", 1)),
    ],
)
def test_the_air_quality_index_falls_into_bands(aqi: int, expected: tuple[str | None, int]) -> None:
    assert outcome(decide("environment", aqi=aqi)) == expected


def test_a_warning_colour_never_sets_the_grade_and_an_incident_grade_never_the_colour() -> None:
    red = decide("emergency", cap_event="暴雨", warning_colour="红色", cap_status="Actual")
    blue = decide("emergency", cap_event="暴雨", warning_colour="blue", cap_status="Actual")
    assert red.grade == blue.grade == 3
    assert red.limit != blue.limit
    graded = decide("emergency", cap_event="暴雨", warning_colour="blue", incident_grade="Ⅰ级")
    assert (graded.grade, graded.explanation["derived"]["colour"]) == (1, "blue")


@pytest.mark.parametrize(
    ("grade", "expected"), [("Ⅰ", 1), ("II", 2), (2, 2), ("较大", 3), ("特别重大", 1), ("", 3), ("红色", 3), (True, 3)]
)
def test_incident_grades_are_read_as_people_write_them(grade: Any, expected: int) -> None:
    assert decide("emergency", "国道两车相撞", incident_grade=grade).grade == expected


def test_a_colour_counts_only_beside_the_word_warning() -> None:
    assert "derived" not in decide("emergency", "红色小车侧翻").explanation
    assert decide("emergency", "发布暴雨红色预警").explanation["derived"] == {"colour": "red"}


@pytest.mark.parametrize("status", ["Exercise", "Test", "Draft"])
def test_an_exercise_is_no_warning_whatever_type_is_posted(status: str) -> None:
    decided = decide("emergency", type="emergency.rainstorm_warning", cap_event="暴雨", cap_status=status)
    assert decided.type == "emergency.exercise"


@pytest.mark.parametrize(
    ("title", "grade"), [("国道两车相撞，1人死亡", 3), ("国道两车相撞，10人死亡", 2), ("国道两车相撞，30人死亡", 1)]
)
def test_casualties_set_the_grade_of_an_accident(title: str, grade: int) -> None:
    assert outcome(decide("emergency", title)) == ("emergency.traffic_accident", grade)


def test_the_national_digits_alone_are_a_matter_unless_a_component_is_numbered() -> None:
    assert decide("grid", type="01037").type == "m01037"
    assert decide("grid", type="01037", component_id="441402-01037-000017").type == "c01037"
    assert decide("grid", type="06001").type == "m06001"
    assert decide("grid", type="m01037", component_id="441402-01037-000017").type == "m01037"


@pytest.mark.parametrize(
    ("title", "amount", "unit"),
    [
        ("燃气井盖被偷", 2, "urgent_hours"),
        ("污水井盖破损", 4, "working_hours"),
        ("雨水井盖下沉", 5, "working_days"),
        ("雨水箅子堵了", 1, "working_days"),
    ],
)
def test_one_cover_has_several_limits_by_condition(title: str, amount: float, unit: str) -> None:
    limit = decide("grid", title).limit
    assert limit is not None
    assert (limit.amount, limit.unit) == (amount, unit)


@pytest.mark.parametrize("title", ["三楼好像失火了", "屋里有股煤气的味道", "有人困在里面", "山洪"])
def test_danger_told_to_the_grid_waits_for_a_person_at_no_low_grade(title: str) -> None:
    assert outcome(decide("grid", title)) == (None, 2)


def test_what_was_weighed_short_is_found_from_two_percent_on() -> None:
    assert decide("market", weight_claimed_g=2500, weight_measured_g=2050).type == "market.short_weight"
    assert decide("market", weight_claimed_g=2500, weight_measured_g=2460).triage == "no_type"
    assert decide("market", weight_claimed_g=0, weight_measured_g=10).triage == "no_type"


def test_a_lift_is_overdue_the_day_after_its_inspection_was_due() -> None:
    assert decide("market", equipment="lift", inspection_due="2026-11-22").type == "market.lift"
    assert decide("market", equipment="lift", inspection_due="2026-11-23").triage == "no_type"
    assert decide("market", equipment="lift", inspection_due="soon").triage == "no_type"


def test_food_that_made_somebody_ill_is_graver_and_more_urgent() -> None:
    ill = decide("market", "吃了外卖拉肚子，里面有异物")
    assert outcome(ill) == ("market.delivery_food", 2)
    assert ill.limit is not None
    assert (ill.limit.amount, ill.limit.unit) == (4, "urgent_hours")
