"""Where a point is, what the divisions are, and lists that are walked page by page."""

import base64
import json
import random
from typing import Any
from urllib.parse import quote

import pytest
import shapely
from serving import Answer, Service

EVENTS, LOCATE = "/api/v1/events", "/api/v1/locate"
LEVELS = ("county", "town", "village", "cell")
VILLAGE = "441422114201"
SORTS = ("newest", "oldest", "due", "grade", "updated")


def refused(answer: Answer, field: str) -> None:
    assert answer.status == 422, answer
    assert answer.headers["content-type"] == "application/problem+json"
    errors = {error["field"]: error for error in answer.body["errors"]}
    assert field in errors, answer.body
    assert errors[field]["message"]
    assert errors[field]["remedy"]


def test_point_has_a_place_with_all_that_the_contract_names(shared_service: Service) -> None:
    place = shared_service.get(f"{LOCATE}?lng=116.1222&lat=24.2886&datum=gcj02")
    assert place["county"] == {"code": "441402", "name": "梅江区"}
    assert place["town"] == {"code": "441402004", "name": "江南街道"}
    assert place["village"]["code"].startswith("441402004")
    assert place["cell"]["code"].startswith(place["village"]["code"])
    assert place["method"] == "contains"
    assert {"edition", "wgs84", "near_edge", "candidates", "shares"} <= set(place)
    assert place["wgs84"]["lng"] == pytest.approx(116.1222 - 0.0048, abs=1e-3)


def test_every_datum_of_one_point_is_one_place(shared_service: Service) -> None:
    spellings = {"gcj02": (116.1222, 24.2886), "bd09": (116.128754, 24.294492), "EPSG:4490": (116.117367, 24.291391)}
    cells = {
        name: shared_service.get(f"{LOCATE}?lng={lng}&lat={lat}&datum={name}")["cell"]
        for name, (lng, lat) in spellings.items()
    }
    assert len({cell["code"] for cell in cells.values()}) == 1, cells


def test_datum_of_a_key_holds_where_none_is_named(shared_service: Service) -> None:
    surveyor = shared_service.key("source", "surveyor", datum="wgs84")
    at = f"{LOCATE}?lng=116.1222&lat=24.2886"
    assert shared_service.get(at, surveyor)["wgs84"] == {"lng": 116.1222, "lat": 24.2886}
    assert shared_service.get(at)["wgs84"] != {"lng": 116.1222, "lat": 24.2886}
    both = [shared_service.post(LOCATE, {"points": [[116.1222, 24.2886]]}, key)["cell"] for key in (surveyor, None)]
    assert both[0] != both[1]


