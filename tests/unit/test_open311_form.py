"""A GeoReport v2 form becomes an event's JSON; what is wrong with it is said in the form's own words."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citybrain.city import load_city
from citybrain.config import BUILTIN_CITY
from citybrain.domain import load_domains
from citybrain.installation import Installation
from citybrain.keys import Key, Role
from citybrain.problem import Problem
from domains.grid.open311_form import event_of, public, read_form, repetition_id, services

KEY = Key("app", Role.SOURCE, frozenset(), frozenset(), frozenset())
NOW = 1_763_596_800_000
FORM = b"service_code=m06001&lat=24.2886&long=116.1222&description=%E7%A7%81%E6%90%AD"


@pytest.fixture(scope="module")
def here() -> Installation:
    """As much of one as is asked here: its city and its domains."""
    known = SimpleNamespace(city=load_city(BUILTIN_CITY), domains=load_domains({}))
    return cast(Installation, known)


def event(here: Installation, more: str = "", form: bytes = FORM, key: Key = KEY) -> dict[str, Any]:
    return event_of(read_form(form + b"&" + more.encode()), key, here, NOW)


def test_a_form_is_an_event_of_the_services_domain(here: Installation) -> None:
    found = event(here)
    assert (found["domain"], found["type"], found["description"]) == ("grid", "m06001", "私搭")
    assert found["location"] == {"datum": "wgs84", "lng": 116.1222, "lat": 24.2886}
    assert found["occurred_at"] == "2025-11-20T08:00:00+08:00"
    assert "reporter" not in found


def test_positions_are_wgs_84_unless_the_key_says_otherwise(here: Installation) -> None:
    shifted = Key("app", Role.SOURCE, frozenset(), frozenset(), frozenset(), "gcj02")
    assert event(here, key=shifted)["location"]["datum"] == "gcj02"


def test_who_reported_is_kept_apart_from_what(here: Installation) -> None:
    found = event(here, "first_name=明&last_name=陈&email=a%40b.cn&phone=13800001234&device_id=d1&account_id=7")
    assert found["reporter"] == {"name": "明 陈 <a@b.cn>", "phone": "13800001234"}
    assert found["attributes"] == {}
    assert event(here, "email=a%40b.cn")["reporter"] == {"name": "<a@b.cn>"}


def test_attributes_may_have_several_values_and_a_photo_is_an_address(here: Installation) -> None:
    found = event(here, "attribute[DEPTH]=20&attribute[SEEN][]=a&attribute[SEEN][]=b&media_url=http://127.0.0.1/x.jpg")
    assert found["attributes"] == {"DEPTH": "20", "SEEN": ["a", "b"], "media_url": "http://127.0.0.1/x.jpg"}


def test_a_place_may_be_an_address_or_a_divisions_code(here: Installation) -> None:
    place = event(here, form=b"service_code=m06001&address_string=%E6%A2%85%E6%B1%9F%E5%8C%BA&address_id=441402")
    assert place["location"] == {"address": "梅江区", "division_code": "441402"}


def test_an_empty_parameter_is_none(here: Installation) -> None:
    """ "A null parameter should be treated as equivalent to a non-declared parameter"."""
    assert event(here, "address_string=&phone=&media_url=+") == event(here)


@pytest.mark.parametrize(
    ("form", "status", "word"),
    [
        (b"lat=24.2886&long=116.1222", 400, "service_code"),
        (b"service_code=m0600", 404, "did you mean m06"),
        (b"service_code=fire.building_fire&lat=1&long=1", 404, "service_code"),  # no service of the public
        (b"service_code=m06001&lat=x&long=116.1", 422, "lat"),
        (b"service_code=m06001&lat=nan&long=116.1", 422, "lat"),
        (b"service_code=m06001&address_id=999999", 422, "address_id"),
        (b"service_code=%ff", 400, "UTF-8"),
        (b"a=1&" * 501, 400, "500 fields"),
    ],
)
def test_what_is_wrong_is_said_in_the_forms_words(here: Installation, form: bytes, status: int, word: str) -> None:
    with pytest.raises(Problem, match=word) as caught:
        event(here, form=form)
    assert caught.value.status == status


def test_services_are_the_grids_and_those_that_the_city_brought(here: Installation) -> None:
    assert {domain for domain, _ in services(here).values()} == {"grid"}


def test_the_same_form_has_the_same_id_within_a_window_and_for_one_key() -> None:
    said = public(read_form(FORM + b"&api_key=secret"))
    other = read_form(FORM)
    assert "api_key" not in said
    assert repetition_id(said, "k", 7) == repetition_id(other, "k", 7)
    ids = {repetition_id(said, "k", 7), repetition_id(said, "k", 8), repetition_id(said, "l", 7)}
    ids.add(repetition_id(read_form(FORM + b"&phone=1"), "k", 7))
    assert len(ids) == 4


@settings(max_examples=100)
@given(body=st.binary(max_size=200))
def test_any_bytes_are_a_form_or_refused(here: Installation, body: bytes) -> None:
    try:
        event(here, form=b"service_code=m06001&lat=24.2886&long=116.1222&attribute[a]=1&" + body)
    except Problem as problem:
        refused = problem.status
    else:
        refused = 0
    assert refused in (0, 400, 404, 422)
