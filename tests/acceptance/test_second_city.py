"""A second city is a folder: Baltimore's three kinds of districts that do not nest, its own departments, hours and
domain, and 10,000 of its real service requests, dirty ones included, through the whole service.

`make second-city` runs this file and shows the table of agreement with the published labels.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from reading import row_of, text_of
from serving import Receiver, Service, make_service

PACK = Path(__file__).parents[1] / "cities" / "baltimore"
HERE = ZoneInfo("America/New_York")
BATCH = 2_000
# How many rows carry a label, and with how many of them plain containment agrees (SOURCES.md of the pack).
PUBLISHED = {"county": (8_205, 8_243), "town": (8_293, 8_331), "village": (8_187, 8_331)}
LABEL = {
    "county": ("CouncilDistrict", "Council District {}"),
    "town": ("PoliceDistrict", "{} Police District"),
    "village": ("Neighborhood", "{}"),
}
NOWHERE = {("", ""), ("39", "-77"), ("39.0", "-77.0"), ("39.0", "-76.0"), ("39", "-76")}
POTHOLE, POTHOLES = "service311.pothole", {"TRM-Pothole Repair", "TRM-Pickup Pothole"}

Row = dict[str, str]


def rows() -> list[Row]:
    with (PACK / "requests.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def has_point(row: Row) -> bool:
    return (row["Latitude"], row["Longitude"]) not in NOWHERE


def event(row: Row) -> dict[str, Any]:
    """The request as its own system would post it: nothing mended, placeholders and all."""
    location: dict[str, Any] = {}
    if row["Longitude"]:
        location |= {"lng": float(row["Longitude"]), "lat": float(row["Latitude"])}
    if row["Neighborhood"]:
        location["address"] = f"{row['Neighborhood']}, Baltimore, MD {row['ZipCode']}"
    happened = datetime.strptime(row["CreatedDate"], "%m/%d/%Y %I:%M:%S %p").replace(tzinfo=HERE)
    return {
        "source_event_id": row["SRRecordID"],
        "domain": "service311",
        "title": row["SRType"],
        "occurred_at": happened.isoformat(),
        "location": location,
        "attributes": {"agency": row["Agency"]},
    }


@dataclass
class Told:
    """What became of the requests: the answers by record id, and the events afterwards."""

    outcomes: dict[str, dict[str, Any]]
    events: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def baltimore(tmp_path_factory: pytest.TempPathFactory, editions: Path) -> Iterator[Service]:
    made = make_service(tmp_path_factory.mktemp("baltimore") / "data", editions, CITYBRAIN_CITY=str(PACK))
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def potholes(baltimore: Service) -> Iterator[Receiver]:
    """The transportation department's system, which wants to hear of potholes alone."""
    with Receiver.listening() as there:
        filters = {"department": "DOT", "types": [POTHOLE]}
        baltimore.post("/api/v1/endpoints", {"name": "dot", "url": there.url, **filters})
        yield there


@pytest.fixture(scope="module")
def told(baltimore: Service, potholes: Receiver) -> Told:
    source = baltimore.key("source", "city311", domains="service311")
    every, outcomes = rows(), {}
    for start in range(0, len(every), BATCH):
        some = every[start : start + BATCH]
        body = b"\n".join(json.dumps(event(row)).encode() for row in some)
        answer = baltimore.call("POST", "/api/v1/events/batch", body, source, Content_Type="application/x-ndjson")
        assert answer.status == 200, answer
        outcomes |= {row["SRRecordID"]: result for row, result in zip(some, answer.body["results"], strict=True)}
    baltimore.until("/api/v1/queues", lambda queues: not sum(row["waiting"] for row in queues), seconds=240)
    return Told(outcomes, dict(_events(baltimore)))


def _events(service: Service) -> Iterator[tuple[str, dict[str, Any]]]:
    cursor = ""
    while cursor is not None:
        answer = service.get(f"/api/v1/events?domain=service311&limit=500{'&cursor=' + cursor if cursor else ''}")
        yield from ((each["source_event_id"], each) for each in answer["items"])
        cursor = answer["next"]


def test_pack_and_its_own_domain_are_right_and_every_type_finds_a_department(baltimore: Service) -> None:
    checked = baltimore.command("check")
    lines = checked.stdout.splitlines()
    assert checked.returncode == 0, checked.stdout
    assert "types without a department somewhere: 0" in lines
    assert {
        "county (Council district): 14 polygons",
        "town (Police district): 9 polygons",
        "village (Neighborhood): 278 polygons",
    } <= set(lines)
    assert [line for line in lines if line.startswith("service311: ") and line.endswith("(the city pack's own)")]


