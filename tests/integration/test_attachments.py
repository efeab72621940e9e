"""Photos of events and cases over HTTP: kept for who may see what they belong to, and for nobody else."""

import http.client
import io
from typing import Any

import pytest
from photos import picture
from PIL import Image
from postgres import both_stores
from serving import Service

from citybrain.clock import now_ms

pytestmark = both_stores

POND = {"lng": 116.1175, "lat": 24.2913, "datum": "wgs84"}
SOUTH = {1: "N", 2: (24.0, 16.0, 14.0), 3: "E", 4: (116.0, 7.0, 3.0)}  # 24.27056, 116.1175: 2.3 km south of it


@pytest.fixture(scope="module")
def case(shared_service: Service) -> dict[str, Any]:
    """A case of one event, with the keys of whoever has to do with it."""
    keys = {
        "source": shared_service.key("source", f"photo-app-{now_ms()}"),
        "stranger": shared_service.key("source", f"photo-other-{now_ms()}"),
        "operator": shared_service.key("operator", f"photo-wang-{now_ms()}", divisions="441402"),
        "elsewhere": shared_service.key("operator", f"photo-chen-{now_ms()}", divisions="441481"),
        "system": shared_service.key("system", f"photo-cg-{now_ms()}", departments="441402-cg"),
        "auditor": shared_service.key("auditor", f"photo-audit-{now_ms()}"),
    }
    report = {"source_event_id": "photo-1", "domain": "grid", "type": "c01039", "location": POND,
              "occurred_at": "2026-11-20T08:00:00+08:00"}  # fmt: skip
    event = shared_service.post("/api/v1/events", report, keys["source"])["id"]
    shared_service.until(f"/api/v1/events/{event}", lambda found: found["state"] == "cased")
    found = shared_service.get(f"/api/v1/events/{event}")
    return {"event": event, "case": found["case_id"], **keys}


def test_a_photo_is_kept_without_its_position_which_was_compared_and_the_ledger_says_so(
    shared_service: Service, case: dict[str, Any]
) -> None:
    path = f"/api/v1/events/{case['event']}/attachments?kind=before"
    sent = picture(gps=SOUTH)
    answer = shared_service.call("POST", path, sent, case["source"], Content_Type="image/jpeg")
    assert answer.status == 201, answer
    told = answer.body
    assert (told["kind"], told["media_type"], told["width"], told["distance_m"]) == ("before", "image/jpeg", 640, 2309)

    kept = shared_service.call("GET", told["links"]["self"], key=case["operator"])
    assert (kept.status, dict(Image.open(io.BytesIO(kept.body)).getexif())) == (200, {})
    headers = {name.lower(): text for name, text in kept.headers.items()}
    assert (headers["content-type"], headers["x-content-type-options"]) == ("image/jpeg", "nosniff")
    assert headers["content-security-policy"] == "default-src 'none'; sandbox"
    small = shared_service.call("GET", told["links"]["thumbnail"], key=case["operator"])
    assert max(Image.open(io.BytesIO(small.body)).size) == 320

    found = shared_service.get(f"/api/v1/cases/{case['case']}")
    assert told["case"] == {"id": found["id"], "version": found["version"]}
    entry = found["timeline"][-1]
    assert (entry["action"], entry["data"]["distance_m"]) == ("attached", 2309)
    assert (entry["data"]["sha256"], entry["data"]["attachment"]) == (told["sha256"], told["id"])
    assert "照片" in shared_service.page(f"/cases/{case['case']}")

    again = shared_service.call("POST", path, sent, case["source"], Content_Type="image/jpeg")
    assert (again.status, again.body["id"]) == (200, told["id"])
    (listed,) = shared_service.get(f"/api/v1/events/{case['event']}/attachments", case["source"])["items"]
    assert listed == {name: value for name, value in told.items() if name != "case"}


