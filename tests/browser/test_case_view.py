"""The case view and the panel for what no rule decided: everything an operator checks, asks and does there."""

import itertools
import re
import time
from pathlib import Path
from typing import Any

import pytest
from photos import picture
from playwright.sync_api import Page, expect
from serving import Service
from sqlalchemy import update
from test_access import wrong

from citybrain.store.database import Store
from citybrain.store.tables import events

JIANGNAN: dict[str, Any] = {"lng": 116.1174053, "lat": 24.2912377, "datum": "wgs84"}
numbers = itertools.count()


@pytest.fixture(scope="module")
def service(shared_service: Service) -> Service:
    return shared_service


@pytest.fixture(scope="module")
def key(service: Service) -> str:
    return service.key("operator", "ouyang")


def report(service: Service, **given: Any) -> Any:
    event = {
        "source_event_id": f"view-{time.time_ns()}-{next(numbers)}",
        "domain": "grid",
        "occurred_at": "2026-01-05T08:00:00+08:00",
        "location": JIANGNAN,
    }
    posted = service.post("/api/v1/events", event | given)["id"]
    return service.until(f"/api/v1/events/{posted}", lambda event: event["case_id"])


def act(service: Service, case_id: str, action: str, **body: Any) -> Any:
    version = service.get(f"/api/v1/cases/{case_id}")["version"]
    return service.post(f"/api/v1/cases/{case_id}/{action}", {"version": version, **body})


def opened(page: Page, service: Service, path: str) -> None:
    page.goto(service.url + path, wait_until="domcontentloaded", timeout=60_000)


def panel(page: Page, name: str) -> Any:
    return page.locator("section.panel", has=page.get_by_role("heading", level=2, name=name))


def test_the_deadline_can_be_checked_by_hand_and_every_rule_that_was_tried_is_told(
    visits: Any, service: Service, key: str
) -> None:
    case_id = report(service, title="路灯不亮，查时限")["case_id"]
    tomorrow = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86_400))
    act(service, case_id, "suspend", until=tomorrow, reason="占道许可")
    act(service, case_id, "resume")
    page = visits().signed_in(key)
    opened(page, service, f"/cases/{case_id}")
    steps = page.locator(".reckoning > li")
    expect(steps).to_have_count(3)
    expect(steps.nth(0)).to_contain_text(re.compile(r"派遣，起计 16 小时.*合计 16 小时，到 \d\d-\d\d 周. \d\d:", re.S))
    expect(steps.nth(1)).to_contain_text("挂账，停止计时，剩 16 小时")
    due = service.get(f"/api/v1/cases/{case_id}")["deadline"]["due_at"]
    expect(steps.nth(2)).to_contain_text(due[5:10])
    why = panel(page, "为什么这样分拨")
    expect(why.get_by_text("逐级查找责任部门")).to_be_hidden()
    why.get_by_text("试过的每一条规则、关键词和部门").click()
    expect(why.get_by_text("逐级查找责任部门")).to_be_visible()
    expect(panel(page, "位置").get_by_role("img")).to_be_visible()


def test_photos_are_added_side_by_side_and_the_same_thing_is_merged_with_one_press(
    visits: Any, service: Service, key: str, tmp_path: Path
) -> None:
    alone = JIANGNAN | {"lat": JIANGNAN["lat"] + 0.006}  # where no other test of the running installation reports
    other = report(service, title="路灯不亮，并案甲", location=alone)["case_id"]
    case_id = report(service, title="暂无名目之事，并案乙", location=alone)["case_id"]
    path = f"/api/v1/cases/{case_id}/attachments?kind=after"
    assert service.call("POST", path, picture("JPEG", (64, 40)), service.admin_key).status == 201
    good, heavy = tmp_path / "现场.jpg", tmp_path / "长图.png"
    good.write_bytes(picture("JPEG", (64, 48)))
    heavy.write_bytes(b"\x89PNG" + bytes(13 * 2**20))
    page = visits().signed_in(key)
    opened(page, service, f"/cases/{case_id}")
    page.locator(".a-note summary").click()
    page.locator("#note-text").fill("看过照片再记")
    page.locator(".add-photos summary").click()
    page.get_by_label("选择照片").set_input_files([good, heavy])
    expect(panel(page, "照片")).to_contain_text("长图.png 有 13.0 MiB，超过 12.0 MiB")
    assert not page.locator("#photo-files").evaluate("each => each.form.checkValidity()")
    page.get_by_label("选择照片").set_input_files(good)
    expect(panel(page, "照片")).to_contain_text("现场.jpg，")
    page.get_by_role("button", name="添加照片").click()
    expect(panel(page, "照片").get_by_role("status").first).to_have_text("照片已添加。")
    expect(panel(page, "照片").get_by_role("img")).to_have_count(2)
    expect(panel(page, "照片")).to_contain_text("ouyang")
    expect(page.locator("#note-text")).to_have_value("看过照片再记")
    expect(panel(page, "照片")).to_contain_text("照片没有位置信息")
    same = panel(page, "相关案件").locator("li", has_text="并案甲")
    expect(same).to_contain_text(re.compile(r"距离近.*相距 0 米"))
    same.get_by_role("button", name="并入该案件").click()
    page.get_by_role("button", name="立即执行").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("路灯不亮，并案甲")
    assert service.get(f"/api/v1/cases/{case_id}")["merged_into"] == other


