"""Open311 GeoReport v2 over HTTP: services, requests and their way, in XML and in JSON, with the protocol's errors."""

from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from serving import Answer, Service, wait_until

BASE = "/open311/v2"
FORM = "application/x-www-form-urlencoded; charset=utf-8"
HOLE = {"service_code": "m06001", "lat": "24.2886", "long": "116.1222", "description": "河边私搭乱建一间铁皮棚"}
PERSON = {"first_name": "小明", "last_name": "陈", "email": "chen@example.cn", "phone": "13800001234"}


@pytest.fixture(scope="module")
def app_key(shared_service: Service) -> str:
    return shared_service.key("source", "citizens-app", domains="grid")


def post(service: Service, form: str, key: str = "", headers: dict[str, str] | None = None, **fields: str) -> Answer:
    body = urlencode({**HOLE, **fields}).encode()
    return service.call("POST", f"{BASE}/requests.{form}", body, key, Content_Type=FORM, **headers or {})


def asked(service: Service, path: str, **parameters: str) -> Any:
    answer = service.call("GET", f"{BASE}/{path}?{urlencode(parameters)}", key="")
    assert answer.status == 200, answer
    return answer.body


def xml(answer: Answer) -> ElementTree.Element:
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    assert answer.body.startswith(b'<?xml version="1.0" encoding="utf-8"?>')
    return ElementTree.fromstring(answer.body)  # noqa: S314 - our own answer


def test_the_way_of_a_request_from_form_to_case(shared_service: Service, app_key: str) -> None:
    made = post(
        shared_service,
        "json",
        api_key=app_key,
        **PERSON,
        address_string="江南路88号",
        media_url="http://10.0.0.1/a.jpg",
    )
    assert made.status == 201, made
    assert made.headers["content-type"] == "application/json; charset=utf-8"
    id_ = made.body[0]["service_request_id"]
    path = f"requests/{id_}.json"
    shown = wait_until(
        lambda: next((one for one in asked(shared_service, path, api_key=app_key) if one["agency_responsible"]), None)
    )
    assert (shown["status"], shown["status_notes"], shown["service_code"]) == ("open", "dispatched", "m06001")
    assert shown["expected_datetime"] > shown["requested_datetime"]
    assert (shown["address"], shown["media_url"]) == ("江南路88号", "http://10.0.0.1/a.jpg")
    assert (round(shown["lat"], 4), round(shown["long"], 4)) == (24.2886, 116.1222)
    text = str(shown)
    assert not [part for part in PERSON.values() if part in text]
    event = shared_service.get(f"/api/v1/events/{id_}", app_key)
    assert event["reporter"] == {"name": "小明 陈 <chen@example.cn>", "phone": "13800001234"}
    _close(shared_service, event["case_id"])
    (closed,) = asked(shared_service, "requests.json", api_key=app_key, status="closed")
    assert (closed["service_request_id"], closed["status"]) == (id_, "closed")
    assert asked(shared_service, f"tokens/{id_}.json", api_key=app_key) == [{"service_request_id": id_, "token": id_}]


def _close(service: Service, case_id: str) -> None:
    for action, more in (("return", {"reason": "不属实"}), ("void", {"reason": "不属实"})):
        version = service.get(f"/api/v1/cases/{case_id}")["version"]
        service.post(f"/api/v1/cases/{case_id}/{action}", {"version": version, **more})


def test_xml_is_the_required_format(shared_service: Service, app_key: str) -> None:
    made = xml(post(shared_service, "xml", app_key, description="河边 <乱建> & 乱\x0b倒"))
    id_ = made.findtext("request/service_request_id")
    assert made.tag == "service_requests"
    assert made.find("request/account_id") is not None
    found = xml(shared_service.call("GET", f"{BASE}/requests/{id_}.xml", key=app_key))
    assert found.findtext("request/description") == "河边 <乱建> & 乱\ufffd倒"
    assert found.findtext("request/service_name")
    services = xml(shared_service.call("GET", f"{BASE}/services.xml", key=""))
    assert services.findtext("service/metadata") == "false"
    definition = xml(shared_service.call("GET", f"{BASE}/services/m06001.xml", key=""))
    assert (definition.tag, definition.findtext("service_code")) == ("service_definition", "m06001")
    discovered = xml(shared_service.call("GET", f"{BASE}/discovery.xml", key=""))
    assert discovered.findtext("endpoints/endpoint/url", "").endswith(BASE)
    assert [each.text for each in discovered.iter("format")] == ["text/xml", "application/json"]


def test_services_and_discovery_need_no_key(shared_service: Service) -> None:
    services = asked(shared_service, "services.json")
    assert {"service_code", "service_name", "description", "metadata", "type", "keywords", "group"} == set(services[0])
    assert asked(shared_service, "discovery.json")["endpoints"][0]["specification"].endswith("GeoReport_v2")


