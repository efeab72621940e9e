"""A case earns its industry at every level as it is worked; a domain that is switched off, an endpoint that fails and
feedback that stops lose it on the right day, declared stays, and the page says why."""

import itertools
import re
import shutil
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from proven import DAY, MINUTE, SHANGHAI, Proven
from reading import row_of
from serving import Receiver, Service
from sqlalchemy import delete

from citybrain.clock import now_ms
from citybrain.config import BUILTIN_CITY
from citybrain.store.coverage_tables import declarations, latest_evidence
from citybrain.store.database import Store

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


def says(service: Service, division: str, industry: str = "fire", **asked: str) -> str:
    """What the page of a division has about an industry."""
    query = "&".join(["", *(f"{name}={value}" for name, value in asked.items())])
    return row_of(service.page(f"/coverage?division={division}{query}"), STORIES[industry])


@pytest.mark.long
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
    row = says(service, places["county"])
    assert "● 已申报 ○ 未覆盖" in row
    assert "窗口期（30 天）内没有成功的签名推送" in row
    assert "窗口期（30 天）内没有办结反馈" in row

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
    for level, division in places.items():
        row = says(service, division)
        assert "● 已覆盖" in row, level
        assert case["number"] in row

    service.stop()
    with (pack / "city.toml").open("a") as city:
        city.write('\n[domains]\noff = ["fire"]\n')
    service.start()
    for level, division in places.items():
        assert lacks(service, level, division) == {"domain_off"}, level
        assert fire(service, level, division)["earned"] is False
        assert (
            f"○ 未覆盖 – {'' if level in ('city', 'county') else '登记册中没有生效的申报 '}业务领域已停用（fire"
            in says(service, division)
        )
    assert "● 已申报" in says(service, places["city"])
    assert "● 已申报" in says(service, places["county"])
    assert fire(service, "county", places["county"])["declared"] is True
    assert service.command("check", "--store").returncode == 0


PLACES = {"city": "441400", "county": "441402", "town": "441402004", "village": "441402004003"}
WHERE = {level: code for level, code in PLACES.items() if level != "city"}
STORIES = {"fire": "消防救援", "water": "水务", "environment": "生态环境"}  # each test tells its own


@pytest.fixture(scope="module")
def record(service: Service) -> Iterator[Proven]:
    """To be written into a running installation; the stories' industries are declared at all four levels since 2021."""
    record = Proven(Store(f"sqlite:///{service.data / 'citybrain.db'}"))
    record.key("on-site", "worker", now=now_ms() - 60 * DAY)
    record.endpoint()
    for industry, level in itertools.product(STORIES, PLACES):
        record.add(
            declarations, id=f"{industry}-{level}", industry=industry, level=level, divisions=None,
            from_day="2021-01-01", to_day=None, approver="甲", note="", recorded_at=0, recorded_by="test",
        )  # fmt: skip
    yield record
    record.store.close()


def write(record: Proven) -> None:
    """Patrol has seen none of it come: what it kept of the record is not true of this one."""
    record.write()
    with record.store.write() as tx:
        tx.execute(delete(latest_evidence))


def day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, SHANGHAI).date().isoformat()


def assert_fell(service: Service, industry: str, fell: str, why: str, levels: Iterable[str]) -> None:
    """At these levels earned is there on the day before and gone on that day, and the page says so; declared stays."""
    before = str(date.fromisoformat(fell) - timedelta(days=1))
    for level in levels:
        assert "● 已申报 ● 已覆盖" in says(service, PLACES[level], industry, at=before), (level, before)
        fallen = says(service, PLACES[level], industry, at=fell)
        assert "● 已申报 ○ 未覆盖" in fallen, (level, fell)
        assert why in fallen, (level, fallen)
        history = service.page(f"/coverage?division={PLACES[level]}&days=60")
        (earned, declared), (then_earned, then_declared) = (covered(row_of(history, day)) for day in (before, fell))
        assert (then_earned, then_declared) == (earned - 1, declared), level


def covered(row: str) -> list[int]:
    """The numerators of a day in the history: `9.1 % 1 / 11 45.5 % 5 / 11`."""
    return [int(number) for number in re.findall(r"% (\d+) / 11", row)]


def test_feedback_that_stops_is_told_on_the_page_with_its_day(service: Service, record: Proven) -> None:
    """Messages go out every day, but the department's last answer came 36 days ago."""
    began = now_ms() - 36 * DAY
    case = record.case("fire", began, **WHERE)
    for number in range(36):
        record.delivered(case, began + MINUTE + number * DAY)
        record.verified(case, began + 3 * MINUTE + number * DAY, actor="on-site")
    record.completed(case, began + 2 * MINUTE)
    write(record)
    fell = day(began + 2 * MINUTE + 30 * DAY)
    why = f"窗口期（30 天）内没有办结反馈，最近一次在 {day(began + 2 * MINUTE)}，自 {fell} 起不再计入"
    assert_fell(service, "fire", fell, why, PLACES)
    assert "没有办结反馈" in says(service, PLACES["county"], "fire"), "to this day"


def test_endpoint_that_fails_is_told_on_the_page_with_its_name(service: Service, record: Proven) -> None:
    """The department answers every day, but its system has refused every message since the first, 40 days ago."""
    began = now_ms() - 40 * DAY
    case = record.case("water", began, **WHERE)
    message = record.delivered(case, began + MINUTE)
    for number in range(1, 40):
        record.delivered(case, began + MINUTE + number * DAY, status=503, again=message)
        record.completed(case, began + 2 * MINUTE + number * DAY)
        record.verified(case, began + 3 * MINUTE + number * DAY, actor="on-site")
    write(record)
    fell = day(began + MINUTE + 30 * DAY)
    why = f"没有成功的签名推送，最近一次在 {day(began + MINUTE)}，自 {fell} 起不再计入；端点“ep”最近一次失败在"
    assert_fell(service, "water", fell, why, PLACES)


def test_what_stops_in_one_village_falls_there_and_not_above(service: Service, record: Proven) -> None:
    """Another village of the town goes on: town, county and city stay covered on the day on which this one falls."""
    began = now_ms() - 44 * DAY
    record.whole("environment", began, actor="on-site", **WHERE)
    record.whole("environment", began + 20 * DAY, actor="on-site", **WHERE | {"village": "441402004001"})
    write(record)
    fell = day(began + MINUTE + 30 * DAY)
    assert_fell(service, "environment", fell, f"自 {fell} 起不再计入", ["village"])
    for level in ("city", "county", "town"):
        assert "● 已申报 ● 已覆盖" in says(service, PLACES[level], "environment", at=fell), level
    beside = service.page(f"/coverage?division={PLACES['town']}&at={fell}")
    assert "9.1 % 1 / 11" in row_of(beside, "梅龙社区居委会")


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