def test_an_action_on_the_page_waits_and_can_be_taken_back(visits: Any, service: Service, key: str) -> None:
    case_id = report(service, title="路灯不亮，撤销")["case_id"]
    page = visits().signed_in(key)
    opened(page, service, f"/cases/{case_id}")
    page.locator(".a-note summary").click()
    expect(page.locator(".a-note")).to_contain_text("必填：说明")
    page.locator("#note-text").fill("先不记")
    page.locator(".a-note button").click()
    page.get_by_role("button", name="撤销").click()
    expect(page.get_by_role("status").filter(has_text="已撤销")).to_be_visible()
    expect(page.locator("#note-text")).to_have_value("先不记")
    assert service.get(f"/api/v1/cases/{case_id}")["version"] == 1
    page.locator(".a-note button").click()
    page.get_by_role("button", name="立即执行").click()
    expect(page.locator(".timeline")).to_contain_text("先不记")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_case_and_event_with_an_error_in_the_form(
    visits: Any, service: Service, key: str, scheme: str
) -> None:
    event = report(service, title=f"暂无名目之事，无障碍{scheme}", location={"lng": 113.0, "lat": 23.0})
    visit = visits(color_scheme=scheme)
    visit.allowed.append("422")
    page = visit.signed_in(key)
    opened(page, service, f"/events/{event['id']}")
    found = wrong(page)
    opened(page, service, f"/cases/{event['case_id']}")
    page.get_by_text("选择区划、填写坐标或地址").first.click()
    page.locator("#dispatch-lng").fill("24.29")
    page.locator("#dispatch-lat").fill("116.11")
    page.locator("#dispatch-type").select_option("c01039")
    page.locator("#dispatch-department").select_option("441402-cg")
    page.get_by_role("button", name="派遣", exact=True).click()
    page.get_by_role("button", name="立即执行").click()
    expect(page.get_by_role("alert")).to_contain_text("经度与纬度填反了")
    expect(page.locator("#dispatch-lng")).to_have_value("24.29")
    assert found + wrong(page) == []


def test_triage_places_types_and_dispatches_on_the_map(visits: Any, service: Service, key: str) -> None:
    outside = {"lng": 113.0, "lat": 23.0, "datum": "wgs84"}
    case_id = report(service, title="暂无名目之事，待定位", location=outside)["case_id"]
    page = visits().signed_in(key)
    opened(page, service, f"/cases/{case_id}")
    page.get_by_label("查找类型").fill("ludeng")
    expect(page.locator("#dispatch-type")).not_to_have_value("")
    chosen = page.locator("#dispatch-type").input_value()
    page.locator(".placing").click()
    expect(page.locator(".suggestion")).to_contain_text("责任部门：")
    department = page.locator(".suggestion").get_attribute("data-department")
    expect(page.locator("#dispatch-department")).to_have_value(department or "none")
    page.get_by_role("button", name="派遣", exact=True).click()
    page.get_by_role("button", name="立即执行").click()
    expect(page.get_by_role("status").filter(has_text="已完成：派遣").first).to_be_visible()
    case = service.get(f"/api/v1/cases/{case_id}")
    assert (case["status"], case["type"], case["department"]) == ("dispatched", chosen, department)
    assert case["place"]["method"] == "contains"


def test_triage_works_by_lists_without_script(visits: Any, service: Service, key: str) -> None:
    case_id = report(service, title="暂无名目之事，无脚本", location={"address": "不知何处"})["case_id"]
    page = visits(java_script_enabled=False).signed_in(key)
    opened(page, service, f"/cases/{case_id}")
    page.get_by_text("选择区划、填写坐标或地址").first.click()
    page.locator("#dispatch-county").select_option("441402")
    page.locator("#dispatch-type").select_option("c01039")
    page.get_by_role("button", name="看由谁负责").click()
    expect(page.locator(".suggestion")).to_contain_text("责任部门：")
    page.get_by_role("button", name="派遣", exact=True).click()
    case = service.get(f"/api/v1/cases/{case_id}")
    assert (case["status"], case["place"]["county"]["code"]) == ("dispatched", "441402")


def test_a_quarantined_event_is_taken_in_and_becomes_a_case_in_triage(visits: Any, service: Service, key: str) -> None:
    event_id = report(service, title="路灯不亮，隔离")["id"]
    store = Store(service.database_url)
    broken = {"state": "quarantined", "case_id": None, "explanation": None, "trace": "Traceback\nValueError: 编码不明"}
    with store.write() as tx:
        tx.execute(update(events).where(events.c.id == event_id).values(**broken))
    store.close()
    page = visits().signed_in(key)
    opened(page, service, f"/events/{event_id}")
    expect(panel(page, "隔离")).to_contain_text("ValueError: 编码不明")
    page.get_by_role("button", name="人工接收").click()
    expect(page.locator(".facts")).to_contain_text("自动处理失败，由人工接收")
    assert service.get(f"/api/v1/events/{event_id}")["state"] == "triage"


def test_a_narrow_desk_has_its_map_and_a_click_on_the_ground_says_who_is_responsible(
    visits: Any, service: Service, key: str
) -> None:
    page = visits(viewport={"width": 900, "height": 900}).signed_in(key)
    opened(page, service, "/?map=15/24.56/115.9")
    page.locator("#map").click(position={"x": 120, "y": 120})
    expect(page.locator(".here")).to_contain_text(re.compile(r"网格单元.*谁负责什么", re.S))
