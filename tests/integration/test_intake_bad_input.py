"""What is wrong with a posted event is said with field and remedy; nothing of it is kept, and it does no harm."""

import asyncio
import contextlib
import http.client
import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving import Answer, Service
from starlette.types import Message, Receive, Scope, Send

from citybrain.intake.api import Intake
from citybrain.intake.body import DISCARDED, Capped, Room
from citybrain.intake.filing import file
from citybrain.keys import Key, Role
from citybrain.problem import Problem
from citybrain.strict_json import parse_json

EVENTS = "/api/v1/events"
DOORS = (EVENTS, f"{EVENTS}/batch", "/api/v1/locate", "/api/v1/endpoints", "/api/v1/session", "/api/v1/cases/x/note")
MIB = 1024 * 1024
LEFT_OUT = "(left out)"
GOOD: dict[str, Any] = {
    "source_event_id": "gw-17-000123",
    "domain": "grid",
    "type": "m06001",
    "title": "河边私搭乱建",
    "description": "铁皮棚一间",
    "occurred_at": "2026-11-20T08:00:00+08:00",
    "grade": 4,
    "location": {"lng": 116.1222, "lat": 24.2886, "datum": "gcj02", "accuracy_m": 20, "address": "江南街道"},
    "reporter": {"name": "陈小明", "phone": "13800001234"},
    "attributes": {"photos": 2},
}


@pytest.fixture(scope="module")
def clumsy(shared_service: Service) -> str:
    """The key of a source that never says anything right."""
    return shared_service.key("source", "clumsy", domains="grid,water,fire")


@pytest.fixture
def post(shared_service: Service, clumsy: str) -> Iterator[Any]:
    """Posts as the clumsy source; in the end nothing of what it posted is kept."""
    yield lambda body: shared_service.call("POST", EVENTS, body, clumsy)
    assert shared_service.get(f"{EVENTS}?limit=1", clumsy)["items"] == []


def changed(**changes: Any) -> dict[str, Any]:
    """GOOD with other values; `location.lng` names one in the location."""
    event: dict[str, Any] = json.loads(json.dumps(GOOD))
    for path, value in changes.items():
        *above, name = path.split(".")
        inner = event[above[0]] if above else event
        inner[name] = value
        if value == LEFT_OUT:
            del inner[name]
    return event


