"""The desk as operators use it all day: queue, map and case beside each other, live without jumping, by keyboard."""

import itertools
import re
import time
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from serving import Service
from sqlalchemy import update

from citybrain.clock import now_ms
from citybrain.store.database import Store
from citybrain.store.tables import cases

PINGYUAN = "441426"
THERE: dict[str, Any] = {"lng": 115.8912, "lat": 24.5675, "datum": "wgs84"}
numbers = itertools.count()


@pytest.fixture(scope="module")
def service(shared_service: Service) -> Service:
    return shared_service


@dataclass
class Shift:
    """An operator of 平远县 alone, so that nobody else's events are in sight, and what happens there."""

    service: Service
    key: str

    def report(self, title: str) -> str:
        """The case of an event that somebody reports, a kilometre north of the one before."""
        number = next(numbers)
        event = {
            "source_event_id": f"desk-{time.time_ns()}-{number}",
            "domain": "grid",
            "title": title,
            "occurred_at": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
            "location": THERE | {"lat": THERE["lat"] + number / 100},
        }
        posted = self.service.post("/api/v1/events", event)["id"]
        found = self.service.until(f"/api/v1/events/{posted}", lambda event: event["case_id"])
        return str(found["case_id"])

    def due_in(self, case_id: str, minutes: float, supervision: int = 0) -> None:
        """Of four hours that run day and night."""
        store = Store(self.service.database_url)
        values: dict[str, Any] = {
            "due_at": now_ms() + round(minutes * 60_000),
            "supervision": supervision,
            "look_at": None,
        }
        values |= {"limit_amount": 4, "limit_unit": "urgent_hours"}
        with store.write() as tx:
            tx.execute(update(cases).where(cases.c.id == case_id).values(**values))
        store.close()

    def act(self, case_id: str, action: str, **body: Any) -> None:
        version = self.service.get(f"/api/v1/cases/{case_id}")["version"]
        self.service.post(f"/api/v1/cases/{case_id}/{action}", {"version": version, **body})

    def another_department(self, case_id: str) -> Any:
        lead = self.service.get(f"/api/v1/cases/{case_id}")["department"]
        found = self.service.get(f"/api/v1/departments?division={PINGYUAN}&domain=grid")["items"]
        return next(each for each in found if each["code"] != lead)


@pytest.fixture(scope="module")
def shift(service: Service) -> Shift:
    return Shift(service, service.key("operator", "he", divisions=PINGYUAN))


@pytest.fixture(scope="module")
def late(shift: Shift) -> str:
    """A case that is twelve minutes late; of three more one has half an hour, one two days, one nobody decided."""
    late = shift.report("路灯不亮，甲")
    shift.due_in(late, -12)
    shift.due_in(shift.report("路灯不亮，乙"), 30.5, supervision=1)
    shift.due_in(shift.report("路灯不亮，丙"), 2 * 1440)
    shift.report("暂无名目之事")
    return late


@pytest.fixture
def page(visits: Any, shift: Shift, late: str) -> Page:
    page: Page = visits().signed_in(shift.key)
    expect(page.locator("#live-state")).to_have_text("实时")
    return page


def rows(page: Page) -> Locator:
    return page.locator("tr[data-id]")


def row(page: Page, title: str) -> Locator:
    return page.locator("tr[data-id]", has=page.get_by_role("link", name=title, exact=True))


def pane(page: Page) -> Locator:
    return page.locator("#case-pane")


def test_late_cases_come_first_and_say_so_in_words_shape_and_colour(page: Page) -> None:
    told = [" ".join(each.inner_text().split()) for each in rows(page).locator(".due").all()[:4]]
    patterns = (r"▲ 超时 0:1\d", r"◆ 剩 0:[23]\d", r"● 剩 (1天23小时|2天)", r"[●▲] 受理(剩|超时) 0:\d\d")
    assert [bool(re.fullmatch(pattern, text)) for pattern, text in zip(patterns, told, strict=True)] == [True] * 4, told
    colours = {each.evaluate("each => getComputedStyle(each).color") for each in rows(page).locator(".shape").all()[:3]}
    assert len(colours) == 3


def test_cards_are_filters(page: Page) -> None:
    for name, titles in (("超时", ["路灯不亮，甲"]), ("将到期", ["路灯不亮，乙"]), ("待分拨", ["暂无名目之事"])):
        card = page.locator(".card", has_text=name)
        expect(card.locator(".number")).to_have_text(str(len(titles)))
        card.click()
        expect(rows(page).get_by_role("link")).to_have_text(titles)
        expect(page.locator(".card", has_text=name)).to_have_attribute("aria-current", "true")


def test_choosing_a_row_moves_the_map_shows_the_case_and_stands_in_the_address(page: Page, late: str) -> None:
    row(page, "路灯不亮，甲").click()
    expect(pane(page).get_by_role("heading", level=1)).to_have_text("路灯不亮，甲")
    expect(pane(page)).to_contain_text("为什么这样分拨")
    expect(page).to_have_url(re.compile(f"case={late}"))
    expect(page).to_have_url(re.compile(r"map=13/24\.56\d+/115\.89"))
    page.goto(page.url)
    expect(pane(page).get_by_role("heading", level=1)).to_have_text("路灯不亮，甲")
    expect(row(page, "路灯不亮，甲")).to_have_attribute("aria-current", "true")