def test_every_request_ends_in_a_visible_state(told: Told) -> None:
    every = rows()
    assert len(told.outcomes) == len(every) == 10_000
    states: Counter[str] = Counter()
    for row in every:
        result = told.outcomes[row["SRRecordID"]]
        if result["outcome"] == "rejected":
            assert {each["field"] for each in result["problem"]["errors"]} == {"location"}
            assert row["Longitude"] + row["Neighborhood"] == ""
            states["rejected"] += 1
            continue
        seen = told.events[row["SRRecordID"]]
        assert seen["id"] == result["id"]
        states[seen["state"]] += 1
        assert seen["case_id"]
    print("\nwhat became of 10,000 requests:", dict(states))
    assert set(states) == {"cased", "triage", "rejected"}
    assert sum(states.values()) == 10_000
    assert states["rejected"] == 590  # billing and the like: neither coordinates nor an address
    assert states["cased"] > 8_500


def test_located_levels_agree_with_the_published_labels(told: Told) -> None:
    agreed, labelled, methods = Counter[str](), Counter[str](), Counter[str]()
    by_address: Counter[bool] = Counter()
    for row in rows():
        seen = told.events.get(row["SRRecordID"])
        if seen is None:
            continue
        methods[seen["place"]["method"]] += 1
        if not has_point(row):
            if row["Neighborhood"]:
                by_address[(seen["place"]["village"] or {}).get("name") == row["Neighborhood"]] += 1
            continue
        for level, (column, name) in LABEL.items():
            if row[column]:
                labelled[level] += 1
                agreed[level] += (seen["place"][level] or {}).get("name") == name.format(row[column])
    print(f"\n{'level':18}{'published label':>16}{'located alike':>15}{'contained alike':>17}")
    for level, (column, _) in LABEL.items():
        print(f"{column:18}{labelled[level]:>16,}{agreed[level]:>15,}{PUBLISHED[level][0]:>17,}")
    print(f"by address alone: {by_address[True]:,} of {by_address.total():,} neighborhoods; methods: {dict(methods)}")
    assert {level: labelled[level] for level in LABEL} == {level: total for level, (_, total) in PUBLISHED.items()}
    for level, (alike, _) in PUBLISHED.items():
        assert agreed[level] >= alike
    assert by_address[False] == 0


def test_dirty_places_are_told_apart(told: Told) -> None:
    """A placeholder is no position: its address decides, and without one a person does. Outside is said to be so."""
    for row in rows():
        seen = told.events.get(row["SRRecordID"])
        if seen is None or has_point(row):
            continue
        assert seen["place"]["method"] == ("address" if row["Neighborhood"] else "none")
        assert seen["place"]["wgs84"] is None
        if not row["Neighborhood"]:
            assert seen["state"] == "triage"
    outside = [each for each in told.events.values() if each["place"]["method"] == "outside"]
    assert len(outside) > 100
    assert {each["state"] for each in outside} == {"triage"}


def test_levels_are_shown_by_the_citys_own_names(baltimore: Service) -> None:
    levels = baltimore.get("/api/v1/city")["levels"]
    assert {level: names["name"] for level, names in levels.items()} == {
        "county": "Council district", "town": "Police district", "village": "Neighborhood",
    }  # fmt: skip


def test_coverage_leads_from_the_city_to_districts_of_each_kind(baltimore: Service) -> None:
    page = baltimore.page("/coverage?level=town")
    for name in ("Council district", "Police district", "Neighborhood"):
        assert name in page
    assert "县（市、区）" not in page
    assert "全部 = 3 个行业 × 9 个Police district" in text_of(page)
    assert "无数据" not in row_of(page, "Central Police District")
    district = text_of(baltimore.page("/coverage?division=PD-C"))
    assert "Baltimore › Central Police District" in district
    assert "Council District 1" not in district, "it lies in no council district"


def test_webhooks_arrive_for_what_a_system_asked_for(baltimore: Service, potholes: Receiver, told: Told) -> None:
    cases = {each["case_id"] for each in told.events.values() if each["state"] == "cased" and each["title"] in POTHOLES}
    assert len(cases) > 200
    potholes.wait("work_order.dispatched", len(cases), seconds=90)
    messages = [each.json["data"] for each in potholes.of_type("work_order.dispatched")]
    assert {each["case"]["id"] for each in messages} == cases
    assert {each["work_order"]["department"] for each in messages} == {"DOT"}


