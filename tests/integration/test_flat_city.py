"""In a city whose levels do not nest one level may be found without another: such a case has a place, is told by the
levels that were found, and belongs to the city."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from fastapi.testclient import TestClient
from proven import Proven, moment

from citybrain.app import build
from citybrain.casework import reading
from citybrain.city import load_city
from citybrain.console.choices import place_name, queue_places
from citybrain.domain import load_domains
from citybrain.indicators.coverage import coverage
from citybrain.indicators.scope import scope_of
from citybrain.intake.placing import place_of
from citybrain.intake.reading import list_events
from citybrain.keys import Key, Role, create_key
from citybrain.problem import Problem

PACK = Path(__file__).parents[1] / "cities" / "baltimore"
COUNCIL, POLICE, HOOD = "CD-12", "PD-C", "NB-001"
FIRE = {"domain": "fire", "type": "fire.building_fire"}


def key(*divisions: str) -> Key:
    return Key("chen", Role.OPERATOR, frozenset(), frozenset(divisions), frozenset())


@pytest.fixture(scope="module")
def baltimore(editions: Path) -> Any:
    city = load_city(PACK)
    return city, load_domains({}), city.locator(editions)


@pytest.fixture
def desk(tmp_path: Path, new_desk: Any, baltimore: Any) -> Iterator[Desk]:
    made: Desk = new_desk(tmp_path, others=baltimore)
    yield made
    made.here.store.close()


def queues(desk: Desk, asker: Key) -> dict[str | None, int]:
    with desk.here.store.read() as tx:
        found = reading.queues(tx, asker, desk.here)
    return {
        each["division"]: each["waiting"] + each["working"] + each["triage"]
        for each in found
        if each["domain"] == "fire"
    }


def listed(desk: Desk, division: str, asker: Key) -> set[str]:
    with desk.here.store.read() as tx:
        return {
            each["id"]
            for each in reading.list_cases(tx, asker, desk.here, {"division": division, "limit": 50})["items"]
        }


def test_a_case_without_the_first_level_is_not_one_without_a_place(desk: Desk) -> None:
    council = desk.open(location={"division_code": COUNCIL}, **FIRE).id
    hood = desk.open(location={"division_code": HOOD}, **FIRE).id
    nowhere = desk.open(location={"address": "somewhere"}, **FIRE).id
    assert queues(desk, key()) == {COUNCIL: 1, "no-county": 1, None: 1}
    assert listed(desk, COUNCIL, key()) == {council}
    assert listed(desk, "no-county", key()) == {hood}
    assert listed(desk, "none", key()) == {nowhere}
    assert listed(desk, "no-village", key()) == {council}
    assert listed(desk, "no-such", key()) == set()


def test_events_that_wait_are_told_the_same_way(desk: Desk) -> None:
    council, hood = desk.report(
        {"location": {"division_code": COUNCIL}, **FIRE}, {"location": {"division_code": HOOD}, **FIRE}
    )
    assert queues(desk, key()) == {COUNCIL: 1, "no-county": 1, None: 0}

    def seen(division: str) -> list[str]:
        return [each["id"] for each in list_events(key(), desk.here, division=division, limit=50)["items"]]

    assert (seen("no-county"), seen("none"), seen(COUNCIL)) == ([hood], [], [council])


def test_a_key_for_divisions_of_any_level_sees_what_lies_in_them(desk: Desk) -> None:
    both = desk.open(location={"division_codes": [COUNCIL, POLICE]}, **FIRE).id
    hood = desk.open(location={"division_code": HOOD}, **FIRE).id
    assert queues(desk, key(POLICE)) == {None: 0, COUNCIL: 1}
    assert queues(desk, key(HOOD)) == {None: 0, "no-county": 1}
    assert listed(desk, POLICE, key(POLICE)) == {both}
    assert listed(desk, "no-county", key(HOOD, POLICE)) == {hood}
    assert listed(desk, "no-county", key(POLICE)) == set()


def test_the_desk_shows_every_queue_that_has_something(desk: Desk) -> None:
    city = desk.here.city
    every = [each.code for each in queue_places(city, key())]
    assert len(every) == 14 + 2
    assert every[-2:] == ["no-county", "none"]
    assert [place_name(city, code) for code in every[-2:]] == ["无所属Council district", "未定位"]
    assert [each.code for each in queue_places(city, key(COUNCIL))] == [COUNCIL]
    assert len(queue_places(city, key(POLICE))) == 14


def test_the_city_is_covered_by_a_case_without_its_first_level(desk: Desk) -> None:
    record = Proven(desk.here.store)
    desk.now = moment("2026-12-20 12:00")
    record.key("worker", "worker")
    record.endpoint()
    record.whole("fire", moment("2026-12-01 09:00"), village=HOOD)
    record.case("water", moment("2026-12-01 09:00"), village=HOOD)
    record.write()
    with desk.here.store.read() as tx:
        whole = coverage(tx, desk.here, scope_of(desk.here.city, key(), "city", None, None), desk.now, False)
    fire, water = (next(each for each in whole["industries"] if each["code"] == code) for code in ("fire", "water"))
    assert (fire["earned"], water["earned"]) == (True, False)
    assert "no_case" not in {each["code"] for each in water["missing"]}  # it has one, not yet worked


def test_whoever_places_by_hand_may_say_one_division_of_each_kind(desk: Desk) -> None:
    place = place_of({"division_codes": [HOOD, COUNCIL, POLICE]}, desk.here)
    assert [place[level]["code"] for level in ("county", "town", "village")] == [COUNCIL, POLICE, HOOD]
    assert place["method"] == "division"
    for codes, told in (
        ([COUNCIL, "CD-01"], "they contradict each other: CD-12 and CD-01 of county (Council district)"),
        ([COUNCIL, "CD-99"], "no division 'CD-99'"),
    ):
        with pytest.raises(Problem, match="division_codes") as refused:
            place_of({"division_codes": codes}, desk.here)
        assert told in refused.value.detail
    with pytest.raises(Problem, match="either division_code or division_codes"):
        place_of({"division_codes": [HOOD], "division_code": HOOD}, desk.here)


def test_remedies_are_in_the_citys_own_codes_and_coordinates(desk: Desk) -> None:
    report = {"source_event_id": "1", "domain": "fire", "occurred_at": "2026-01-05 08:00", "location": {}}
    with pytest.raises(Problem) as refused:
        desk.report(report)
    remedies = {each.field: each.remedy for each in refused.value.errors}
    assert remedies["location"] == 'as in {"lng": -76.62, "lat": 39.285, "datum": "wgs84"}'
    assert "2026-11-22T08:00:00-05:00" in remedies["occurred_at"]
    with pytest.raises(Problem) as refused:
        desk.report({"location": {"division_code": "441402"}, **FIRE})
    assert refused.value.errors[0].remedy == "a code of GET /api/v1/divisions, such as CD-01 (Council District 1)"
    with pytest.raises(Problem) as refused:
        scope_of(desk.here.city, key(), "ward", None, None)
    assert "town (Police district)" in refused.value.errors[0].remedy


@pytest.fixture
def pages(desk: Desk) -> TestClient:
    """A browser in which the administrator is signed in."""
    browser = TestClient(build(desk.here), base_url="https://testserver")
    with desk.here.store.write() as tx:
        plain = create_key(tx, "admin", "admin", desk.now, "test")
    session = browser.post("/api/v1/session", json={"key": plain})
    browser.headers["X-CSRF-Token"] = session.json()["csrf_token"]
    return browser


def test_the_desk_tells_no_council_district_from_no_place(desk: Desk, pages: TestClient) -> None:
    hood = desk.open(location={"division_code": HOOD}, title="house on fire", **FIRE)
    nowhere = desk.open(location={"address": "somewhere"}, title="fire, no idea where", **FIRE)
    page = pages.get("/queues").text
    assert page.count(">无所属Council district</a>") == len(desk.here.domains)
    for asked, case in (("no-county", hood), ("none", nowhere)):
        listed_there = pages.get(f"/cases?division={asked}").text
        assert [f"/cases/{each.id}" in listed_there for each in (hood, nowhere)] == [case is hood, case is nowhere]


def test_the_form_sends_every_division_that_was_chosen(desk: Desk, pages: TestClient) -> None:
    case = desk.open(location={"address": "somewhere"}, **FIRE)
    page = pages.get(f"/cases/{case.id}").text
    assert "各种区划互不隶属" in page
    form = {"csrf": pages.headers["X-CSRF-Token"], "version": str(case.version), "reason": "caller told us"}
    moved = pages.post(f"/cases/{case.id}/relocate", data=form | {"county": COUNCIL, "town": POLICE, "village": HOOD})
    assert moved.status_code == 200
    now = desk.case(case.id)
    assert (now.county, now.town, now.village) == (COUNCIL, POLICE, HOOD)


def test_reasons_call_the_levels_as_the_city_does(desk: Desk, pages: TestClient) -> None:
    case = desk.open(location={"division_code": COUNCIL}, **FIRE)
    page = pages.get(f"/cases/{case.id}").text
    assert "Council District 12：没有登记" in page
    assert "Baltimore：Baltimore City Fire Department" in page
    hood = desk.open(location={"division_code": HOOD}, **FIRE)
    assert "Council district：没有登记" in pages.get(f"/cases/{hood.id}").text