def test_a_click_on_the_map_chooses_the_nearest_case_or_tells_who_is_responsible_there(page: Page, late: str) -> None:
    page.goto(f"{page.url.split('?')[0]}?map=15/{THERE['lat']}/{THERE['lng']}")
    with page.expect_response(re.compile("/fragments/points")):
        page.get_by_role("button", name="缩小").click()
    middle = page.locator("#map").bounding_box()
    assert middle
    x, y = middle["x"] + middle["width"] / 2, middle["y"] + middle["height"] / 2
    page.mouse.click(x + 6, y - 5)
    expect(row(page, "路灯不亮，甲")).to_have_attribute("aria-current", "true")
    expect(page).to_have_url(re.compile(f"case={late}"))
    page.mouse.click(x + 200, y + 220)
    expect(pane(page).get_by_role("heading", level=2).first).to_contain_text("平远县")
    expect(pane(page)).to_contain_text("网格单元")
    expect(pane(page)).to_contain_text("谁负责什么")
    expect(page).not_to_have_url(re.compile("case="))


def test_without_the_map_the_desk_works_and_says_what_to_do(visits: Any, shift: Shift, late: str) -> None:
    visit = visits()
    visit.allowed.append("404")
    visit.context.route("**/vendor/leaflet/*", lambda route: route.fulfill(status=404))
    page = visit.signed_in(shift.key)
    expect(page.locator("#map-note")).to_contain_text("地图组件没有安装")
    expect(page.locator("#live-state")).to_have_text("实时")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(pane(page).get_by_role("heading", level=1)).to_have_text("路灯不亮，甲")


def test_what_happens_changes_rows_in_place_and_waits_behind_a_counter(page: Page, shift: Shift) -> None:
    first = shift.report("路灯不亮，丁")
    page.reload()
    row(page, "路灯不亮，丁").click()
    expect(pane(page).get_by_role("heading", level=1)).to_have_text("路灯不亮，丁")
    titles = rows(page).get_by_role("link").all_inner_texts()
    shift.report("路灯不亮，戊")
    expect(page.locator("#newer")).to_have_text("有 1 条新事件 (.)")
    other = shift.another_department(first)
    shift.act(first, "reassign", department=other["code"], reason="由他们接手")
    expect(row(page, "路灯不亮，丁")).to_contain_text(other["name"])
    expect(pane(page).locator(".timeline")).to_contain_text("由他们接手")
    assert rows(page).get_by_role("link").all_inner_texts() == titles
    expect(row(page, "路灯不亮，丁")).to_be_focused()
    page.keyboard.press(".")
    expect(page.locator("#newer")).to_be_hidden()
    expect(row(page, "路灯不亮，戊")).to_have_count(1)
    expect(row(page, "路灯不亮，丁")).to_have_attribute("aria-current", "true")


def test_all_tabs_share_one_stream(page: Page, shift: Shift) -> None:
    others = [page.context.new_page() for _ in range(3)]
    for other in others:
        other.goto(page.url)
        expect(other.locator("#live-state")).to_have_text("实时")
    workers = page.context.browser.new_browser_cdp_session().send("Target.getTargets")["targetInfos"]  # type: ignore[union-attr]
    assert len([each for each in workers if each["type"] == "shared_worker"]) == 1
    shift.report("路灯不亮，己")
    for each in (page, *others):
        each.bring_to_front()
        expect(each.locator("#newer")).to_have_text(re.compile("有 1 条新事件"))


def current(page: Page) -> str:
    return page.locator("tr[aria-current='true'] a").inner_text()


def test_the_keyboard_goes_through_the_queue_and_is_silent_while_somebody_types(page: Page) -> None:
    titles = rows(page).get_by_role("link").all_inner_texts()
    for key, at in (("j", 0), ("j", 1), ("j", 2), ("k", 1)):
        page.keyboard.press(key)
        assert current(page) == titles[at]
    expect(pane(page).get_by_role("heading", level=1)).to_have_text(titles[1])
    page.keyboard.press("Enter")
    expect(pane(page)).to_be_focused()
    page.keyboard.press("Escape")
    expect(row(page, titles[1])).to_be_focused()
    page.keyboard.press("/")
    page.keyboard.type("jkx?")
    expect(page.get_by_label("标题或编号")).to_have_value("jkx?")
    assert current(page) == titles[1]
    page.evaluate("""() => document.body.dispatchEvent(
        new KeyboardEvent("keydown", { key: "j", isComposing: true, bubbles: true }))""")
    assert current(page) == titles[1]
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="键盘")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("q")
    expect(page).to_have_url(re.compile("/queues$"))


