"""The pages in English, in the theme that was chosen, in the city's time, and under a Chinese input method."""

import itertools
import re
import time
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from phone import PHONE, arrive, ready_for_no_network
from playwright.sync_api import Page, expect
from serving import Service

from citybrain.city import load_city
from citybrain.config import BUILTIN_CITY
from citybrain.domain import load_domains

DESK = {"viewport": {"width": 1440, "height": 900}}
ABROAD = DESK | {"locale": "en-US", "timezone_id": "America/New_York"}
JIAOLING = "441427"
THERE: dict[str, Any] = {"lng": 116.1712, "lat": 24.6587, "datum": "wgs84"}
PAGES = ["/", "/cases?q=x", "/queues", "/events", "/deliveries?status=failed", "/coverage", "/report", "/docs"]
PAGES += ["/coverage?division=441427&level=village", "/coverage?at=nonsense", "/events/none"]
HEARD = ["aria-label", "title", "placeholder", "alt", "data-name"]
# What a reader sees or hears, but for what is marked as Chinese; the API's descriptions have the Chinese terms too.
TEXTS = r"""(heard) => {
  const foreign = (node) => node.parentElement?.closest("[lang=zh-CN], script, .operation");
  const walker = document.createTreeWalker(document, NodeFilter.SHOW_ALL);
  const found = [document.title];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (foreign(node)) continue;
    if (node.nodeType === Node.TEXT_NODE) found.push(node.data);
    if (node.nodeType === Node.ELEMENT_NODE && node.lang !== "zh-CN")
      for (const name of heard) found.push(node.getAttribute(name) ?? "");
  }
  return found.filter((text) => /\p{Script=Han}|[，。；：、（）]/u.test(text));
}"""
ROWS = """document.querySelector(".top").clientHeight / document.querySelector(".top nav a").offsetHeight"""
SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY, NIGHT = "rgb(244, 246, 248)", "rgb(18, 23, 27)"
HOUR = 3600  # the zones are further apart
KEPT_IN_CHINESE = """async () => {
  const kept = async () => (await (await caches.match("/report/offline"))?.text())?.includes('<html lang="zh-CN"');
  while (!(await kept())) await new Promise((resolve) => setTimeout(resolve, 50));
}"""
numbers = itertools.count()


@pytest.fixture(scope="module")
def service(shared_service: Service) -> Service:
    return shared_service


@pytest.fixture(scope="module")
def operator(service: Service) -> str:
    """Of 蕉岭县 alone, where no other test reports."""
    return service.key("operator", "smith", divisions=JIAOLING)


@pytest.fixture(scope="module")
def names() -> re.Pattern[str]:
    """What the city and its catalogues call in Chinese whatever the reader's language: divisions, cells,
    departments, classes of types, conditions; and what people wrote in these tests."""
    city, domains = load_city(BUILTIN_CITY), load_domains()
    found = {division.name for level in city.levels for division in city.divisions.level(level)}
    found |= {city.name} | {department.name for department in city.departments.values()}
    kinds = [kind.row.class_ for domain in domains.values() for kind in domain.catalogue.types.values()]
    kinds += [row.name for domain in domains.values() for row in domain.manifest.condition]
    longest_first = sorted({*found, *filter(None, kinds)}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) + r"|\d+网格|路灯不亮\w*")


def report(service: Service, title: str) -> Any:
    number = next(numbers)
    event = {
        "source_event_id": f"appearance-{time.time_ns()}",
        "domain": "grid",
        "title": title,
        "occurred_at": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
        "location": THERE | {"lat": THERE["lat"] + number / 100},
    }
    posted = service.post("/api/v1/events", event)["id"]
    found = service.until(f"/api/v1/events/{posted}", lambda event: event["case_id"])
    return service.get(f"/api/v1/cases/{found['case_id']}")


def sign_in(page: Page, service: Service, key: str) -> None:
    page.goto(f"{service.url}/login")
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/login" not in url)


def switch(page: Page, name: str) -> None:
    page.locator(".appearance summary").click()
    page.locator(".appearance").get_by_role("button", name=name).click()


def chinese(page: Page, names: re.Pattern[str]) -> list[str]:
    left = [names.sub("", text) for text in page.evaluate(TEXTS, HEARD)]
    return [text for text in left if re.search(r"[\u3400-\u9fff，。；：、（）]", text)]


