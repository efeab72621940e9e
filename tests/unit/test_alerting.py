"""One alert is one event: its place, its thread, its colour and its grade, each from where the standard has it."""

from typing import Any

import pytest
from alerts import INFO, alert, area

from citybrain.city import City, load_city
from citybrain.config import BUILTIN_CITY
from citybrain.problem import Problem
from domains.emergency.alerting import Earlier, event_of
from domains.emergency.cap import decode

SETTINGS = {
    "cap_languages": ["zh", "en"],
    "cap_colour_parameters": ["warning_colour"],
    "cap_grade_parameters": ["incident_grade"],
}
BEFORE = Earlier(
    "a@b first", "emergency.rainstorm_warning", "暴雨橙色预警", {"division_code": "441402", "datum": "wgs84"}
)


@pytest.fixture(scope="module")
def city() -> City:
    return load_city(BUILTIN_CITY)


def event(city: City, text: str, earlier: Earlier | None = None) -> dict[str, Any]:
    return event_of(decode(text.encode()), earlier, SETTINGS, city)


def test_an_alert_is_an_event_of_the_emergency_domain(city: City) -> None:
    found = event(city, alert())
    assert (found["domain"], found["title"]) == ("emergency", "暴雨橙色预警")
    assert found["source_event_id"] == "qx@meizhou.example MZ-20261122-1"
    assert found["occurred_at"] == "2026-11-22T08:00:00+08:00"
    assert "type" not in found


def test_colour_and_grade_are_two_fields(city: City) -> None:
    found = event(city, alert())["attributes"]
    assert (found["warning_colour"], found["incident_grade"]) == ("橙色", "Ⅱ")
    plain = INFO.replace("warning_colour", "x").replace("incident_grade", "y")
    assert not {"warning_colour", "incident_grade"} & set(event(city, alert(plain))["attributes"])
    coloured = event(city, alert(plain.replace("Severe", "Orange")))["attributes"]
    assert coloured["warning_colour"] == "Orange"


def test_all_areas_are_one_place_in_wgs_84(city: City) -> None:
    two = INFO + INFO.replace(",116.", ",117.").replace("zh-CN", "en-US")
    place = event(city, alert(two))["location"]
    assert (place["geometry"]["type"], place["datum"], place["address"]) == ("MultiPolygon", "wgs84", "梅江区")


@pytest.mark.parametrize("code", ["441402", "441402000000", " 441402000 "])
def test_an_area_without_ground_lies_where_its_code_says(city: City, code: str) -> None:
    found = event(city, alert(area("").replace("441402", code)))["location"]
    assert found == {"address": "梅江区", "division_code": "441402"}


@pytest.mark.parametrize("code", ["006109", "441400", "000000"])
def test_a_code_that_is_no_division_here_leaves_the_areas_name(city: City, code: str) -> None:
    assert event(city, alert(area("").replace("441402", code)))["location"] == {"address": "梅江区"}


def test_the_preferred_language_gives_the_title(city: City) -> None:
    english = INFO.replace("zh-CN", "en-US").replace("暴雨橙色预警", "Orange rainstorm warning")
    assert event(city, alert(english + INFO))["title"] == "暴雨橙色预警"
    assert event(city, alert(english))["title"] == "Orange rainstorm warning"


def test_an_update_belongs_to_the_thread_of_the_first_alert(city: City) -> None:
    refs = "a@b,second,2026-11-22T07:30:00+08:00 a@b,first,2026-11-22T07:00:00+08:00"
    update = alert(msgType="Update", references=refs)
    assert event(city, update)["attributes"]["cap_thread"] == "a@b first"
    assert event(city, update, BEFORE)["attributes"]["cap_thread"] == BEFORE.thread
    assert event(city, alert())["attributes"]["cap_thread"] == "qx@meizhou.example MZ-20261122-1"


def test_a_cancellation_takes_what_it_does_not_say_from_what_it_cancels(city: City) -> None:
    refs = "a@b,first,2026-11-22T07:00:00+08:00"
    found = event(city, alert("", msgType="Cancel", references=refs), BEFORE)
    assert (found["type"], found["title"]) == (BEFORE.type, "解除：暴雨橙色预警")
    assert found["location"] == BEFORE.location
    alone = event(city, alert("", msgType="Cancel", references=refs))
    assert "type" not in alone
    assert alone["location"] == {"address": "梅州市"}


@pytest.mark.parametrize(("message", "body"), [("Ack", INFO), ("Error", INFO), ("Alert", ""), ("Update", "")])
def test_what_reports_nothing_is_refused(city: City, message: str, body: str) -> None:
    with pytest.raises(Problem) as caught:
        event(city, alert(body, msgType=message))
    assert caught.value.status == 422
    assert caught.value.errors[0].remedy