def test_point_outside_the_city_is_outside(shared_service: Service) -> None:
    place = shared_service.get(f"{LOCATE}?lng=113.26&lat=23.13")
    assert (place["method"], place["county"], place["cell"]) == ("outside", None, None)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "lng"),
        ("lng=116.1", "lat"),
        ("lng=abc&lat=24.3", "lng"),
        ("lng=nan&lat=24.3", "lng"),
        ("lng=116.1&lat=1e999", "lat"),
        ("lng=181&lat=24.3", "location.lng"),
        ("lng=116.1&lat=-91", "location.lat"),
        ("lng=0&lat=0", "location"),
        ("lng=24.2886&lat=116.1222", "location"),
        ("lng=116.1&lat=24.3&datum=wgs-84", "location.datum"),
        ("lng=116.1&lat=24.3&datum=epsg:2221", "location.datum"),
        ("lng=116.1&lat=24.3&datum=epsg:99999999999999999999", "datum"),
        ("lng=1e300&lat=24.3&datum=epsg:4548", "location"),
    ],
)
def test_bad_point_is_refused_by_its_field(shared_service: Service, query: str, field: str) -> None:
    refused(shared_service.call("GET", f"{LOCATE}?{query}"), field)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "points"),
        ({"points": None}, "points"),
        ({"points": "116,24"}, "points"),
        ({"points": [[116]]}, "points.0.1"),
        ({"points": [[116, 24], [116, 24, 5]]}, "points.1"),
        ({"points": [["116", 24]]}, "points.0.0"),
        ({"points": [[116, True]]}, "points.0.1"),
        ({"points": [[116, None]]}, "points.0.1"),
        (b'{"points": [[NaN, 24]]}', "body"),
        (b'{"points": [[116, 1e999]]}', "body"),
        ({"points": [], "datum": "x"}, "datum"),
        ({"points": [], "datum": 5}, "datum"),
        ({"points": [], "levels": ["city"]}, "levels"),
        ({"points": [], "levels": "town"}, "levels"),
        ({"points": [], "colour": "red"}, "colour"),
        ({"points": [[116.1, 24.2]] * 100_001}, "points"),
        ({"points": [["x", "y"]] * 100_000}, "points.0.0"),
        (b'{"points": [' + b"[]," * 1_000_000 + b"[]]}", "body"),
        ([], "body"),
        (b"", "body"),
        (b"{", "body"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_bad_points_are_refused_by_their_field(shared_service: Service, body: Any, field: str) -> None:
    refused(shared_service.call("POST", LOCATE, body), field)


def test_one_hundred_thousand_points_are_located_at_once(shared_service: Service) -> None:
    here = random.Random(7)
    points = [[here.uniform(115.2, 117.0), here.uniform(23.2, 25.0)] for _ in range(100_000)]
    found = shared_service.post(LOCATE, {"points": points, "datum": "wgs84"})
    assert {level: len(codes) for level, codes in found.items()} == dict.fromkeys(LEVELS, 100_000)
    inside = [number for number, code in enumerate(found["county"]) if code]
    assert 30_000 < len(inside) < 70_000
    for number in [*inside[:10], *range(10)]:
        lng, lat = points[number]
        place = shared_service.get(f"{LOCATE}?lng={lng}&lat={lat}&datum=wgs84")
        codes = {level: place[level]["code"] if place[level] else None for level in LEVELS}
        assert place["method"] == "snapped" or codes == {level: found[level][number] for level in LEVELS}


def test_columns_in_give_the_same_columns_out(shared_service: Service) -> None:
    points = [[116.1222, 24.2886], [0.0, 0.0], [116.4, 24.0]]
    columns = {"lng": [lng for lng, _ in points], "lat": [lat for _, lat in points]}
    assert shared_service.post(LOCATE, columns) == shared_service.post(LOCATE, {"points": points})
    refused(shared_service.call("POST", LOCATE, {"lng": [116.1]}), "lat")
    refused(shared_service.call("POST", LOCATE, {"lng": [116.1], "lat": [24.1, 24.2]}), "lat")
    refused(shared_service.call("POST", LOCATE, {"lng": [116.1, "x"], "lat": [24.1, 24.2]}), "lng.1")
    refused(shared_service.call("POST", LOCATE, {**columns, "points": points}), "lng")


def test_explanation_tells_every_polygon_that_was_tried_and_why_the_winner_won(shared_service: Service) -> None:
    query = "lng=116.1222&lat=24.2886&datum=gcj02"
    told = shared_service.get(f"{LOCATE}/explain?{query}")
    assert told["place"] == shared_service.get(f"{LOCATE}?{query}")
    assert [each["level"] for each in told["levels"]] == list(LEVELS)
    for each in told["levels"]:
        assert each["winner"] == told["place"][each["level"]]["code"]
        assert each["box"] in ("inside", "cut", "mixed")
        covering = [tried["code"] for tried in each["tried"] if tried["covers"]]
        assert each["winner"] == min(covering)
        assert each["because"].startswith(each["winner"])
        assert all(tried["edge_m"] >= 0 for tried in each["tried"])


def test_explanation_of_a_border_names_both_sides_and_the_lowest_code(shared_service: Service) -> None:
    """A corner of the county's polygon is a corner of its neighbours' too, or lies on the city's rim."""
    boundaries = shared_service.get("/api/v1/boundaries/county.geojson")
    shapes = {each["properties"]["code"]: each["geometry"] for each in boundaries["features"]}
    ring = shapes["441402"]["coordinates"]
    lng, lat = (ring[0] if shapes["441402"]["type"] == "Polygon" else ring[0][0])[0]
    told = shared_service.get(f"{LOCATE}/explain?lng={lng}&lat={lat}&datum=wgs84&accuracy_m=25")
    county = told["levels"][0]
    covering = [tried["code"] for tried in county["tried"] if tried["covers"]]
    assert len(covering) > 1
    assert county["winner"] == min(covering)
    assert "lowest code" in county["because"]
    assert [tried["edge_m"] for tried in county["tried"] if tried["covers"]] == [0.0] * len(covering)
    candidates = [each for each in told["place"]["candidates"] if each["level"] == "county"]
    uncovered = told["place"].get("uncovered", {}).get("county", 0)
    assert sum(each["share"] for each in candidates) + uncovered == pytest.approx(1, abs=1e-9)
    assert {each["distance_m"] for each in candidates if each["code"] in covering} == {0.0}


def test_explanation_of_a_bad_point_is_refused_like_its_place(shared_service: Service) -> None:
    refused(shared_service.call("GET", f"{LOCATE}/explain?lng=24.2886&lat=116.1222"), "location")
    refused(shared_service.call("GET", f"{LOCATE}/explain?lng=116.1&lat=24.2&accuracy_m=-1"), "accuracy_m")
    assert shared_service.call("GET", f"{LOCATE}/explain?lng=116.1&lat=24.2", None, "").status == 401


def test_only_the_levels_asked_for_are_told(shared_service: Service) -> None:
    found = shared_service.post(LOCATE, {"points": [[116.1222, 24.2886], [0, 0]], "datum": "gcj02", "levels": ["town"]})
    assert found == {"town": ["441402004", None]}
    assert shared_service.post(LOCATE, {"points": []}) == {level: [] for level in LEVELS}


def test_divisions_lead_from_the_city_to_the_village_and_back(shared_service: Service) -> None:
    counties = shared_service.get("/api/v1/divisions")["items"]
    assert [each["code"] for each in counties] == [
        *("441402", "441403", "441422", "441423", "441424", "441426", "441427", "441481"),
    ]
    assert shared_service.get("/api/v1/divisions/441400/children")["items"] == counties
    town = shared_service.get("/api/v1/divisions/441402/children")["items"][0]
    village = shared_service.get(f"/api/v1/divisions/{town['code']}/children")["items"][0]
    assert (town["level"], village["level"], village["parent_code"]) == ("town", "village", town["code"])
    path = shared_service.get(f"/api/v1/divisions/{village['code']}")["path"]
    assert path == {"city": "441400", "county": "441402", "town": town["code"], "village": village["code"]}


@pytest.mark.parametrize("path", ["divisions/999999", "divisions/999999/children", "boundaries/street.geojson"])
def test_unknown_division_or_level_is_not_found(shared_service: Service, path: str) -> None:
    assert shared_service.call("GET", f"/api/v1/{path}").status == 404
    refused(shared_service.call("GET", "/api/v1/divisions?level=street"), "level")


@pytest.mark.parametrize("level", LEVELS)
def test_boundaries_are_valid_geojson_that_agrees_with_the_locator(shared_service: Service, level: str) -> None:
    answer = shared_service.call("GET", f"/api/v1/boundaries/{level}.geojson")
    assert answer.headers["content-type"] == "application/geo+json"
    features = answer.body["features"]
    codes = [feature["properties"]["code"] for feature in features]
    assert len(set(codes)) == len(codes) >= 8
    some = random.Random(3).sample(features, 8)
    polygons = shapely.from_geojson([json.dumps(feature["geometry"]) for feature in some])
    assert shapely.is_valid(polygons).all()
    inside = shapely.get_coordinates(shapely.point_on_surface(polygons)).tolist()
    found = shared_service.post(LOCATE, {"points": inside, "datum": "wgs84", "levels": [level]})[level]
    assert found == [feature["properties"]["code"] for feature in some]


@pytest.mark.parametrize("path", ["events", "cases", "endpoints", "deliveries"])
def test_pages_have_one_to_five_hundred_items(shared_service: Service, path: str) -> None:
    for limit in (1, 500):
        assert len(shared_service.get(f"/api/v1/{path}?limit={limit}")["items"]) <= limit
    for limit in ("0", "-1", "501", "1e9", "x", "", "1.5", "99999999999999999999"):
        refused(shared_service.call("GET", f"/api/v1/{path}?limit={limit}"), "limit")


@pytest.fixture(scope="module")
def walker(shared_service: Service) -> str:
    """An operator of a village that no other test uses, with 57 events and as many cases in it."""
    source = shared_service.key("source", "walker")
    batch = [_there(number) for number in range(57)]
    assert shared_service.post("/api/v1/events/batch", batch, source)["accepted"] == 57
    operator = shared_service.key("operator", "op-walker", divisions=VILLAGE)
    shared_service.until("/api/v1/cases?limit=500", lambda page: len(page["items"]) == 57, 60, operator)
    return operator


def _there(number: int) -> dict[str, Any]:
    return {
        "source_event_id": f"walk-{number}",
        "domain": "grid",
        "title": f"第{number}件",
        "occurred_at": "2026-11-20T08:00:00+08:00",
        "grade": number % 4 + 1,
        "location": {"division_code": VILLAGE},
    }


def walk(service: Service, path: str, key: str) -> list[str]:
    found, page = [], service.get(path, key)
    while True:
        found += [each["id"] for each in page["items"]]
        if page["next"] is None:
            return found
        page = service.get(f"{path}&cursor={page['next']}", key)


@pytest.mark.parametrize("limit", [1, 7, 19, 57, 500])
@pytest.mark.parametrize("list_", ["events?", *(f"cases?sort={sort}&" for sort in SORTS)])
def test_cursor_walks_over_every_item_once(shared_service: Service, walker: str, list_: str, limit: int) -> None:
    whole = [each["id"] for each in shared_service.get(f"/api/v1/{list_}limit=500", walker)["items"]]
    assert len(whole) == len(set(whole)) == 57
    assert walk(shared_service, f"/api/v1/{list_}limit={limit}", walker) == whole


def test_what_arrives_meanwhile_neither_doubles_nor_hides_anything(shared_service: Service) -> None:
    source = shared_service.key("source", "busy")
    elsewhere = {"location": {"division_code": "441423"}}
    before = [shared_service.post(EVENTS, _there(number) | elsewhere, source)["id"] for number in range(20)]
    found, page = [], shared_service.get(f"{EVENTS}?limit=4", source)
    for number in range(100, 200):
        found += [each["id"] for each in page["items"]]
        if page["next"] is None:
            break
        shared_service.post(EVENTS, _there(number) | elsewhere, source)
        page = shared_service.get(f"{EVENTS}?limit=4&cursor={page['next']}", source)
    assert found == before[::-1]


def _cursor(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


FORGED = {
    "no base64": "zzz",
    "no letters": "%C3%A9",
    "blank": "%20",
    "too long": "W" * 501,
    "no list": _cursor("a"),
    "too few": _cursor([]),
    "too many": _cursor(["a", "b", "c"]),
    "true": _cursor([True]),
    "null": _cursor([None]),
    "number for a text": _cursor([5]),
    "list": _cursor([["a"]]),
    "beyond 64 bits": _cursor([2**64 - 1]),
    "NUL": _cursor(["a\0"]),
    "cut off": _cursor(["0123456789"])[:-3],
}


@pytest.mark.parametrize("cursor", FORGED.values(), ids=FORGED.keys())
def test_forged_cursor_is_refused(shared_service: Service, cursor: str) -> None:
    for path in ("events?", "cases?", "deliveries?"):
        refused(shared_service.call("GET", f"/api/v1/{path}cursor={cursor}"), "cursor")


@pytest.mark.parametrize("position", ["", "x", "-1", "1.5", "²", "9" * 19, "9" * 5000], ids=lambda text: text[:8])
def test_position_in_the_stream_that_is_none_is_refused(shared_service: Service, position: str) -> None:
    if position:
        refused(shared_service.call("GET", "/api/v1/stream", None, None, Last_Event_ID=position), "Last-Event-ID")
    query = f"/api/v1/stream?last_event_id={quote(position or ' ')}"
    refused(shared_service.call("GET", query), "Last-Event-ID")


@pytest.mark.parametrize("value", [["a", "a"], [True, "a"], [2**64 - 1, "a"], [1.5, "a"], [1, 5], [1]], ids=repr)
def test_cursor_of_a_sorted_list_has_its_own_types(shared_service: Service, value: Any) -> None:
    for sort in ("due", "grade", "updated"):
        refused(shared_service.call("GET", f"/api/v1/cases?sort={sort}&cursor={_cursor(value)}"), "cursor")
    refused(shared_service.call("GET", "/api/v1/cases?sort=prettiest"), "sort")
