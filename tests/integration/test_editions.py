"""Editions by HTTP: loaded whole or told why not, tried out, activated while requests come in, kept for ever."""

import csv
import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import shapely
from plots import Plots, collection, feature
from serving import Answer, Service, make_service, wait_until

OLD, NEW = Plots(4, 3, seed=1), Plots(4, 3, seed=2, prefix="N")
BOUNDARY = "----plots"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("plots")
    (folder / "editions").mkdir()
    made = make_service(folder / "data", folder / "editions", CITYBRAIN_CITY=str(OLD.write(folder / "pack")))
    made.start("--workers", "1")
    yield made
    made.stop()


def send(service: Service, parts: dict[str, Any], key: str | None = None) -> Answer:
    """Bytes go as files, texts as fields."""
    body = b""
    for name, part in parts.items():
        head = f'form-data; name="{name}"' + (f'; filename="{name}.geojson"' if isinstance(part, bytes) else "")
        raw = part if isinstance(part, bytes) else str(part).encode()
        body += f"--{BOUNDARY}\r\nContent-Disposition: {head}\r\n\r\n".encode() + raw + b"\r\n"
    body += f"--{BOUNDARY}--\r\n".encode()
    return service.call("POST", "/api/v1/editions", body, key, Content_Type=f"multipart/form-data; boundary={BOUNDARY}")


def files(plots: Plots) -> dict[str, Any]:
    return {"county": collection(plots.county_features()), "town": collection(plots.town_features())}


def loaded(service: Service, parts: dict[str, Any]) -> dict[str, Any]:
    answer = send(service, parts)
    assert answer.status in (200, 201), answer
    assert answer.body["valid"], answer.body
    return dict(answer.body)


def in_use(service: Service) -> str:
    return str(next(each["id"] for each in service.get("/api/v1/editions")["items"] if each["in_use"]))


def own(service: Service) -> str:
    return str(next(each["id"] for each in service.get("/api/v1/editions")["items"] if each["name"] == "city pack"))


def activate(service: Service, id_: str) -> dict[str, Any]:
    return dict(service.post(f"/api/v1/editions/{id_}/activate"))


def middles(plots: Plots) -> dict[str, tuple[float, float]]:
    return {code: (shape.centroid.x, shape.centroid.y) for code, (_, shape) in plots.rows.items()}


def event(service: Service, key: str, number: int, at: tuple[float, float]) -> Answer:
    body: dict[str, Any] = {"source_event_id": f"e-{number}", "domain": "fire", "type": "fire.extinguisher_defect"}
    body |= {"occurred_at": "2026-11-20T08:00:00+08:00", "location": {"lng": at[0], "lat": at[1]}}
    return service.call("POST", "/api/v1/events", body, key)


def test_an_edition_is_loaded_once_told_in_full_and_not_in_use(service: Service) -> None:
    before = in_use(service)
    report = loaded(service, files(NEW) | {"name": "2027", "date": "2027-01-01"})
    assert report["id"].startswith("2027-01-01-")
    assert {level: each["polygons"] for level, each in report["levels"].items()} == {"county": 2, "town": 12}
    assert report["counts"]["error"] == {}
    assert report["counts"]["warning"] == {"gone_code": 12, "new_code": 12}
    assert all(item["remedy"] and item["where"] for item in report["items"])
    assert send(service, files(NEW) | {"date": "2027-01-01"}).status == 200
    assert in_use(service) == before
    drawn = service.get(f"/api/v1/editions/{report['id']}/faults.geojson")
    assert len(json.loads(drawn)["features"] if isinstance(drawn, bytes) else drawn["features"]) == 24


def test_a_level_without_a_file_is_that_of_the_edition_in_use(service: Service) -> None:
    towns = OLD.town_features()
    towns[3]["properties"]["name"] = "新名"
    report = loaded(service, {"town": collection(towns)})
    assert report["levels"]["county"]["from"] == "edition in use"
    assert report["counts"]["warning"] == {"renamed": 1}


def bad(change: Any) -> dict[str, Any]:
    towns = NEW.town_features()
    change(towns)
    return files(NEW) | {"town": collection(towns)}


def overlapping(towns: list[dict[str, Any]]) -> None:
    shape = shapely.union(NEW.rows["N0000"][1], NEW.rows["N0001"][1])
    towns[0] = feature("N0000", shape, name="x", parent="A")


