"""A case earns its industry at every level as it is worked, and a domain that is switched off loses it."""

import shutil
from pathlib import Path
from typing import Any

from serving import Receiver, Service

from citybrain.config import BUILTIN_CITY

REPORT = {
    "source_event_id": "f-1",
    "domain": "fire",
    "title": "居民楼五楼着火，浓烟很大",
    "occurred_at": "2026-11-20T08:00:00+08:00",
    "location": {"lng": 116.1222, "lat": 24.2886, "datum": "gcj02"},
}


def fire(service: Service, level: str, division: str) -> Any:
    found = service.get(f"/api/v1/indicators/coverage?level={level}&division={division}")
    return next(each for each in found["industries"] if each["code"] == "fire")


def lacks(service: Service, level: str, division: str) -> set[str]:
    return {each["code"] for each in fire(service, level, division)["missing"]} - {"not_declared"}


def test_coverage_follows_the_work(new_service: Any, receiver: Receiver, tmp_path: Path) -> None:
    pack = tmp_path / "city"
    shutil.copytree(BUILTIN_CITY, pack)
    service: Service = new_service(CITYBRAIN_CITY=str(pack))
    service.start()
    event = service.post("/api/v1/events", REPORT)
    places = {level: event["place"][level]["code"] for level in ("county", "town", "village")} | {"city": "441400"}
    found = service.until(f"/api/v1/events/{event['id']}", lambda answer: answer["state"] == "cased")
    case = service.get(f"/api/v1/cases/{found['case_id']}")
    assert lacks(service, "county", places["county"]) == {"no_delivery", "no_feedback"}

    service.post("/api/v1/endpoints", {"name": "fire", "url": receiver.url, "domains": ["fire"]})
    receiver.wait("work_order.dispatched")
    path = f"/api/v1/deliveries?case={case['id']}"
    service.until(path, lambda answer: {each["status"] for each in answer["items"]} == {"delivered"})
    assert lacks(service, "county", places["county"]) == {"no_feedback"}

    for order in case["work_orders"]:
        service.post(f"/api/v1/work-orders/{order['id']}/feedback", {"feedback_id": order["id"], "status": "completed"})
    assert [fire(service, level, places[level])["earned"] for level in ("city", "county", "town")] == [True] * 3
    assert lacks(service, "village", places["village"]) == {"no_verification"}

    case = service.get(f"/api/v1/cases/{case['id']}")
    worker = service.key("worker", "on-site", divisions=places["county"])
    service.post(f"/api/v1/cases/{case['id']}/verify", {"version": case["version"], "passed": True}, worker)
    assert fire(service, "village", places["village"])["evidence"]["verification"]["by"] == "on-site"
    assert fire(service, "village", places["village"])["evidence"]["case"]["number"] == case["number"]
    assert service.get("/api/v1/indicators/coverage?level=village")["earned"]["covered"] == 1

    service.stop()
    with (pack / "city.toml").open("a") as city:
        city.write('\n[domains]\noff = ["fire"]\n')
    service.start()
    for level, division in places.items():
        assert lacks(service, level, division) == {"domain_off"}, level
        assert fire(service, level, division)["earned"] is False
    assert fire(service, "county", places["county"])["declared"] is True
    assert service.command("check", "--store").returncode == 0


def test_a_pack_with_a_wrong_registry_is_told_whole(new_service: Any, tmp_path: Path) -> None:
    pack = tmp_path / "city"
    shutil.copytree(BUILTIN_CITY, pack)
    path = pack / "industries.toml"
    text = path.read_text().replace('domains = ["fire"]', 'domains = ["fier"]')
    path.write_text(text.replace('approver = "演示登记 (demonstration)"', "", 1).replace("2026-11-22", "2020-01-01"))
    done = new_service(CITYBRAIN_CITY=str(pack)).command("check")
    assert done.returncode == 1
    for said in ("found fier; did you mean fire?", "approver: a value, it is missing", "when the registry begins"):
        assert said in done.stdout, done.stdout
