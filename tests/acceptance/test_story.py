"""An event of each domain, from report to closure, over real HTTP with a real receiver."""

import json
import time
from typing import Any

import pytest
from postgres import both_stores, only_sqlite
from serving import Receiver, Service
from standardwebhooks.webhooks import Webhook

pytestmark = both_stores

STORIES: list[tuple[str, dict[str, Any], str, str]] = [
    # domain, what is reported, the type the rules find, the department that leads
    ("grid", {"title": "河边私搭乱建一间铁皮棚"}, "m06001", "梅江区江南街道综合行政执法办公室"),
    ("emergency", {"title": "山体滑坡堵住村道，有房屋受损"}, "emergency.landslide", "梅江区应急管理局"),
    ("fire", {"title": "居民楼五楼着火，浓烟很大"}, "fire.building_fire", "梅江区消防救援大队"),
    (
        "environment",
        {"title": "工厂夜间偷排污水，河水发黑发臭"},
        "environment.water_pollution",
        "梅州市生态环境局梅江分局",
    ),
    ("water", {"title": "河堤出现管涌，正在冒水"}, "water.embankment_hazard", "梅江区水务局"),
    ("market", {"title": "药店卖过期药"}, "market.drug", "梅江区市场监督管理局"),
]


@pytest.mark.parametrize(("domain", "report", "type_", "department"), STORIES, ids=[story[0] for story in STORIES])
def test_event_is_walked_from_report_to_closure(
    service: Service, receiver: Receiver, domain: str, report: dict[str, Any], type_: str, department: str
) -> None:
    source = service.key("source", f"app-{domain}", domains=domain, datum="gcj02")
    operator = service.key("operator", f"operator-{domain}", divisions="441402")
    worker = service.key("worker", f"worker-{domain}", divisions="441402")
    endpoint = service.post(
        "/api/v1/endpoints", {"name": f"platform-{domain}", "url": receiver.url, "domains": [domain]}
    )

    # A source reports what it saw, with the coordinates of its phone.
    event = {
        "source_event_id": f"{domain}-1",
        "domain": domain,
        "occurred_at": "2026-11-20T08:00:00+08:00",
        "location": {"lng": 116.1222, "lat": 24.2886, "accuracy_m": 20},
        "reporter": {"name": "陈小明", "phone": "13800001234"},
        **report,
    }
    accepted = service.call("POST", "/api/v1/events", event, source)
    assert accepted.status == 202
    assert accepted.body["place"]["county"] == {"code": "441402", "name": "梅江区"}
    assert accepted.body["place"]["cell"]["code"].startswith(accepted.body["place"]["village"]["code"])

    # The rules found a type and a department, and the department's system got a signed work order.
    message = receiver.wait("work_order.dispatched")
    Webhook(endpoint["secret"]).verify(message.body, message.headers)
    data = message.json["data"]
    assert data["case"]["domain"] == domain
    assert data["case"]["type"] == type_
    assert data["place"]["county"]["code"] == "441402"
    assert data["deadline"]["due_at"] > "2026"
    assert data["events"][0]["reporter"] == {"name": "陈**", "phone": "138****1234"}
    names = {each["code"]: each["name"] for each in service.get("/api/v1/departments")["items"]}
    assert department == names[data["work_order"]["department"]]

    # The operator sees the case in the routed queue; the event says where it went and why.
    case_id = data["case"]["id"]
    queue = [row for row in service.get("/api/v1/queues", operator) if row["domain"] == domain and row["division"]]
    assert [(row["division"], row["working"]) for row in queue] == [("441402", 1)]
    seen = service.get(f"/api/v1/events/{accepted.body['id']}", source)
    assert (seen["state"], seen["case_id"]) == ("cased", case_id)
    assert seen["explanation"]["winner"]
    told = service.get(f"/api/v1/events/{accepted.body['id']}/explanation", operator)
    assert told["explanation"] == seen["explanation"]
    assert (told["same"], told["changed"], told["afterwards"]) == (True, [], [])

    # Every department asked, lead and assisting, accepts and completes.
    case = service.get(f"/api/v1/cases/{case_id}", operator)
    for order in case["work_orders"]:
        system = service.key(
            "system", f"system-{domain}-{order['role']}-{order['id'][-4:]}", departments=order["department"]
        )
        for status in ("accepted", "completed"):
            path = f"/api/v1/work-orders/{order['id']}/feedback"
            answer = service.post(path, {"feedback_id": f"{order['id']}-{status}", "status": status}, system)
            assert answer["status"] == status
    case = service.get(f"/api/v1/cases/{case_id}", operator)
    assert case["status"] == "completed"

    # The grid worker verifies on the spot, the operator closes, and the department is told.
    verified = service.post(f"/api/v1/cases/{case_id}/verify", {"version": case["version"], "passed": True}, worker)
    closed = service.post(f"/api/v1/cases/{case_id}/close", {"version": verified["version"]}, operator)
    assert closed["status"] == "closed"
    assert receiver.wait("case.closed").json["data"]["case"]["status"] == "closed"
    story = [entry["action"] for entry in closed["timeline"]]
    assert story[:2] == ["filed", "dispatched"]
    assert story[-3:] == ["completed", "verified", "closed"]


def test_store_keeps_its_promises_after_the_stories(service: Service) -> None:
    time.sleep(1)
    done = service.command("check", "--store")
    assert done.returncode == 0, done.stdout


@only_sqlite
def test_a_recorded_decision_is_explained_on_the_command_line_as_by_the_api(service: Service) -> None:
    event = {
        "source_event_id": "explained",
        "domain": "fire",
        "occurred_at": "2026-11-20T08:00:00+08:00",
        "location": {"lng": 116.1222, "lat": 24.2886},
        "title": "居民楼五楼着火，浓烟很大",
    }
    event_id = service.post("/api/v1/events", event)["id"]
    service.until(f"/api/v1/events/{event_id}", lambda each: each["case_id"])

    done = service.command("explain", "--event", event_id)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == service.get(f"/api/v1/events/{event_id}/explanation")
    dry = json.loads(service.command("explain", "-", text=json.dumps(event)).stdout)
    assert dry["decision"]["lead"] == json.loads(done.stdout)["explanation"]["department"]["lead"]
    unknown = service.command("explain", "--event", "none")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    for argv in ([], ["--event", event_id, "-"]):
        assert service.command("explain", *argv, text="{}").returncode == 2