BOMB = b'{"type":"GeometryCollection","geometries":[' * 60_000
BAD = {
    "overlap": (bad(overlapping), "overlap", "N0000"),
    "twice": (bad(lambda towns: towns.append(towns[0])), "duplicate_code", "N0000"),
    "half written": (files(NEW) | {"town": files(NEW)["town"][:500]}, "unreadable", None),
    "deep": (files(NEW) | {"town": b'{"type":"FeatureCollection","features":[{"geometry":' + BOMB}, "unreadable", None),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_edition_is_told_and_refused_and_changes_nothing(service: Service, case: str) -> None:
    parts, kind, code = BAD[case]
    before = in_use(service)
    answer = send(service, parts)
    assert answer.status == 201
    assert not answer.body["valid"]
    errors = [item for item in answer.body["items"] if item["severity"] == "error"]
    assert [(item["kind"], item["code"]) for item in errors] == [(kind, code)]
    refused = service.call("POST", f"/api/v1/editions/{answer.body['id']}/activate")
    assert refused.status == 409
    assert refused.body["report"]["items"] == answer.body["items"]
    assert service.call("POST", f"/api/v1/editions/{answer.body['id']}/dry-run").status == 409
    assert in_use(service) == before
    assert service.call("GET", "/healthz").status == 200


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ({}, "body"),
        ({"twon": b"{}"}, "twon"),
        ({"town": b"{}", "crs": "EPSG:1"}, "crs"),
        ({"town": b"{}", "date": "soon"}, "date"),
        ({"town": b"{}", "fields": "code=XZQDM"}, "fields"),
        ({"town": b"{}", "fields": '{"cod": "XZQDM"}'}, "fields"),
        ({"town": b"{}", "source": "mine"}, "source"),
        ({"town": b"{}", "force": "1"}, "force"),
    ],
)
def test_what_is_no_upload_is_refused_by_its_part(service: Service, parts: dict[str, Any], field: str) -> None:
    answer = send(service, parts)
    assert (answer.status, answer.body["errors"][0]["field"]) == (422, field)


def test_operators_read_and_only_admins_load_and_activate(service: Service) -> None:
    operator, source = service.key("operator", "reads-editions"), service.key("source", "no-editions")
    assert service.call("GET", "/api/v1/editions", key=operator).status == 200
    assert service.call("GET", "/api/v1/editions", key=source).status == 403
    assert send(service, files(NEW), operator).status == 403
    assert service.call("POST", f"/api/v1/editions/{own(service)}/activate", key=operator).status == 403
    assert service.call("GET", "/api/v1/editions/2020-01-01-00000000").status == 404


def test_a_dry_run_names_the_cases_that_would_change_owner_and_changes_nothing(service: Service) -> None:
    activate(service, own(service))
    key = service.key("source", "dry")
    points = middles(OLD)
    for number, at in enumerate(points.values()):
        assert event(service, key, number, at).status == 202
    service.until("/api/v1/cases?limit=500", lambda found: len(found["items"]) == len(points))
    swapped = {"T0000": "T0001", "T0001": "T0000"}
    towns = [
        feature(swapped.get(code, code), shape, name=f"镇{swapped.get(code, code)}", parent=home)
        for code, (home, shape) in OLD.rows.items()
    ]
    new = loaded(service, {"town": collection(towns)})["id"]
    before = service.get("/api/v1/cases?limit=500")
    found = service.post(f"/api/v1/editions/{new}/dry-run")
    assert (found["open"], found["changed"]) == (12, 2)
    assert {(each["before"]["codes"]["town"], each["after"]["codes"]["town"]) for each in found["items"]} == set(
        swapped.items()
    )
    assert {(each["before"], each["after"]) for each in found["departments"]} == {
        (f"{old}-cg", f"{other}-cg") for old, other in swapped.items()
    }  # fmt: skip
    assert [each["geometry"]["coordinates"] for each in found["map"]["features"]] == [
        [each["wgs84"]["lng"], each["wgs84"]["lat"]] for each in found["items"]
    ]
    scoped = service.key("operator", "elsewhere", divisions="B")
    assert service.post(f"/api/v1/editions/{new}/dry-run", key=scoped)["open"] == 6

    past = service.post(f"/api/v1/editions/{new}/reroute", {"since": "2026-01-01T00:00:00+08:00"})
    assert (past["events"], past["elsewhere"], past["other_owner"], past["complete"]) == (12, 2, 2, True)
    first = next(each for each in past["by_division"] if each["code"] == "T0000")
    assert (first["events"], first["leave"], first["arrive"]) == (1, 1, 1)

    assert service.get("/api/v1/cases?limit=500") == before
    activate(service, new)
    assert service.get("/api/v1/cases?limit=500") == before
    activate(service, own(service))