def test_one_request_is_walked_to_closure(baltimore: Service, potholes: Receiver, told: Told) -> None:
    found = next(each for each in told.events.values() if each["title"] in POTHOLES and each["place"]["village"])
    council, hood = found["place"]["county"]["code"], found["place"]["village"]["code"]
    operator = baltimore.key("operator", "desk", divisions=council)
    inspector = baltimore.key("worker", "inspector", divisions=hood)
    system = baltimore.key("system", "dot", departments="DOT")
    case = baltimore.get(f"/api/v1/cases/{found['case_id']}", operator)
    assert (case["status"], case["deadline"]["clock"]) == ("dispatched", "urgent")
    assert case["deadline"]["due_at"].endswith(("-04:00", "-05:00"))
    (order,) = case["work_orders"]
    for status in ("accepted", "completed"):
        feedback = {"feedback_id": f"dot-{status}", "status": status}
        baltimore.post(f"/api/v1/work-orders/{order['id']}/feedback", feedback, system)
    case = baltimore.get(f"/api/v1/cases/{case['id']}", operator)
    verify = {"version": case["version"], "passed": True}
    case = baltimore.post(f"/api/v1/cases/{case['id']}/verify", verify, inspector)
    closed = baltimore.post(f"/api/v1/cases/{case['id']}/close", {"version": case["version"]}, operator)
    assert closed["status"] == "closed"
    assert potholes.wait("case.closed").json["data"]["case"]["id"] == case["id"]


def test_a_desk_sees_its_own_districts_whichever_level_they_are(baltimore: Service, told: Told) -> None:
    """An operator of one police district sees what lies in it, across all council districts."""
    operator = baltimore.key("operator", "northern", divisions="PD-N")
    mine = {sid for sid, each in told.events.items() if (each["place"]["town"] or {}).get("code") == "PD-N"}
    seen, cursor = set(), ""
    while cursor is not None:
        answer = baltimore.get(f"/api/v1/events?limit=500{'&cursor=' + cursor if cursor else ''}", operator)
        seen |= {each["source_event_id"] for each in answer["items"]}
        cursor = answer["next"]
    assert seen == mine
    assert len({each["place"]["county"]["code"] for sid in mine if (each := told.events[sid])["place"]["county"]}) > 1


def test_built_in_domains_work_there_too(baltimore: Service, told: Told) -> None:
    source = baltimore.key("source", "alarm")
    where = {"lng": -76.6122, "lat": 39.2904}
    asked = [
        ("grid", "c01013", "BCFD"),
        ("fire", "fire.building_fire", "BCFD"),
        ("water", "water.embankment_hazard", "DPW-WW"),
    ]
    for domain, type_, lead in asked:
        report = {"source_event_id": domain, "domain": domain, "type": type_, "title": type_,
                  "occurred_at": "2026-01-05T08:00:00-05:00", "location": where}  # fmt: skip
        posted = baltimore.post("/api/v1/events", report, source)
        assert posted["place"]["town"] == {"code": "PD-C", "name": "Central Police District"}
        seen = baltimore.until(f"/api/v1/events/{posted['id']}", lambda each: each["state"] != "received", seconds=30)
        assert seen["state"] == "cased"
        case = baltimore.get(f"/api/v1/cases/{seen['case_id']}")
        assert [order["department"] for order in case["work_orders"] if order["role"] == "lead"] == [lead]


def test_pages_show_the_citys_own_words(baltimore: Service, told: Told) -> None:
    """The forms offer council districts, police districts and neighborhoods, and nothing of another city."""
    session = baltimore.call("POST", "/api/v1/session", {"key": baltimore.admin_key}, "")
    cookie = session.headers["set-cookie"].split(";")[0]
    for path in ("/", "/report", "/events"):
        page = baltimore.call("GET", path, None, "", Cookie=cookie)
        assert page.status == 200
        text = page.body.decode()
        assert "Baltimore" in text
        assert not [word for word in ("梅州", "梅江", "4414") if word in text], path


def test_store_keeps_its_promises(baltimore: Service, told: Told) -> None:
    done = baltimore.command("check", "--store")
    assert done.returncode == 0, done.stdout