def test_a_department_adds_its_photo_from_after_by_a_form(shared_service: Service, case: dict[str, Any]) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="../a.html"\r\nContent-Type: text/html\r\n\r\n'
    )
    body += picture("PNG") + b"\r\n--x--\r\n"
    path = f"/api/v1/cases/{case['case']}/attachments"
    answer = shared_service.call("POST", path, body, case["system"], Content_Type="multipart/form-data; boundary=x")
    assert answer.status == 201, answer
    assert (answer.body["kind"], answer.body["media_type"], answer.body["distance_m"]) == ("after", "image/png", None)
    kept = shared_service.call("GET", answer.body["links"]["self"], key=case["system"])
    assert kept.headers["content-type"] == "image/png"
    assert kept.headers["content-disposition"] == f'inline; filename="{answer.body["id"]}.png"'
    mine = shared_service.get(path, case["system"])["items"]
    assert answer.body["id"] in {each["id"] for each in mine}


def test_who_may_not_see_the_case_sees_no_photo_of_it_and_adds_none(
    shared_service: Service, case: dict[str, Any]
) -> None:
    events, cases = f"/api/v1/events/{case['event']}/attachments", f"/api/v1/cases/{case['case']}/attachments"
    added = shared_service.call("POST", cases, picture("WEBP"), case["operator"]).body
    path = added["links"]["self"]
    sent = picture(size=(300, 200))
    statuses = {
        (who, what): shared_service.call(method, where, body, case[who] if who else "").status
        for who, what, method, where, body in (
            ("", "read", "GET", path, None),
            ("elsewhere", "read", "GET", path, None),
            ("stranger", "read", "GET", f"{path}/thumbnail", None),
            ("auditor", "read", "GET", path, None),
            ("stranger", "list", "GET", events, None),
            ("stranger", "add", "POST", events, sent),
            ("elsewhere", "add", "POST", cases, sent),
            ("source", "add to a case", "POST", cases, sent),
            ("auditor", "add", "POST", cases, sent),
        )
    }
    assert statuses == {
        ("", "read"): 401,
        ("elsewhere", "read"): 404,
        ("stranger", "read"): 404,
        ("auditor", "read"): 200,
        ("stranger", "list"): 404,
        ("stranger", "add"): 404,
        ("elsewhere", "add"): 404,
        ("source", "add to a case"): 403,
        ("auditor", "add"): 403,
    }
    signed_in = shared_service.call("POST", "/api/v1/session", {"key": case["operator"]}, key="")
    cookie = signed_in.headers["set-cookie"].partition(";")[0]
    assert shared_service.call("GET", path, key="", Cookie=cookie).status == 200


def test_what_is_no_photo_is_a_problem_and_nothing_is_kept(shared_service: Service, case: dict[str, Any]) -> None:
    path = f"/api/v1/events/{case['event']}/attachments"
    before = shared_service.get(path)["items"]
    for body, status, why in (
        (b"<html><script>alert(1)</script>", 422, "no JPEG, PNG or WebP"),
        (picture()[:-100], 422, "truncated"),
        (b"\xff\xd8\xff" + b"\0" * (13 * 1024 * 1024), 413, "12 MiB"),
    ):
        answer = shared_service.call("POST", path, body, case["source"], Content_Type="image/jpeg")
        assert (answer.status, why in answer.body["detail"]) == (status, True), answer
    form = shared_service.call("POST", path, b"--x--", case["source"], Content_Type="multipart/form-data; boundary=x")
    assert form.status == 422
    assert shared_service.call("POST", f"{path}?kind=later", picture(), case["source"]).status == 422
    assert shared_service.get(path)["items"] == before


def test_the_cap_holds_while_a_body_streams_without_saying_how_long_it_is(
    shared_service: Service, case: dict[str, Any]
) -> None:
    connection = shared_service.connection()
    headers = {"Authorization": f"Bearer {case['source']}", "Transfer-Encoding": "chunked"}
    endless = (b"\xff\xd8\xff" + b"\0" * 1024 * 1024 for _ in range(20))
    try:
        connection.request("POST", f"/api/v1/events/{case['event']}/attachments", endless, headers, encode_chunked=True)
        assert connection.getresponse().status == 413
    except (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected):
        pytest.fail("whoever is still sending must get the answer")
    finally:
        connection.close()