def test_the_mapping_says_where_each_code_went(service: Service) -> None:
    new = loaded(service, files(NEW) | {"date": "2027-01-01"})["id"]
    raw = service.get(f"/api/v1/editions/{new}/mapping.csv?before={own(service)}")
    rows = list(csv.DictReader(io.StringIO(raw.decode())))
    best = max((row for row in rows if row["old"] == "T0000"), key=lambda row: float(row["share_of_old"]))
    assert best["new"] == "N0000"
    assert 0.4 < float(best["share_of_old"]) <= 1


def test_activation_under_load_fails_no_request_and_mixes_no_place(service: Service) -> None:
    """Codes begin with T in the one edition and with N in the other: a place of both would show."""
    key = service.key("source", "busy")
    old, new = own(service), loaded(service, files(NEW) | {"date": "2027-01-01"})["id"]
    letters = {old: "T", new: "N"}
    points = list(middles(OLD).values())
    seen: dict[str, int] = {old: 0, new: 0}
    wrong: list[Any] = []
    stop = threading.Event()

    def busy(worker: int) -> int:
        connection, number = HTTPConnection("127.0.0.1", service.port, timeout=60), 0
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        while not stop.is_set():
            lng, lat = points[number % len(points)]
            if number % 3:
                connection.request("GET", f"/api/v1/locate?lng={lng}&lat={lat}", headers=headers)
            else:
                at = {"lng": lng, "lat": lat}
                if number % 2:
                    at = {"geometry": {"type": "Point", "coordinates": [lng, lat]}}
                body = {"source_event_id": f"{worker}-{number}", "domain": "grid", "type": "c01039",
                        "occurred_at": "2026-11-20T08:00:00+08:00", "location": at}  # fmt: skip
                connection.request("POST", "/api/v1/events", json.dumps(body), headers)
            answer = connection.getresponse()
            told = json.loads(answer.read())
            place = told.get("place", told)
            if answer.status not in (200, 202) or place["town"]["code"][0] != letters[place["edition"]]:
                wrong.append((answer.status, told))
                break
            seen[place["edition"]] += 1
            number += 1
        connection.close()
        return number

    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(busy, worker) for worker in range(8)]
        try:
            for id_ in (new, old, new):
                before = seen[id_]
                assert activate(service, id_)["in_use"]
                at = service.get(f"/api/v1/locate?lng={points[0][0]}&lat={points[0][1]}")
                assert at["edition"] == id_  # who was answered that it is in use is answered from it
                wait_until(lambda id_=id_, before=before: seen[id_] > before + 50 or wrong)
        finally:
            stop.set()
        numbers = [each.result() for each in running]
    assert wrong == []
    assert sum(numbers) == sum(seen.values()) > 150


def test_a_restarted_service_and_the_command_line_use_what_was_activated(service: Service, tmp_path: Path) -> None:
    new = loaded(service, files(NEW) | {"date": "2027-01-01"})["id"]
    activate(service, new)
    for path in (service.data / "editions").glob("*.npz"):
        path.unlink()  # as on another host, which has the store alone
    lng, lat = next(iter(middles(NEW).values()))
    located = json.loads(service.command("locate", str(lng), str(lat)).stdout)
    assert (located["edition"], located["town"]["code"]) == (new, "N0000")
    towns = tmp_path / "乡镇.geojson"
    towns.write_bytes(collection([feature("N0000", NEW.rows["N0000"][1], 名="甲")]))
    checked = service.command("edition", "check", f"town={towns}", "--field", "name=名")
    assert "gone_code" in checked.stdout
    assert "gap" in checked.stdout
    assert checked.returncode == 0
    assert service.command("edition", "activate", own(service)).returncode == 0
    wait_until(lambda: service.get(f"/api/v1/locate?lng={lng}&lat={lat}")["edition"] != new)
