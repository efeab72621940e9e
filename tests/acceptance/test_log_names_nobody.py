"""Whatever fails, the log of all processes names events and never people."""

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest
from postgres import only_postgresql
from serving import Receiver, Service, wait_until

from citybrain.store.database import Store

pytestmark = only_postgresql
NAME, PHONE, ADDRESS = "陈小明", "13800001234", "梅江区江南路88号3栋502"
PERSONAL = (NAME, PHONE, ADDRESS)
MANIFEST = """
[domain]
code = "sorrow"
name = "信访"
name_en = "Petitions"
version = "1"

[[type]]
code = "sorrow.petition"
name = "来信来访"
name_en = "Petition"
terms = ["来信来访"]
grade = 3
limit = { amount = 2, unit = "working_days" }
duty = "culture"
level = "county"
examples = ["群众来信来访"]
"""
HANDLER = '''
"""Raises what it was told, whatever that is."""


def decide(events, context):
    raise ValueError(f"cannot decide {[(event.title, event.description) for event in events]}")
'''
# The store refuses what is for `elsewhere`, and quotes it.
TRIGGER = """
CREATE FUNCTION quote() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF NEW.title LIKE '%%elsewhere%%' THEN RAISE EXCEPTION 'no: %%', NEW.description; END IF; RETURN NEW;
END $$;
CREATE TRIGGER quote BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION quote();
"""


def report(number: int, domain: str, **more: Any) -> dict[str, Any]:
    return {
        "source_event_id": f"log-{number}", "domain": domain, "title": f"来信来访 {NAME}",
        "description": f"{NAME} {PHONE} {ADDRESS} 来信来访", "occurred_at": "2026-11-20T08:00:00+08:00",
        "location": {"lng": 116.1222, "lat": 24.2886, "address": ADDRESS}, "reporter": {"name": NAME, "phone": PHONE},
    } | more  # fmt: skip


@pytest.mark.long
def test_no_process_writes_down_who_reported_what(new_service: Any, receiver: Receiver, tmp_path: Path) -> None:
    folder = tmp_path / "sorrow"
    folder.mkdir()
    (folder / "domain.toml").write_text(MANIFEST)
    (folder / "handler.py").write_text(textwrap.dedent(HANDLER))
    (folder / "__init__.py").write_text("")
    service: Service = new_service(CITYBRAIN_DOMAINS=str(folder), CITYBRAIN_LOG="json")
    service.start()
    store = Store(service.database_url)
    with store.write() as tx:
        tx.exec_driver_sql(TRIGGER)
    store.close()
    receiver.status = 500
    service.post("/api/v1/endpoints", {"name": "broken", "url": receiver.url, "unmasked": True})
    asked = {"X_Request_ID": "proxy-17"}
    good = service.call("POST", "/api/v1/events", report(1, "sorrow"), **asked)
    assert (good.status, good.headers["x-request-id"]) == (202, "proxy-17")
    refused = service.call("POST", "/api/v1/events", report(2, "grid", title="elsewhere"), **asked)
    assert (refused.status, refused.body["request_id"]) == (500, "proxy-17")
    wrong = service.call("POST", "/api/v1/events", report(3, NAME), X_Request_ID=f"{PHONE} and more\t")
    assert wrong.status == 422
    assert wrong.body["request_id"] == wrong.headers["x-request-id"] != PHONE
    service.post("/api/v1/events", report(4, "fire", type="fire.building_fire"))
    service.call("GET", f"/api/v1/events?q={PHONE}")
    service.call("GET", "/api/v1/events/%E9%99%88%E5%B0%8F%E6%98%8E")
    assert service.call("GET", f"/open311/v2/requests.json?api_key={service.admin_key}", key="").status == 200
    wait_until(lambda: receiver.messages and "ValueError" in service.log())
    service.stop()
    log = service.log()
    told = [json.loads(line) for line in log.splitlines()]
    assert any(line.get("path") == "/open311/v2/requests.json" for line in told)
    for personal in (*PERSONAL, service.admin_key):
        assert personal not in log
        assert json.dumps(personal)[1:-1] not in log
    failed = [line for line in told if line.get("event") == good.body["id"] and line["part"] == "work"]
    assert any("ValueError" in "".join(line.get("trace", [])) for line in failed)
    accepted = next(line for line in told if line.get("event") == good.body["id"] and line["part"] == "serve")
    assert (accepted["status"], accepted["path"], accepted["request"]) == (202, "/api/v1/events", "proxy-17")
    assert any(line["part"] == "serve" and line["level"] == "error" and line["request"] == "proxy-17" for line in told)
