"""A CloudEvent's envelope and the event inside it become one event; what is none is refused with field and remedy."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citybrain.intake.cloudevents import event_of, of_headers
from citybrain.intake.foreign_id import LONGEST, foreign_id
from citybrain.problem import Problem

CODES = {"fire": "fire", "fire.building_fire": "fire", "grid": "grid", "m06001": "grid"}
DATA = {"domain": "grid", "title": "河边私搭乱建", "location": {"lng": 116.1222, "lat": 24.2886}}
CLOUD: dict[str, Any] = {
    "specversion": "1.0",
    "id": "A234-1",
    "source": "/gateways/17",
    "type": "gov.meizhou.reported",
    "time": "2026-11-20T08:00:00+08:00",
    "data": DATA,
}
HEADERS = {
    "ce-specversion": "1.0",
    "ce-id": "A234-1",
    "ce-source": "/gateways/17",
    "ce-type": "gov.meizhou.reported",
    "content-type": "application/json; charset=utf-8",
}


def event(**changes: Any) -> dict[str, Any]:
    return event_of({name: value for name, value in (CLOUD | changes).items() if value is not None}, CODES)


def refused(**changes: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        event(**changes)
    return caught.value


def test_source_and_id_together_say_which_event_it_is() -> None:
    """Core 3.1.1: source + id is unique for each distinct event."""
    assert event()["source_event_id"] == "/gateways/17 A234-1"
    assert event(source="/gateways/18")["source_event_id"] != event()["source_event_id"]
    assert event(data=DATA | {"source_event_id": "own"})["source_event_id"] == "/gateways/17 A234-1"


def test_long_or_spaced_ids_are_told_apart_all_the_same() -> None:
    ids = {foreign_id(*parts) for parts in [("a", "b c"), ("a b", "c"), ("a", "b", "c"), ("a" * 200, "b"), ("a", "b")]}
    assert len(ids) == 5
    assert all(len(one) <= LONGEST for one in ids)


def test_the_envelopes_time_is_when_it_happened() -> None:
    data = DATA | {"occurred_at": "2026-11-19T08:00:00+08:00"}
    assert event(data=data)["occurred_at"] == CLOUD["time"]
    assert event(data=data, time=None)["occurred_at"] == data["occurred_at"]


@pytest.mark.parametrize(
    ("type_", "meant"),
    [
        ("gov.meizhou.fire.building_fire", {"domain": "fire", "type": "fire.building_fire"}),
        ("fire.building_fire", {"domain": "fire", "type": "fire.building_fire"}),
        ("gov.meizhou.m06001", {"domain": "grid", "type": "m06001"}),
        ("gov.meizhou.fire", {"domain": "fire"}),
        ("fire", {"domain": "fire"}),
        ("com.example.someevent", {}),
        ("." * 1000, {}),
    ],
)
def test_the_envelopes_type_stands_in_for_a_domain_that_the_data_lack(type_: str, meant: dict[str, str]) -> None:
    without = {name: value for name, value in DATA.items() if name != "domain"}
    found = event(data=without, type=type_)
    assert {name: found[name] for name in ("domain", "type") if name in found} == meant
    assert event(type=type_)["domain"] == "grid"


def test_a_subject_is_the_title_where_there_is_none() -> None:
    assert event(subject="A3 号井")["title"] == DATA["title"]
    assert event(subject="A3 号井", data={"domain": "grid"})["title"] == "A3 号井"


def test_the_envelope_is_kept_with_the_event() -> None:
    kept = event(subject="A3", data=DATA | {"source_event_id": "own", "attributes": {"photos": 2}})["attributes"]
    about = {"id": "A234-1", "source": "/gateways/17", "type": "gov.meizhou.reported", "subject": "A3"}
    assert kept == {"photos": 2, "cloudevent": about | {"source_event_id": "own"}}


def test_what_a_transport_adds_makes_no_other_event() -> None:
    assert event(traceparent="00-1-2-3", dataschema="urn:x") == event()


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type"])
@pytest.mark.parametrize("value", [None, "", 1])
def test_required_attributes_are_non_empty_texts(name: str, value: Any) -> None:
    """Core 3.1: REQUIRED, MUST be a non-empty string."""
    problem = refused(**{name: value})
    assert problem.status == 422
    assert [each.field for each in problem.errors] == [name]


@pytest.mark.parametrize(
    ("changes", "status", "word"),
    [
        ({"specversion": "0.3"}, 422, "specversion"),
        ({"data": None, "data_base64": "e30="}, 422, "data_base64"),
        ({"data": "<alert/>", "datacontenttype": "application/xml"}, 415, "application/json"),
        ({"datacontenttype": "json"}, 415, "application/json"),
        ({"data": "{}"}, 422, "data"),
        ({"data": None}, 422, "data"),
        ({"time": 1763596800}, 422, "time"),
    ],
)
def test_what_is_not_read_is_refused_with_what_to_send(changes: dict[str, Any], status: int, word: str) -> None:
    problem = refused(**changes)
    assert problem.status == status
    assert word in problem.detail


@pytest.mark.parametrize("content", ["application/json", "application/json; charset=UTF-8", "application/geo+json"])
def test_json_has_several_names(content: str) -> None:
    assert event(datacontenttype=content) == event()


@pytest.mark.parametrize("subject", ["%E6%A2%85%20A3", "%e6%a2%85 A3", '"%E6%A2%85\\ A3"'])
def test_headers_are_unquoted_and_decoded_once(subject: str) -> None:
    """Binding 3.1.3.2."""
    cloud = of_headers(HEADERS | {"ce-subject": subject}, b'{"domain": "grid"}')
    assert event_of(cloud, CODES)["title"] == "梅 A3"


@pytest.mark.parametrize("subject", ["%C0%A0", "%FF", "%E6%A2"])
def test_headers_that_are_no_utf_8_are_refused(subject: str) -> None:
    """Binding 3.1.3.2: %C0%A0 is an overlong encoding and MUST be rejected."""
    with pytest.raises(Problem, match="ce-subject"):
        of_headers(HEADERS | {"ce-subject": subject}, b"{}")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=100)
@given(name=st.sampled_from([*CLOUD, "subject", "datacontenttype", "data_base64"]), value=JSON)
def test_an_envelope_with_anything_in_it_is_an_event_or_refused(name: str, value: Any) -> None:
    try:
        found = event_of(CLOUD | {name: value}, CODES)
    except Problem as problem:
        found = {"source_event_id": str(problem.status)}
    assert found["source_event_id"]