def test_a_form_that_is_sent_again_is_one_request(shared_service: Service, app_key: str) -> None:
    first = post(shared_service, "json", app_key, description="再发一次")
    again = post(shared_service, "json", app_key, description="再发一次")
    assert (first.status, again.status) == (201, 200)
    assert again.body == first.body
    assert post(shared_service, "json", app_key, description="另一件").body != first.body


def test_an_idempotency_key_says_that_it_is_the_same(shared_service: Service, app_key: str) -> None:
    own = {"Idempotency_Key": "app-17-3"}
    first = post(shared_service, "json", app_key, own)
    assert post(shared_service, "json", app_key, own).body == first.body
    other = post(shared_service, "json", app_key, own, description="另一件")
    assert (other.status, other.body[0]["code"]) == (400, 400)


@pytest.mark.parametrize(
    ("fields", "code", "word"),
    [
        ({"service_code": ""}, 400, "service_code"),
        ({"service_code": "m99999"}, 404, "service_code"),
        ({"lat": "116.1222", "long": "24.2886"}, 400, "lat"),
        ({"lat": "", "long": ""}, 400, "address_string"),
        ({"long": ""}, 400, "lat, long"),
        ({"phone": "1" * 60}, 400, "phone"),
        ({"description": "a\x00b"}, 400, "NUL"),
    ],
)
def test_errors_are_an_array_of_code_and_description(
    shared_service: Service, app_key: str, fields: dict[str, str], code: int, word: str
) -> None:
    told = post(shared_service, "json", app_key, **fields)
    assert (told.status, told.body[0]["code"]) == (code, code)
    assert word in told.body[0]["description"]
    root = xml(post(shared_service, "xml", app_key, **fields))
    assert (root.tag, root.findtext("error/code")) == ("errors", str(code))


def test_a_wrong_or_missing_key_is_403(shared_service: Service) -> None:
    """ "403 - Missing or Invalid API Key"."""
    assert post(shared_service, "json").status == 403
    assert post(shared_service, "json", api_key="cb00.no").body[0]["code"] == 403
    assert shared_service.call("GET", f"{BASE}/requests.json", key="").status == 403
    reader = shared_service.key("system", "open311-system")
    assert post(shared_service, "json", reader).status == 403
    fire = shared_service.key("source", "open311-fire", domains="fire")
    assert post(shared_service, "json", fire).status == 403


def test_a_key_sees_its_own_requests_alone(shared_service: Service, app_key: str) -> None:
    id_ = post(shared_service, "json", app_key, description="别人看不到").body[0]["service_request_id"]
    other = shared_service.key("source", "open311-other")
    assert shared_service.call("GET", f"{BASE}/requests/{id_}.json", key=other).status == 404
    assert asked(shared_service, "requests.json", api_key=other) == []
    both = asked(shared_service, "requests.json", api_key=app_key, service_request_id=f"{id_},none", status="closed")
    assert [each["service_request_id"] for each in both] == [id_]


def test_requests_are_found_by_day_service_and_status(shared_service: Service, app_key: str) -> None:
    post(shared_service, "json", app_key, description="按条件查")
    far = {"start_date": "2001-01-01T00:00:00Z", "end_date": "2001-02-01T00:00:00Z"}
    assert asked(shared_service, "requests.json", api_key=app_key, **far) == []
    assert asked(shared_service, "requests.json", api_key=app_key, service_code="m01001,m01002") == []
    assert asked(shared_service, "requests.json", api_key=app_key, service_code="m06001", status="open,closed")


@pytest.mark.parametrize(
    "wrong",
    [
        {"start_date": "2001-01-01T00:00:00Z", "end_date": "2001-07-01T00:00:00Z"},
        {"start_date": "yesterday"},
        {"start_date": "2001-01-01T00:00:00"},
        {"status": "done"},
    ],
)
def test_a_question_that_cannot_be_answered_is_400(
    shared_service: Service, app_key: str, wrong: dict[str, str]
) -> None:
    answer = shared_service.call("GET", f"{BASE}/requests.json?{urlencode(wrong)}", key=app_key)
    assert (answer.status, answer.body[0]["code"]) == (400, 400)
    assert next(iter(wrong)) in answer.body[0]["description"]


def test_what_no_route_answers_has_the_protocol_s_form_too(shared_service: Service, app_key: str) -> None:
    large = post(shared_service, "xml", app_key, description="x" * 1_100_000)
    assert (large.status, xml(large).findtext("error/code")) == (413, "413")
    unknown = shared_service.call("GET", f"{BASE}/nothing.json", key=app_key)
    assert (unknown.status, unknown.body[0]["code"]) == (404, 404)


def test_the_reference_knows_every_door(shared_service: Service) -> None:
    page = shared_service.call("GET", "/docs").body.decode()
    assert all(door in page for door in (f"{BASE}/requests.{{form}}", f"{BASE}/discovery.{{form}}", "/cloudevents"))