def test_who_reads_english_finds_no_chinese_but_names(visits: Any, service: Service, names: Any) -> None:
    case = report(service, "路灯不亮甲")
    visit = visits(**ABROAD)
    visit.allowed += ["status of 404", "status of 422"]  # two pages tell of a mistake
    page = visit.page()
    page.goto(f"{service.url}/login")
    assert chinese(page, names) == []
    sign_in(page, service, service.key("admin", "jones", divisions=JIAOLING))
    for path in [*PAGES, f"/cases/{case['id']}", f"/events/{case['events'][0]['id']}"]:
        page.goto(service.url + path)
        expect(page.locator("html")).to_have_attribute("lang", "en")
        if page.locator("#live-state").count():
            expect(page.locator("#live-state")).to_have_text("Live")
        assert chinese(page, names) == [], path
    page.goto(service.url)
    for width in (1440, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(ROWS) < 2, "the head with every entry is one row"


def test_what_comes_in_while_somebody_looks_speaks_their_language(
    visits: Any, service: Service, operator: str, names: Any
) -> None:
    report(service, "路灯不亮")
    page = visits(**ABROAD).page()
    sign_in(page, service, operator)
    expect(page.locator("#live-state")).to_have_text("Live")
    case = report(service, "路灯不亮乙")
    expect(page.locator("#newer")).to_contain_text("1 new (.)")
    page.keyboard.press(".")
    row = page.locator(f"tr[data-id='{case['id']}']")
    expect(row).to_contain_text("left")
    assert chinese(page, names) == []
    due = datetime.fromisoformat(case["deadline"]["due_at"])
    assert str(due.utcoffset()) == "8:00:00"
    expect(row.locator(".by")).to_contain_text(f"by {due:%m-%d %H:%M}")
    page.goto(f"{service.url}/events")
    reported = datetime.fromisoformat(case["events"][0]["received_at"])
    expect(page.locator("tr", has_text="路灯不亮乙").locator("time")).to_have_text(f"{reported:%m-%d %H:%M}")


def test_language_and_theme_are_switched_and_kept(visits: Any, service: Service, operator: str) -> None:
    page = visits(**ABROAD, color_scheme="light").page()
    sign_in(page, service, operator)
    page.goto(f"{service.url}/cases?sort=newest&q=x")
    switch(page, "Dark")
    for _ in range(2):
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        expect(page.locator("html")).to_have_css("color-scheme", "dark")
        expect(page.locator("body")).to_have_css("background-color", NIGHT)
        page.reload()
    assert "sort=newest&q=x" in page.url
    switch(page, "中文")
    expect(page.get_by_role("heading", name="全部在办案件")).to_be_visible()
    page.get_by_role("button", name="退出").click()
    expect(page.get_by_role("heading", name="登录")).to_be_visible()
    expect(page.locator("html")).to_have_css("color-scheme", "dark")
    page.emulate_media(color_scheme="dark")
    switch(page, "浅色")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    expect(page.locator("body")).to_have_css("background-color", DAY)
    switch(page, "跟随系统")
    expect(page.locator("html")).to_have_attribute("data-theme", "system")
    expect(page.locator("body")).to_have_css("background-color", NIGHT)


def test_the_kept_page_speaks_the_language_that_was_chosen_last(visits: Any, service: Service) -> None:
    visit = visits(**PHONE, locale="en-US", timezone_id="America/New_York")
    visit.allowed.append("ERR_INTERNET_DISCONNECTED")
    page = arrive(visit, service, service.key("worker", "walker", domains="grid", divisions=JIAOLING))
    page.get_by_text("Description, time and contact").tap()
    rendered = int(page.locator("body").get_attribute("data-now") or 0) / 1000
    written = datetime.fromisoformat(page.get_by_label("When it happened").input_value())
    assert abs((written.replace(tzinfo=SHANGHAI).timestamp()) - rendered) < HOUR
    ready_for_no_network(page)
    switch(page, "中文")
    expect(page.get_by_role("heading", name="上报事件")).to_be_visible()
    page.evaluate(KEPT_IN_CHINESE)
    visit.context.set_offline(True)
    page.reload()
    expect(page.locator("#strip")).to_contain_text("离线，仍可上报")
    page.once("dialog", lambda dialog: dialog.accept())
    switch(page, "English")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")


def test_the_filter_leaves_its_keys_to_an_input_method(visits: Any, service: Service, operator: str) -> None:
    titles = {report(service, title)["title"] for title in ("路灯不亮丙", "路灯不亮丁")}
    visit = visits()
    page = visit.signed_in(operator)
    page.goto(f"{service.url}/cases")
    expect(page.locator("tr[data-id]").nth(1)).to_be_visible()
    page.keyboard.press("j")
    chosen = page.locator("tr[aria-current='true']").get_attribute("data-id")
    page.keyboard.press("/")
    composing = visit.context.new_cdp_session(page)
    composing.send("Input.imeSetComposition", {"text": "jk", "selectionStart": 2, "selectionEnd": 2})
    for key in ("Process", "j", "x", "Enter"):
        composing.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", "windowsVirtualKeyCode": 229, "key": key})
    search = page.get_by_label("标题或编号")
    expect(search).to_be_focused()
    expect(search).to_have_value("jk")
    expect(page.locator("tr[aria-current='true']")).to_have_attribute("data-id", str(chosen))
    expect(page.locator("tr[aria-selected='true']")).to_have_count(0)
    composing.send("Input.insertText", {"text": "不亮丙"})
    expect(search).to_have_value("不亮丙")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"[?&]q="))
    expect(page.locator("tr[data-id]").get_by_role("link")).to_have_text([title for title in titles if "丙" in title])