def refused(answer: Answer, field: str, status: int = 422) -> dict[str, str]:
    """The error about `field`, of an answer that is a problem as RFC 9457 has them."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "detail"} <= set(answer.body)
    assert answer.body["status"] == status
    errors = {error["field"]: error for error in answer.body["errors"]}
    assert field in errors, answer.body
    assert all(error["message"] and error["remedy"] for error in errors.values()), errors
    found: dict[str, str] = errors[field]
    return found


def _shown(value: Any) -> str:
    return repr(value)[:40]


WRONG: dict[str, list[Any]] = {
    "source_event_id": [LEFT_OUT, None, "", "   ", 17, ["a"], {}, True, "x" * 129, "a\0b"],
    "domain": [LEFT_OUT, None, "", 5, [], "x" * 65, "traffic", "GRID"],
    "type": ["", 7, [], "x" * 65, "m99999", "fire.building_fire"],
    "title": [None, 5, [], {}, "x" * 201, "a\0b"],
    "description": [None, 5, ["x"], "x" * 10_001, "\0"],
    "occurred_at": [
        *(LEFT_OUT, None, "", "yesterday", "08:00", 1_700_000_000, "1700000000", "1700000000.5", ["2026-11-20"], {}),
        *("2026-11-20", "2026-11-20T08:00:00", "20.11.2026 08:00", "2026-11-20T08:00:00+08:00 "),
        *("2026-11-20T08:00:00+99:00", "2026-13-20T08:00:00Z", "2026-02-30T08:00:00Z", "2026-11-20T25:00:00Z"),
        *("0001-01-01T00:00:00Z", "1999-12-31T23:00:00Z", "2096-11-20T08:00:00+08:00", "9999-12-31T23:59:59-23:59"),
    ],
    "grade": [0, 5, -1, 2.5, "4", True, False, [], {}, 10**18],
    "location": [
        *(LEFT_OUT, None, "江南街道", [], [116.1, 24.3], 5, {}, {"address": ""}, {"address": "  "}, {"geometry": {}}),
        *({"lng": 116.1}, {"lat": 24.3}, {"lng": 116.1, "lat": None}, {"lng": 116.1, "address": "江南街道"}),
        *({"lng": 0, "lat": 0}, {"lng": 0.0, "lat": -0.0}, {"lng": 24.2886, "lat": 116.1222}),
        {"lng": 2_680_000, "lat": 410_000, "datum": "epsg:4548"},
        {"lng": 1e300, "lat": 1e300, "datum": "epsg:4548"},
    ],
    "location.lng": ["116.1222", True, [], {}, 181, -180.1, 1e300, 10**19],
    "location.lat": ["24.2886", False, [], {}, 90.1, -91, 1e300],
    "location.datum": ["", 5, [], "wgs-84", "epsg:", "epsg:12", "epsg:999999", "epsg:5773", "epsg:2221", "x" * 1000],
    "location.accuracy_m": [-1, 100_001, "20", True, []],
    "location.address": [5, [], "x" * 501, "a\0b"],
    "location.division_code": [441402, "", "x" * 65],
    "location.geometry": ["POINT(116 24)", [], 5, {}, {"type": "Punkt"}, {"type": "Feature", "geometry": None}],
    "location.lon": [116.1],
    "reporter": ["陈小明", [], 5],
    "reporter.name": [5, [], "x" * 101, "a\0b"],
    "reporter.phone": [13_800_001_234, "1" * 51],
    "reporter.mobile": ["13800001234"],
    "attributes": [None, [], "x", 5],
    "attributes.note": ["a\0b"],
    "ocurred_at": ["2026-11-20T08:00:00+08:00"],
}


@pytest.mark.parametrize(("field", "value"), [(name, each) for name in WRONG for each in WRONG[name]], ids=_shown)
def test_wrong_value_is_refused_by_the_name_of_its_field(post: Any, field: str, value: Any) -> None:
    refused(post(changed(**{field: value})), field)


def test_every_mistake_is_told_at_once(post: Any) -> None:
    answer = post({"domain": 5, "grade": 9, "location": {"lng": "x", "lat": 1, "datum": "x"}, "colour": "red"})
    fields = {error["field"] for error in answer.body["errors"]}
    wrong = {"domain", "grade", "location.lng", "location.datum", "colour"}
    assert fields == wrong | {"source_event_id", "occurred_at"}


@pytest.mark.parametrize(
    ("change", "field", "hint"),
    [
        ({"domain": "gird"}, "domain", "did you mean grid?"),
        ({"type": "m6001"}, "type", "did you mean m06001?"),
        ({"location.datum": "gcj-02"}, "location.datum", "really uses"),
        ({"location": {"division_code": "999999"}}, "location.division_code", "/api/v1/divisions"),
        ({"location": {"lng": 24.2886, "lat": 116.1222}}, "location", "exchange them"),
        (
            {"location": {"geometry": {"type": "Point", "coordinates": [24.3, 116.1]}}},
            "location.geometry",
            "[lng, lat]",
        ),
        ({"location": {"lng": 0, "lat": 0}}, "location", "leave lng and lat out"),
        ({"occurred_at": "2026-11-20T08:00:00"}, "occurred_at", "+08:00"),
        ({"occurred_at": "2096-11-20T08:00:00+08:00"}, "occurred_at", "check the clock"),
    ],
    ids=_shown,
)
def test_remedy_says_what_to_do(post: Any, change: dict[str, Any], field: str, hint: str) -> None:
    assert hint in refused(post(changed(**change)), field)["remedy"]


def _square(west: float, south: float, side: float) -> list[list[float]]:
    east, north = west + side, south + side
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def _walk(steps: int, here: random.Random) -> list[list[float]]:
    return [[116.1 + here.random() / 10, 24.2 + here.random() / 10] for _ in range(steps)]


def _star(spikes: int) -> list[list[float]]:
    turns = [(2 * math.pi * step / (2 * spikes), 0.3 if step % 2 else 0.01) for step in range(2 * spikes)]
    ring = [[116.1 + reach * math.cos(turn), 24.2 + reach * math.sin(turn)] for turn, reach in turns]
    return [*ring, ring[0]]


def _circle(vertices: int) -> list[list[float]]:
    turns = [2 * math.pi * step / vertices for step in range(vertices)]
    return [[116.1 + math.cos(turn) / 5, 24.2 + math.sin(turn) / 5] for turn in (*turns, 0)]


def _at(geometry: Any) -> dict[str, Any]:
    return changed(location={"geometry": geometry})


BOWTIE = [[116.1, 24.2], [116.2, 24.3], [116.2, 24.2], [116.1, 24.3], [116.1, 24.2]]
BAD_GEOMETRIES: dict[str, dict[str, Any]] = {
    "self-intersecting": {"type": "Polygon", "coordinates": [BOWTIE]},
    "empty polygon": {"type": "Polygon", "coordinates": []},
    "empty point": {"type": "Point", "coordinates": []},
    "empty collection": {"type": "GeometryCollection", "geometries": []},
    "open ring": {"type": "Polygon", "coordinates": [_square(116.1, 24.2, 0.1)[:-1]]},
    "line of one position": {"type": "LineString", "coordinates": [[116.1, 24.2]]},
    "flat polygon": {"type": "Polygon", "coordinates": [[[116.1, 24.2]] * 5]},
    "hole outside": {"type": "Polygon", "coordinates": [_square(116.1, 24.2, 0.1), _square(117.1, 25.2, 0.1)]},
    "no coordinates": {"type": "Point"},
    "coordinates of another type": {"type": "Polygon", "coordinates": [116.1, 24.2]},
    "one number": {"type": "Point", "coordinates": [116.1]},
    "five numbers": {"type": "Point", "coordinates": [116.1, 24.2, 1, 2, 3]},
    "texts": {"type": "Point", "coordinates": ["116.1", "24.2"]},
    "null": {"type": "Point", "coordinates": [None, None]},
    "swapped": {"type": "Point", "coordinates": [24.2886, 116.1222]},
    "swapped polygon": {"type": "Polygon", "coordinates": [[[y, x] for x, y in _square(116.1, 24.2, 0.1)]]},
    "zero": {"type": "Point", "coordinates": [0, 0]},
    "no degrees": {"type": "LineString", "coordinates": [[116.1, 24.2], [500, 24.2]]},
    "far too large": {"type": "Point", "coordinates": [1e300, 24.2]},
    "20 deep": json.loads('{"type":"GeometryCollection","geometries":[' * 10 + "5" + "]}" * 10),
    "20,001 vertices": {"type": "LineString", "coordinates": [[116 + n / 1e5, 24.2] for n in range(20_001)]},
    "a line of 80 million crossings": {"type": "LineString", "coordinates": _walk(20_000, random.Random(1))},
    "10,000 crossing lines": {
        "type": "MultiLineString",
        "coordinates": [_walk(2, random.Random(seed)) for seed in range(10_000)],
    },
    "a star of 9,000 spikes": {"type": "Polygon", "coordinates": [_star(9_000)]},
    "4,000 shells in each other": {
        "type": "MultiPolygon",
        "coordinates": [[_square(116 - n / 1e4, 24 - n / 1e4, n / 5e3)] for n in range(1, 4_000)],
    },
}


@pytest.mark.parametrize("geometry", BAD_GEOMETRIES.values(), ids=BAD_GEOMETRIES.keys())
def test_bad_geometry_is_refused_in_location_and_at_the_top(post: Any, geometry: dict[str, Any]) -> None:
    refused(post(_at(geometry)), "location.geometry")
    refused(post(changed(location=LEFT_OUT, geometry=geometry)), "location.geometry")


def test_deep_values_are_refused_before_anything_walks_into_them(post: Any) -> None:
    deep = json.loads('{"a":' * 40 + "1" + "}" * 40)
    refused(post(changed(attributes=deep)), "attributes")
    refused(post(_at({"type": "GeometryCollection", "geometries": [deep]})), "location")


RAW: dict[str, bytes] = {
    "nothing": b"",
    "blank": b" \n ",
    "null": b"null",
    "number": b"17",
    "text": b'"event"',
    "array": b"[]",
    "array of events": json.dumps([GOOD]).encode(),
    "two lines": json.dumps(GOOD).encode() + b"\n" + json.dumps(GOOD).encode(),
    "cut off": json.dumps(GOOD).encode()[:-1],
    "form": b"source_event_id=1&domain=grid",
    "xml": b"<event/>",
    "NaN": json.dumps(changed(**{"location.lng": math.nan})).encode(),
    "Infinity": json.dumps(changed(**{"location.lat": math.inf})).encode(),
    "-Infinity": json.dumps(changed(**{"location.accuracy_m": -math.inf})).encode(),
    "1e999": b'{"grade":1e999}',
    "4,000 digits": b'{"grade":' + b"1" * 4_000 + b"}",
    "lone surrogate": json.dumps(changed(title="\ud83d")).encode(),
    "GBK": json.dumps(GOOD, ensure_ascii=False).encode("gbk"),
    "UTF-16": json.dumps(GOOD).encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf" + json.dumps(GOOD).encode(),
    "raw NUL": json.dumps(changed(title="a?b")).encode().replace(b"?", b"\0"),
    "100,000 arrays deep": b"[" * 100_000 + b"]" * 100_000,
    "100,000 objects deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "100,000 brackets": b"[" * 100_000,
    "50,000 collections deep": b'{"geometry":'
    + b'{"type":"GeometryCollection","geometries":[' * 20_000
    + b"]}" * 20_000
    + b"}",
}


@pytest.mark.parametrize("body", RAW.values(), ids=RAW.keys())
def test_body_that_is_no_json_object_is_refused_as_a_whole(post: Any, body: bytes) -> None:
    refused(post(body), "body")


@pytest.mark.parametrize("size", [MIB + 1, 5 * MIB])
@pytest.mark.parametrize("path", [EVENTS, "/api/v1/endpoints", "/api/v1/session", "/api/v1/cases/1/note"])
def test_body_over_one_mebibyte_is_413_for_everyone(shared_service: Service, path: str, size: int) -> None:
    for key in ("", None):
        answer = shared_service.call("POST", path, b'"' + b"x" * (size - 2) + b'"', key)
        assert (answer.status, answer.headers["content-type"]) == (413, "application/problem+json")
        assert "1 MiB" in answer.body["detail"]


@pytest.mark.parametrize("path", [EVENTS, "/api/v1/endpoints"])
@pytest.mark.parametrize("chunks", [17, 200])
def test_body_without_a_length_is_cut_off_while_it_streams(shared_service: Service, path: str, chunks: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", shared_service.port, timeout=10)
    headers = {"Authorization": f"Bearer {shared_service.admin_key}", "Content-Type": "application/json"}
    body = (b" " * 65_536 for _ in range(chunks))
    connection.request("POST", path, body, headers, encode_chunked=True)
    answer = connection.getresponse()
    assert (answer.status, answer.headers["content-type"]) == (413, "application/problem+json")
    answer.read()
    connection.close()


@pytest.mark.parametrize("chunks", [17, 18, 10_000])
def test_no_more_than_the_cap_and_one_chunk_reaches_anyone_who_reads(chunks: int) -> None:
    given, read, answers = iter(range(chunks - 1, -1, -1)), bytearray(), []

    async def receive() -> Message:
        return {"type": "http.request", "body": bytes(65_536), "more_body": next(given) > 0}

    async def send(message: Message) -> None:
        answers.append(message)

    async def reader(_scope: Scope, receive: Receive, _send: Send) -> None:
        with contextlib.suppress(Problem):
            while (message := await receive())["body"]:
                read.extend(message["body"])

    scope = {"type": "http", "path": EVENTS, "headers": []}
    asyncio.run(Capped(reader, MIB, {}, Room(MIB))(scope, receive, send))
    assert len(read) == MIB
    assert answers[0]["status"] == 413
    assert chunks - next(given, 0) <= 17 + DISCARDED / 65_536 + 1


def test_event_of_exactly_one_mebibyte_is_read(post: Any) -> None:
    padding = MIB - len(json.dumps(changed(domain="traffic")))
    refused(post(json.dumps(changed(domain="traffic")).encode() + b" " * padding), "domain")


UNUSUAL: dict[str, Any] = {
    "grade with a fraction of nothing": changed(grade=4.0),
    "huge numbers": changed(attributes={"huge": 10**30, "tiny": 1e-300, "u64": 2**64 - 1}),
    "a text about NUL": changed(title=r"C:\u0000"),
    "emoji and controls": changed(title="🔥\t\x1b[31m", attributes={"": [None, "", {}]}),
    "EPSG in capitals": changed(location={"lng": 410_770, "lat": 2_687_380, "datum": "EPSG:4548"}),
    "Datum in capitals": changed(**{"location.datum": " GCJ02 "}),
    "time without seconds": changed(occurred_at="2026-11-20T08:00Z"),
    "world": _at({"type": "Polygon", "coordinates": [_square(-90, -90, 180)]}),
    "a knot of 500 steps": _at({"type": "LineString", "coordinates": _walk(500, random.Random(2))}),
    "an outline of 15,000 vertices": _at({"type": "Polygon", "coordinates": [_circle(15_000)]}),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_what_is_unusual_but_clear_is_taken(shared_service: Service, name: str) -> None:
    event = UNUSUAL[name] | {"source_event_id": name}
    assert shared_service.call("POST", EVENTS, event).status == 202


def test_content_type_does_not_matter_when_the_body_is_json(shared_service: Service) -> None:
    source = shared_service.key("source", "curl-user")
    for type_ in ("text/plain", "application/x-www-form-urlencoded", "application/cbor", ""):
        event = changed(source_event_id=f"as {type_}")
        assert shared_service.call("POST", EVENTS, event, source, Content_Type=type_).status == 202


def test_of_a_name_given_twice_the_last_counts(shared_service: Service) -> None:
    twice = json.dumps(changed(source_event_id="twice")).encode().replace(b'"domain"', b'"domain": "traffic", "domain"')
    once = shared_service.call("POST", EVENTS, twice)
    assert (once.status, once.body["queue"]) == (202, "grid")
    assert shared_service.call("POST", EVENTS, changed(source_event_id="twice")).status == 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
PATHS = [name for name in GOOD if name != "location"]
PATHS += ["geometry", *(f"location.{name}" for name in (*GOOD["location"], "geometry", "division_code"))]
POSITION = st.lists(st.floats() | st.integers(-200, 200) | st.sampled_from([116.1, 24.2]), max_size=4)
GEOMETRY = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["Point", "LineString", "Polygon", "MultiPolygon", "GeometryCollection"]),
        "coordinates": POSITION | st.lists(POSITION, max_size=6) | st.lists(st.lists(POSITION, max_size=6), max_size=3),
    }
)
MANGLED = st.dictionaries(st.sampled_from(PATHS), JSON | GEOMETRY, max_size=3).map(lambda each: changed(**each))


@pytest.fixture(scope="module")
def intake(new_desk: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intake]:
    desk = new_desk(tmp_path_factory.mktemp("intake"))
    desk.now = 1_795_000_000_000  # 2026-11-18
    yield Intake(desk.here, None, None)  # type: ignore[arg-type]
    desk.here.store.close()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=JSON | MANGLED | GEOMETRY.map(_at))
def test_any_json_is_filed_or_refused_with_a_remedy(intake: Intake, value: Any) -> None:
    key = Key("anyone", Role.SOURCE, frozenset(), frozenset(), frozenset())
    try:
        filing = intake.check(parse_json(json.dumps(value).encode()), key)
    except Problem as found:
        problem = found
    else:
        assert file([filing], intake.installation)[0].outcome in ("new", "known", "conflict")
        return
    assert problem.status == 422
    assert problem.errors
    assert all(error.field and error.message and error.remedy for error in problem.errors)
    json.dumps(problem.as_dict()).encode()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200) | JSON.map(lambda each: json.dumps(each).encode()))
def test_any_bytes_get_an_answer(shared_service: Service, body: bytes) -> None:
    for path in DOORS:
        assert shared_service.call("POST", path, body).status in (200, 202, 400, 401, 403, 404, 409, 413, 422)


def test_no_process_ended_and_nothing_unforeseen_is_in_the_log(shared_service: Service) -> None:
    log = Path(shared_service.data.parent / f"{shared_service.data.name}.log").read_text(errors="replace")
    assert " ended (" not in log
    assert "Traceback" not in log