def test_a_decision_waits_ten_seconds_and_can_be_taken_back(page: Page, shift: Shift) -> None:
    case_id = shift.report("路灯不亮，庚")
    page.reload()
    row(page, "路灯不亮，庚").click()
    page.keyboard.press("3")
    expect(page.locator("#return-reason")).to_be_focused()
    page.keyboard.type("不属本区")
    page.locator(".a-return button").click()
    expect(page.locator("#pending")).to_contain_text("退回「路灯不亮，庚」 尚未执行")
    row(page, "路灯不亮，庚").focus()
    page.keyboard.press("z")
    expect(page.locator("#pending")).to_be_hidden()
    expect(page.locator("#told")).to_contain_text("什么也没有发生")
    assert shift.service.get(f"/api/v1/cases/{case_id}")["status"] == "dispatched"
    expect(page.locator("#return-reason")).to_have_value("不属本区")
    page.locator(".a-return button").click()
    page.get_by_role("button", name="立即执行").click()
    expect(page.locator("#told")).to_contain_text("已完成：退回")
    expect(row(page, "路灯不亮，庚")).to_contain_text("已退回")
    assert shift.service.get(f"/api/v1/cases/{case_id}")["timeline"][-1]["actor"] == "he"


def test_who_leaves_has_decided(page: Page, shift: Shift) -> None:
    case_id = shift.report("路灯不亮，辛")
    page.reload()
    row(page, "路灯不亮，辛").click()
    pane(page).locator(".a-note summary").click()
    page.locator("#note-text").fill("已电话联系")
    page.locator(".a-note button").click()
    expect(page.locator("#pending")).to_be_visible()
    page.goto(f"{shift.service.url}/queues")
    shift.service.until(f"/api/v1/cases/{case_id}", lambda case: case["timeline"][-1]["action"] == "noted")


def test_a_conflict_says_who_acted_first_and_keeps_what_was_typed(page: Page, shift: Shift, visits: Any) -> None:
    case_id = shift.report("路灯不亮，壬")
    page.reload()
    row(page, "路灯不亮，壬").click()
    pane(page).locator(".a-note summary").click()
    page.locator("#note-text").fill("我来处理")
    shift.act(case_id, "supervise", reason="市民来电催办")
    expect(pane(page).locator("#updated")).to_be_visible()
    visits.allow("409")
    page.locator(".a-note button").click()
    page.get_by_role("button", name="立即执行").click()
    expect(pane(page).get_by_role("alert")).to_contain_text("admin 已先行操作：督办")
    expect(page.locator("#note-text")).to_have_value("我来处理")


def test_marked_cases_are_acted_on_together_and_each_tells_what_came_of_it(page: Page, shift: Shift) -> None:
    ids = [shift.report(f"路灯不亮，同办{number}") for number in range(3)]
    page.goto(f"{shift.service.url}/cases?q=同办")
    for _ in ids:
        page.keyboard.press("j")
        page.keyboard.press("x")
    bar = page.get_by_role("form", name="批量操作")
    expect(bar).to_contain_text("已选 3 件")
    shift.act(ids[1], "note", text="先记一笔")
    with page.expect_request(re.compile("/fragments/bulk")) as sent:
        page.route("**/fragments/bulk", lambda route: route.continue_(post_data=_stale(route, ids[1])))
        bar.get_by_label("操作").select_option("note")
        bar.get_by_label("原因或说明").fill("统一答复")
        bar.get_by_role("button", name="执行").click()
    assert "csrf=" in str(sent.value.post_data)
    told = page.get_by_role("dialog", name="批量操作结果")
    expect(told).to_contain_text("完成 2 件，未完成 1 件")
    expect(told.locator("li.refused")).to_contain_text("已先行操作")
    told.get_by_role("button", name="关闭").click()
    expect(bar).to_be_hidden()


def _stale(route: Any, case_id: str) -> str:
    """The form as it was before somebody else wrote a note."""
    return re.sub(f"{case_id}%3A\\d+", f"{case_id}%3A1", str(route.request.post_data))


def test_what_the_list_shows_can_be_taken_along(page: Page, shift: Shift, late: str) -> None:
    page.goto(f"{shift.service.url}/cases?overdue=1")
    page.get_by_text("筛选条件").click()
    href = page.get_by_role("link", name="导出 CSV").get_attribute("href")
    lines = page.request.get(f"{shift.service.url}{href}").body().decode("utf-8-sig").splitlines()
    assert lines[0].startswith("编号,案件,领域")
    assert len(lines) == 2
    assert "路灯不亮，甲" in lines[1]
    xlsx = page.request.get(f"{shift.service.url}{href}".replace(".csv", ".xlsx"))
    assert xlsx.body().startswith(b"PK")


def test_a_view_is_saved_under_a_name_and_taken_away_again(page: Page, shift: Shift) -> None:
    page.goto(f"{shift.service.url}/cases?status=triage&q=暂无")
    page.get_by_label("存为视图").fill("无名目")
    page.get_by_role("button", name="保存").click()
    view = page.get_by_role("list", name="常用视图").get_by_role("link", name="无名目")
    expect(view).to_have_attribute("aria-current", "true")
    page.goto(f"{shift.service.url}/")
    view.click()
    expect(rows(page).get_by_role("link")).to_have_text(["暂无名目之事"])
    page.get_by_role("button", name="删除视图 无名目").click()
    expect(page.get_by_role("list", name="常用视图")).to_have_count(0)
