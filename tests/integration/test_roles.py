"""Who may do what: 401 without a key, 403 outside the role, 404 outside the scope; and who may see who reported."""

import http.client
import json
import re
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from serving import Answer, Service
from sqlalchemy import update

from citybrain.clock import now_ms
from citybrain.keyring import REFRESH_SECONDS
from citybrain.keys import create_key
from citybrain.store.database import Store
from citybrain.store.tables import keys

ROLES = ("source", "worker", "operator", "system", "auditor", "admin")
NAME, PHONE = "黎小测", "13977770001"
MEIJIANG = {"lng": 116.1222, "lat": 24.2886, "datum": "gcj02"}  # 江南街道 441402004
DABU = {"division_code": "441422"}


def event(id_: str, domain: str = "grid", location: Any = None, **more: Any) -> dict[str, Any]:
    type_ = {"type": "m06001"} if domain == "grid" else {"title": "河堤出现管涌，正在冒水"}
    return {
        "source_event_id": id_,
        "domain": domain,
        "occurred_at": "2026-11-20T08:00:00+08:00",
        "location": location or MEIJIANG,
        "reporter": {"name": NAME, "phone": PHONE},
        **type_,
        **more,
    }


class Town:
    """Three cases in one installation: grid in Meijiang, water in Meijiang, grid in Dabu; a key of every role."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.keys = {role: service.key(role, f"any-{role}") for role in ROLES[:-1]} | {"admin": service.admin_key}
        self.reporting = service.key("source", "reporting")
        posted = {
            "grid": event("1"),
            "water": event("2", "water"),
            "dabu": event("3", location=DABU),
        }
        receipts = {name: service.post("/api/v1/events", each, self.reporting) for name, each in posted.items()}
        self.events = {name: receipt["id"] for name, receipt in receipts.items()}
        self.cases: dict[str, Any] = {}
        for name, id_ in self.events.items():
            seen = service.until(f"/api/v1/events/{id_}", lambda each: each["case_id"])
            self.cases[name] = service.get(f"/api/v1/cases/{seen['case_id']}")
        self.orders = {name: case["work_orders"][0] for name, case in self.cases.items()}

    def seen_by(self, key: str, path: str = "cases") -> set[str]:
        """Which of the three the key finds in a list."""
        ids = {each["id"]: name for kind in (self.cases, self.orders) for name, each in kind.items()}
        ids |= {id_: name for name, id_ in self.events.items()}
        field = "case_id" if path == "deliveries" else "id"
        found = {each[field] for each in self.service.get(f"/api/v1/{path}?limit=500", key)["items"]}
        return {name for id_, name in ids.items() if id_ in found}


@pytest.fixture(scope="module")
def town(service: Service) -> Town:
    return Town(service)


NOTE = {"version": 1, "text": "x"}
SINCE = {"since": "2026-11-20T08:00:00+08:00"}
ALL = set(ROLES)
READERS = {"operator", "auditor", "admin"}
CASE_READERS = READERS | {"worker", "system"}
STEPS = (
    *("dispatch", "relocate", "reassign", "return", "extend", "suspend", "resume", "supervise", "note"),
    *("rework", "close", "reopen", "merge", "split", "void", "file", "judge"),
)
SWITCHES = ("test", "rotate-secret", "enable", "disable")
REFERENCE = (
    *("/locate?lng=116.1&lat=24.3", "/divisions", "/divisions/441402", "/divisions/441402/children"),
    *("/boundaries/county.geojson", "/city", "/domains", "/types", "/departments", "/session"),
)
# What each role is answered: every role that is not named is refused with 403. 404, 409 and 422 mean that the role was
# let in: there is nothing of that name, it is in the wrong state, or the empty body is incomplete.
ACTIONS: list[tuple[str, str, Any, dict[str, int]]] = [
    ("POST", "/events", {}, dict.fromkeys(("source", "worker", "admin"), 422)),
    ("POST", "/events/batch", [], dict.fromkeys(("source", "worker", "admin"), 200)),
    ("GET", "/events", None, dict.fromkeys(READERS | {"source", "worker"}, 200)),
    ("GET", "/events/{event}", None, dict.fromkeys(READERS, 200) | {"source": 404, "worker": 404}),
    ("GET", "/events/{event}/explanation", None, dict.fromkeys(READERS, 200) | {"source": 404, "worker": 404}),
    ("POST", "/events/{event}/replay", None, {"operator": 409, "admin": 409}),
    ("POST", "/events/{event}/take-in", None, {"operator": 409, "admin": 409}),
    ("POST", "/events/{event}/refuse", {"reason": "误报"}, {"operator": 409, "admin": 409}),
    ("GET", "/queues", None, dict.fromkeys(READERS, 200)),
    ("GET", "/cases", None, dict.fromkeys(CASE_READERS, 200)),
    ("GET", "/cases/{case}", None, dict.fromkeys(CASE_READERS, 200)),
    *(("POST", f"/cases/{{case}}/{action}", {}, {"operator": 422, "admin": 422}) for action in STEPS),
    ("POST", "/cases/{case}/verify", {}, {"worker": 422, "operator": 422, "admin": 422}),
    ("POST", "/cases/{case}/appeal", {}, {"system": 422, "operator": 422, "admin": 422}),
    ("POST", "/cases/actions", {}, dict.fromkeys(("worker", "system", "operator", "admin"), 422)),
    ("GET", "/cases/{case}/timeline", None, dict.fromkeys(CASE_READERS, 200)),
    ("GET", "/verifications", None, dict.fromkeys(("worker", "operator", "admin", "auditor"), 200)),
    ("GET", "/appeals", None, dict.fromkeys(READERS | {"system"}, 200)),
    ("GET", "/work-orders/{order}", None, dict.fromkeys(CASE_READERS, 200)),
    ("POST", "/work-orders/{order}/feedback", {}, {"system": 422, "admin": 422}),
    ("GET", "/endpoints", None, dict.fromkeys(READERS, 200)),
    ("POST", "/endpoints", {}, {"admin": 422}),
    ("GET", "/endpoints/none", None, dict.fromkeys(READERS, 404)),
    ("PATCH", "/endpoints/none", {}, {"admin": 404}),
    ("DELETE", "/endpoints/none", None, {"admin": 404}),
    *(("POST", f"/endpoints/none/{each}", None, {"admin": 404}) for each in SWITCHES),
    ("POST", "/endpoints/none/replay", SINCE, {"admin": 404}),
    ("GET", "/deliveries", None, dict.fromkeys(READERS, 200)),
    ("POST", "/deliveries/none/retry", None, {"operator": 404, "admin": 404}),
    ("POST", "/deliveries/retry", {"ids": ["none"]}, {"operator": 200, "admin": 200}),
    ("GET", "/deliveries/queues", None, dict.fromkeys(READERS, 200)),
    ("GET", "/endpoints/none/health", None, dict.fromkeys(READERS, 404)),
    *(("GET", path, None, dict.fromkeys(ALL, 200)) for path in REFERENCE),
    ("POST", "/locate", {"points": []}, dict.fromkeys(ALL, 200)),
]


@pytest.mark.parametrize("action", ACTIONS, ids=[f"{each[0]} {each[1]}" for each in ACTIONS])
def test_action_is_open_to_its_roles_alone(town: Town, action: tuple[str, str, Any, dict[str, int]]) -> None:
    method, path, body, let_in = action
    of_grid = {"event": town.events["grid"], "case": town.cases["grid"]["id"], "order": town.orders["grid"]["id"]}
    path = f"/api/v1{path.format(**of_grid)}"
    answers = {role: town.service.call(method, path, body, key) for role, key in town.keys.items()}
    assert {role: answer.status for role, answer in answers.items()} == dict.fromkeys(ROLES, 403) | let_in
    for answer in answers.values():
        if answer.status >= 400:
            assert answer.headers["content-type"] == "application/problem+json"


def test_nothing_of_the_api_is_open_without_a_key(town: Town) -> None:
    described = town.service.get("/openapi.json")["paths"]
    asked = [(path, method) for path in described if path.startswith("/api/") for method in described[path]]
    assert len(asked) > 30
    for path, method in asked:
        for key in ("", "cb0000000000.wrong", "nonsense", "é"):
            header = {"Authorization": f"Bearer {key}"} if key else {}
            body = None if method == "get" else {}
            answer = town.service.call(method.upper(), re.sub(r"\{\w+\}", "x", path), body, "", **header)
            assert answer.status == 401, (method, path, key, answer)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("header", ["Basic YWRtaW46eA==", "Bearer", "Bearer ", "{key}", "Token {key}", "Bearer {key}x"])
def test_key_in_another_shape_is_none(town: Town, header: str) -> None:
    text = header.format(key=town.service.admin_key)
    assert town.service.call("GET", "/api/v1/events", None, "", Authorization=text).status == 401


def test_key_is_not_taken_from_the_address(town: Town) -> None:
    path = f"/api/v1/events?key={town.service.admin_key}&api_key={town.service.admin_key}"
    assert town.service.call("GET", path, None, "").status == 401


def test_life_signs_are_open(town: Town) -> None:
    assert town.service.call("GET", "/healthz", None, "").status == 200
    assert town.service.call("GET", "/readyz", None, "").body["status"] == "ok"


SCOPES: list[tuple[str, dict[str, str], set[str]]] = [
    ("all", {}, {"grid", "water", "dabu"}),
    ("one domain", {"domains": "grid"}, {"grid", "dabu"}),
    ("two domains", {"domains": "grid,water"}, {"grid", "water", "dabu"}),
    ("one county", {"divisions": "441402"}, {"grid", "water"}),
    ("two counties", {"divisions": "441402,441422"}, {"grid", "water", "dabu"}),
    ("one town", {"divisions": "441402004"}, {"grid", "water"}),
    ("another town", {"divisions": "441402006"}, set()),
    ("the city", {"divisions": "441400"}, {"grid", "water", "dabu"}),
    ("domain and county", {"domains": "water", "divisions": "441402"}, {"water"}),
    ("nothing in common", {"domains": "water", "divisions": "441422"}, set()),
]


@pytest.mark.parametrize(("name", "scope", "visible"), SCOPES, ids=[each[0] for each in SCOPES])
def test_operator_sees_and_touches_its_scope_alone(
    town: Town, name: str, scope: dict[str, str], visible: set[str]
) -> None:
    service, key = town.service, town.service.key("operator", f"op-{name.replace(' ', '-')}", **scope)
    for path in ("events", "cases", "deliveries"):
        assert town.seen_by(key, path) == visible
    queued = sum(row["working"] + row["triage"] for row in service.get("/api/v1/queues", key))
    assert queued == len(service.get("/api/v1/cases?status=open&limit=500", key)["items"])
    for which in ("grid", "water", "dabu"):
        inside = which in visible
        case, order = town.cases[which], town.orders[which]
        delivery = case["deliveries"][0]["id"]
        answers = {
            "event": service.call("GET", f"/api/v1/events/{town.events[which]}", None, key),
            "explanation": service.call("GET", f"/api/v1/events/{town.events[which]}/explanation", None, key),
            "event again": service.call("POST", f"/api/v1/events/{town.events[which]}/replay", None, key),
            "case": service.call("GET", f"/api/v1/cases/{case['id']}", None, key),
            "case by number": service.call("GET", f"/api/v1/cases/{case['number']}", None, key),
            "note": service.call("POST", f"/api/v1/cases/{case['id']}/note", {"version": 999, "text": "x"}, key),
            "order": service.call("GET", f"/api/v1/work-orders/{order['id']}", None, key),
            "delivery": service.call("POST", f"/api/v1/deliveries/{delivery}/retry", None, key),
        }
        expected = {"event again": 409, "note": 409, "delivery": 409}
        assert {what: answer.status for what, answer in answers.items()} == {
            what: expected.get(what, 200) if inside else 404 for what in answers
        }


def test_filters_narrow_a_scope_and_never_widen_it(town: Town) -> None:
    key = town.service.key("operator", "op-narrow", domains="grid", divisions="441422")
    word = quote("管涌")
    for query in ("division=441402", "domain=water", "department=441402-cg", f"q={word}", "division=none"):
        assert town.service.get(f"/api/v1/cases?{query}", key)["items"] == [], query
    for query in ("division=441402", "domain=water", f"q={word}", "division=none"):
        assert town.service.get(f"/api/v1/events?{query}", key)["items"] == [], query
    for query in (f"case={town.cases['grid']['id']}", f"endpoint={town.cases['grid']['id']}"):
        assert town.service.get(f"/api/v1/deliveries?{query}", key)["items"] == [], query


def test_worker_sees_cases_of_its_divisions_and_events_of_its_own(town: Town) -> None:
    service = town.service
    worker = service.key("worker", "li", divisions="441422", domains="grid")
    assert town.seen_by(worker) == {"dabu"}
    assert service.get("/api/v1/events", worker)["items"] == []
    passed = {"version": 999, "passed": True}
    assert service.call("POST", f"/api/v1/cases/{town.cases['grid']['id']}/verify", passed, worker).status == 404
    assert service.call("POST", f"/api/v1/cases/{town.cases['dabu']['id']}/verify", passed, worker).status == 409
    own = service.post("/api/v1/events", event("of-li", location=DABU), worker)["id"]
    assert [each["id"] for each in service.get("/api/v1/events", worker)["items"]] == [own]
    assert service.call("POST", "/api/v1/events", event("of-li-2", "water"), worker).status == 403


def test_source_posts_to_its_domains_and_reads_its_own(town: Town) -> None:
    service = town.service
    source = service.key("source", "hydrology", domains="water")
    assert service.call("POST", "/api/v1/events", event("h-1"), source).status == 403
    assert service.get("/api/v1/events", source)["items"] == []
    assert service.call("GET", f"/api/v1/events/{town.events['water']}", None, source).status == 404
    assert town.seen_by(town.reporting, "events") == {"grid", "water", "dabu"}
    assert service.get(f"/api/v1/events/{town.events['grid']}", town.reporting)["reporter"]["phone"] == PHONE


def test_system_sees_and_answers_the_orders_of_its_departments_and_those_below(town: Town) -> None:
    service = town.service
    order, other = town.orders["grid"], town.orders["dabu"]
    known = {each["code"]: each for each in service.get("/api/v1/departments")["items"]}
    parent = known[order["department"]]["parent"]
    assert order["department"] != other["department"]
    own = service.key("system", "own-department", departments=order["department"])
    above = service.key("system", "department-above", departments=parent) if parent else service.admin_key
    elsewhere = service.key("system", "elsewhere", departments=other["department"])
    by_place = service.key("system", "by-place", divisions="441402", domains="grid")
    nowhere = service.key("system", "nowhere", divisions="441424")
    progress = {"feedback_id": "p", "status": "progress", "note": "在路上"}
    for key, allowed in ((own, True), (above, True), (by_place, True), (elsewhere, False), (nowhere, False)):
        for path, body in ((f"/api/v1/work-orders/{order['id']}", None), (f"/api/v1/cases/{order['case_id']}", None)):
            assert service.call("GET", path, body, key).status == (200 if allowed else 404)
        answer = service.call("POST", f"/api/v1/work-orders/{order['id']}/feedback", progress, key)
        assert answer.status == (200 if allowed else 404)
    assert town.seen_by(own) >= {"grid"}
    assert "grid" not in town.seen_by(elsewhere)
    assert town.seen_by(nowhere) == set()


class Lines:
    """What one key is told by the stream, as bytes."""

    def __init__(self, service: Service, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=120)
        headers = {"Authorization": f"Bearer {key}", "Last-Event-ID": "0"}
        self._connection.request("GET", "/api/v1/stream", headers=headers)
        self.answer = self._connection.getresponse()

    def read(self) -> bytes:
        """Everything up to now: to the second pulse, or to its end."""
        found = b""
        while found.count(b"event: pulse") < 2 and (line := self.answer.readline()):
            found += line
        self._connection.close()
        return found


def _told(lines: bytes) -> list[dict[str, Any]]:
    found = [json.loads(line[6:]) for line in lines.splitlines() if line.startswith(b"data: ")]
    return [each for each in found if "domain" in each]


WATCHING: list[tuple[str, dict[str, str], set[str]]] = [
    ("operator", {"domains": "grid", "divisions": "441422"}, {"dabu"}),
    ("auditor", {}, {"grid", "water", "dabu"}),
    ("system", {"divisions": "441402", "domains": "water"}, {"water"}),
    ("worker", {"divisions": "441402004"}, {"grid", "water"}),
    ("source", {}, set()),
]


def test_stream_tells_each_role_its_scope(town: Town) -> None:
    names = {case["id"]: name for name, case in town.cases.items()}
    keys = [town.service.key(role, f"watching-{role}", **scope) for role, scope, _ in WATCHING]
    with ThreadPoolExecutor() as pool:
        told = list(pool.map(lambda key: _told(Lines(town.service, key).read()), keys))
    for (role, _, visible), changes in zip(WATCHING, told, strict=True):
        assert {names[each["case_id"]] for each in changes if each["case_id"] in names} == visible, role
        events = {each["event_id"] for each in changes} & set(town.events.values())
        assert events <= {town.events[name] for name in visible}, role


def test_revoked_key_is_refused_within_a_second_and_its_stream_ends(town: Town) -> None:
    service = town.service
    key = service.key("operator", "leaving")
    signed_in = service.call("POST", "/api/v1/session", {"key": key}, "")
    cookie = signed_in.headers["set-cookie"].split(";")[0]
    lines = Lines(service, key)
    assert service.call("GET", "/api/v1/cases", None, key).status == 200
    assert service.command("keys", "revoke", "leaving").returncode == 0
    time.sleep(REFRESH_SECONDS)
    assert service.call("GET", "/api/v1/cases", None, key).status == 401
    assert service.call("GET", "/api/v1/cases", None, "", Cookie=cookie).status == 401
    while lines.answer.readline():
        pass


def test_key_ends_at_its_hour(town: Town) -> None:
    service = town.service
    store = Store(service.database_url)
    with store.write() as tx:
        key = create_key(tx, "for-a-moment", "operator", now_ms(), "test", expires_at=now_ms() + 3_600_000)
    signed_in = service.call("POST", "/api/v1/session", {"key": key}, "")
    cookie = signed_in.headers["set-cookie"].split(";")[0]
    assert service.call("GET", "/api/v1/cases", None, "", Cookie=cookie).status == 200
    with store.write() as tx:
        tx.execute(update(keys).where(keys.c.name == "for-a-moment").values(expires_at=now_ms()))
    store.close()
    time.sleep(REFRESH_SECONDS)
    assert service.call("GET", "/api/v1/cases", None, key).status == 401
    assert service.call("GET", "/api/v1/cases", None, "", Cookie=cookie).status == 401
    assert service.call("POST", "/api/v1/session", {"key": key}, "").status == 401


@pytest.fixture
def session(town: Town) -> tuple[str, str]:
    """A cookie and its token."""
    answer = town.service.call("POST", "/api/v1/session", {"key": town.keys["operator"]}, "")
    return answer.headers["set-cookie"].split(";")[0], answer.body["csrf_token"]


def test_session_cookie_is_for_this_site_and_no_script(town: Town) -> None:
    answer = town.service.call("POST", "/api/v1/session", {"key": town.keys["operator"]}, "")
    assert (answer.status, answer.body["role"], answer.body["name"]) == (200, "operator", "any-operator")
    cookie, *flags = (part.strip().lower() for part in answer.headers["set-cookie"].split(";"))
    assert town.keys["operator"] not in cookie
    assert {"httponly", "samesite=strict", "path=/"} <= set(flags)
    assert any(flag.startswith("max-age=") for flag in flags)


def test_write_by_session_needs_its_token(town: Town, session: tuple[str, str]) -> None:
    cookie, token = session
    path = f"/api/v1/cases/{town.cases['water']['id']}/note"
    note = {"version": town.service.get(path.removesuffix("/note"))["version"], "text": "记一笔"}

    def post(**headers: str) -> Answer:
        return town.service.call("POST", path, note, "", Cookie=cookie, **headers)

    assert town.service.call("GET", "/api/v1/cases", None, "", Cookie=cookie).status == 200
    assert [post().status, post(X_CSRF_Token="").status, post(X_CSRF_Token="wrong").status] == [403, 403, 403]
    other = town.service.call("POST", "/api/v1/session", {"key": town.keys["operator"]}, "").body["csrf_token"]
    assert post(X_CSRF_Token=other).status == 403
    done = post(X_CSRF_Token=token)
    assert done.status == 200
    assert done.body["timeline"][-1]["actor"] == "any-operator"
    assert town.service.call("GET", "/api/v1/session", None, "", Cookie=cookie).body["csrf_token"] == token


def test_session_may_do_what_its_key_may_and_ends_by_logging_out(town: Town, session: tuple[str, str]) -> None:
    cookie, token = session
    service = town.service
    assert service.call("POST", "/api/v1/endpoints", {}, "", Cookie=cookie, X_CSRF_Token=token).status == 403
    assert service.call("POST", "/api/v1/events", event("s"), "", Cookie=cookie, X_CSRF_Token=token).status == 403
    assert service.call("DELETE", "/api/v1/session", None, "", Cookie=cookie).status == 403
    gone = service.call("DELETE", "/api/v1/session", None, "", Cookie=cookie, X_CSRF_Token=token)
    assert gone.status == 204
    assert 'citybrain_session=""' in gone.headers["set-cookie"]
    assert service.call("GET", "/api/v1/cases", None, "", Cookie=cookie).status == 401


@pytest.mark.parametrize(
    "body", [{}, {"key": ""}, {"key": 5}, {"key": "x"}, {"key": ["x"]}, [], "x", None, b"{", b"\xff"]
)
def test_sign_in_without_a_good_key_opens_nothing(town: Town, body: Any) -> None:
    answer = town.service.call("POST", "/api/v1/session", body, "")
    assert answer.status in (401, 400, 422)
    assert "set-cookie" not in answer.headers


def test_cookie_of_nobody_is_refused(town: Town) -> None:
    for value in ("x", "é", "a" * 4000, '"'):
        assert town.service.call("GET", "/api/v1/cases", None, "", Cookie=f"citybrain_session={value}").status == 401


def rows(service: Service, query: str, *values: Any) -> list[Any]:
    with sqlite3.connect(f"file:{service.data / 'citybrain.db'}?mode=ro", uri=True) as store:
        return store.execute(query, values).fetchall()


def test_auditor_alone_sees_who_reported_and_every_look_is_in_the_ledger(town: Town) -> None:
    service, id_ = town.service, town.events["dabu"]
    looks = "SELECT actor, data FROM ledger WHERE action = 'reporter.unmasked' AND data LIKE ?"
    masked = {"name": "黎**", "phone": "139****0001"}
    for role in ("operator", "admin"):
        assert service.get(f"/api/v1/events/{id_}", town.keys[role])["reporter"] == masked
    assert rows(service, looks, f"%{id_}%") == []
    for number in (1, 2):
        assert service.get(f"/api/v1/events/{id_}", town.keys["auditor"])["reporter"] == {"name": NAME, "phone": PHONE}
        assert [(actor, json.loads(data)["event"]) for actor, data in rows(service, looks, f"%{id_}%")] == [
            ("any-auditor", id_)
        ] * number


def test_reporter_is_in_no_list_stream_message_or_log_and_in_one_table(town: Town) -> None:
    service = town.service
    shown = [
        json.dumps(service.get(f"/api/v1/{path}?limit=500", town.keys["auditor"]), ensure_ascii=False)
        for path in ("events", "cases", "deliveries", "queues")
    ]
    cases = [service.get(f"/api/v1/cases/{case['id']}") for case in town.cases.values()]
    lines = Lines(service, town.keys["auditor"])
    shown += [json.dumps(cases, ensure_ascii=False), lines.read().decode(), service.log()]
    for text in shown:
        assert len(text) > 0
        assert PHONE not in text
        assert NAME not in text
    tables = [name for (name,) in rows(service, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    holding = {name for name in tables for row in rows(service, f'SELECT * FROM "{name}"') if PHONE in str(row)}  # noqa: S608
    assert holding == {"reporters"}
    kept = {path.name for path in service.data.rglob("*") if path.is_file() and PHONE.encode() in path.read_bytes()}
    assert kept <= {"citybrain.db", "citybrain.db-wal"}


def test_no_key_and_no_session_can_be_read_from_the_data_folder(town: Town, session: tuple[str, str]) -> None:
    service = town.service
    secrets = [*town.keys.values(), town.reporting, session[0].partition("=")[2]]
    parts = [part.encode() for secret in secrets for part in {secret, secret.rpartition(".")[2]}]
    for path in service.data.rglob("*"):
        if path.is_file() and path.name != "admin.key" and not path.resolve().match("*/editions/*"):
            content = path.read_bytes()
            assert not [part for part in parts if part in content], path
    assert (service.data / "admin.key").stat().st_mode & 0o777 == 0o600
    listed = service.command("keys", "list").stdout
    assert "any-auditor\tauditor\tvalid\tall" in listed
    assert not [secret for secret in secrets if secret in listed]
