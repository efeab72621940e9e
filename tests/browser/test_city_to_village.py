"""The coverage page in a browser: down to a village and back, choosing by form, on paper, on a phone."""

import re
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from proven import DAY, Proven
from serving import Service

from citybrain.clock import now_ms
from citybrain.store.database import Store

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
VILLAGE = {"county": "441402", "town": "441402004", "village": "441402004003"}


@pytest.fixture(scope="module")
def record(service: Service) -> Iterator[Proven]:
    """The record begins 20 days ago; five days ago a water case went all its way in 江南社区, and one of fire, but that
    was the demonstration's."""
    record = Proven(Store(f"sqlite:///{service.data / 'citybrain.db'}"))
    record.key("on-site", "worker", now=now_ms() - 20 * DAY)
    record.endpoint()
    record.case("grid", now_ms() - 20 * DAY, county="441403")
    record.whole("water", now_ms() - 5 * DAY, actor="on-site", **VILLAGE)
    record.whole("fire", now_ms() - 5 * DAY, actor="on-site", demo=True, **VILLAGE)
    record.write()
    yield record
    record.store.close()


@pytest.fixture(scope="module")
def auditor(service: Service, record: Proven) -> str:
    return service.key("auditor", "shen")


def heading(page: Page) -> Any:
    return page.get_by_role("heading", level=1)


def row(page: Page, name: str) -> Any:
    return page.locator("table.industries tbody tr", has=page.get_by_role("rowheader", name=name))


def fits(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url


@pytest.mark.parametrize("options", [{}, PHONE, {"java_script_enabled": False}], ids=["desk", "phone", "no-script"])
def test_down_from_the_city_to_a_village_and_back(visits: Any, auditor: str, options: Any) -> None:
    page = visits(**options).signed_in(auditor)
    page.get_by_role("link", name="行业覆盖率").click()
    for name in ("梅州市", "梅江区", "江南街道", "江南社区居委会"):
        if name != "梅州市":
            page.locator("table.divisions").get_by_role("link", name=name, exact=True).click()
        expect(heading(page)).to_contain_text(f"行业覆盖率 {name}")
        expect(page.locator(".formula")).to_contain_text("1 ÷ 11 × 100 % = 9.1 %")
        expect(row(page, "水务")).to_contain_text("已覆盖")
        expect(row(page, "公安")).to_contain_text("没有业务领域覆盖该行业")
        if options.get("java_script_enabled", True):
            fits(page)
    assert page.url.endswith("/coverage?division=441402004003")
    expect(row(page, "水务")).to_contain_text("on-site")
    expect(page.locator("table.divisions")).to_have_count(0)
    for name in ("江南街道", "梅江区", "梅州市"):
        page.locator(".crumbs").get_by_role("link", name=name).click()
        expect(heading(page)).to_contain_text(f"行业覆盖率 {name}")


@pytest.mark.parametrize("options", [{}, PHONE, {"java_script_enabled": False}], ids=["desk", "phone", "no-script"])
def test_the_map_says_what_the_list_says_and_leads_where_it_leads(visits: Any, auditor: str, options: Any) -> None:
    page = visits(**options).signed_in(auditor)
    page.goto(f"{page.url.split('/cases')[0].rstrip('/')}/coverage?include_demo=1")
    for name, told in (("梅江区", "实际 18.2 %"), ("江南街道", "实际 18.2 %"), ("江南社区居委会", "实际 18.2 %")):
        there = page.get_by_role("link", name=f"{name}：{told}")
        expect(page.locator("table.divisions tbody tr", has_text=name)).to_contain_text("18.2 %")
        path = there.locator("path")
        assert path.get_attribute("class") == "s1"
        there.focus()
        there.press("Enter")
        expect(heading(page)).to_contain_text(f"行业覆盖率 {name}")
    expect(page.locator(".coverage-map")).to_have_count(0)


def test_the_page_is_taken_along_with_its_question(visits: Any, auditor: str) -> None:
    page = visits().signed_in(auditor)
    page.goto(f"{page.url.rstrip('/')}/coverage?division=441402&include_demo=1")
    with page.expect_download() as taken:
        page.get_by_role("link", name="导出 XLSX").click()
    assert taken.value.suggested_filename.startswith("coverage-441402-county-")
    with zipfile.ZipFile(taken.value.path()) as book:
        texts = re.findall("<t>([^<]*)</t>", book.read("xl/sharedStrings.xml").decode())
        sheets = re.findall('<sheet name="([^"]*)"', book.read("xl/workbook.xml").decode())
    assert sheets == ["行业覆盖率", "各行业", "区划", "历史"]
    assert {"梅江区", "江南街道", "已覆盖 ÷ 全部 × 100 %", "演示证据已计入。", "N2", "没有业务领域覆盖该行业"} <= {
        part for text in texts for part in (text, *text.split("、"))
    }


def test_levels_are_links_and_the_address_holds_the_question(visits: Any, auditor: str) -> None:
    visit = visits()
    page = visit.signed_in(auditor)
    page.goto(f"{visit.url}/coverage")
    levels = page.get_by_role("navigation", name="层级")
    assert [each.split("\n")[0] for each in levels.locator(".level").all_inner_texts()] == [
        "梅州市", "县（市、区）", "镇（街道）", "村（社区）",
    ]  # fmt: skip
    levels.get_by_role("link", name="村（社区）").click()
    expect(page.locator(".formula")).to_contain_text("1 ÷ 24959")
    page.get_by_label("口径（分母）").select_option("topics")
    page.get_by_role("button", name="查看").click()
    expect(page).to_have_url(re.compile("basis=topics"))
    expect(page.locator(".formula")).to_contain_text("0 ÷ 13614", use_inner_text=True)
    expect(levels.get_by_role("link", name="村（社区）")).to_have_attribute("aria-current", "page")
    page.get_by_label("区划").select_option(label="梅江区")
    page.get_by_role("button", name="前往").click()
    expect(heading(page)).to_contain_text("梅江区")
    expect(page.get_by_label("口径（分母）")).to_have_value("topics")
    page.get_by_label("计入演示证据").check()
    page.get_by_role("button", name="查看").click()
    expect(page.get_by_text("已计入演示证据，不是正式数字")).to_be_visible()
    expect(page.locator(".formula")).to_contain_text("1 ÷ 6", use_inner_text=True)
    page.get_by_role("link", name="只看正式数字").click()
    expect(page.locator(".formula")).to_contain_text("0 ÷ 6", use_inner_text=True)


def test_a_past_day_is_chosen_in_the_form_or_in_the_history(visits: Any, auditor: str) -> None:
    visit = visits()
    page = visit.signed_in(auditor)
    page.goto(f"{visit.url}/coverage?division=441402")
    drawing = page.get_by_role("img", name="梅江区行业覆盖率历史，每天一个数")
    expect(drawing).to_be_visible()
    last = page.get_by_role("region", name="逐日数值").get_by_role("row").nth(11)
    day = last.get_by_role("link").inner_text()
    expect(last).to_contain_text("0.0 %")
    last.get_by_role("link").click()
    expect(heading(page)).to_contain_text(f"截至 {day}（当日结束时）")
    expect(row(page, "水务")).to_contain_text("未覆盖")
    expect(page.get_by_label("日期")).to_have_value(day)
    page.get_by_role("link", name="回到今天").click()
    expect(row(page, "水务")).to_contain_text("已覆盖")
    page.get_by_label("日期").fill("2020-12-31")
    page.get_by_role("button", name="查看").click()
    assert "/coverage" in page.url, "the form itself knows when the registry began"
    assert page.get_by_label("日期").evaluate("field => !field.validity.valid")


def test_a_wrong_address_leads_back(visits: Any, auditor: str) -> None:
    visit = visits()
    visit.allowed.append("422")
    page = visit.signed_in(auditor)
    page.goto(f"{visit.url}/coverage?at=2020-12-31")
    expect(page.get_by_role("alert")).to_contain_text("登记册从 2021-01-01 开始")
    page.get_by_role("link", name="不带条件重新打开").click()
    expect(heading(page)).to_contain_text("行业覆盖率 梅州市")


def test_the_case_that_proves_is_one_click_away(visits: Any, auditor: str) -> None:
    visit = visits()
    page = visit.signed_in(auditor)
    page.goto(f"{visit.url}/coverage?division=441402004003")
    row(page, "水务").get_by_role("link").click()
    expect(page).to_have_url(re.compile("/cases/case00000002$"))
    expect(page.locator(".crumbs")).to_contain_text("N2")


def test_on_paper_there_are_figures_and_no_forms(visits: Any, auditor: str) -> None:
    visit = visits(viewport={"width": 690, "height": 1000})  # A4 between its margins
    page = visit.signed_in(auditor)
    page.goto(f"{visit.url}/coverage?division=441402")
    page.emulate_media(media="print")
    for gone in (".top", ".asking", ".order"):
        expect(page.locator(gone).first).to_be_hidden()
    for kept in (".formula", "table.industries thead", ".history", "table.divisions"):
        expect(page.locator(kept)).to_be_visible()
    rows = page.locator(".history-table")
    assert rows.evaluate("box => box.scrollHeight <= box.clientHeight + 1"), "every day is printed"
    fits(page)


@pytest.mark.parametrize("width", [360, 1440, 1920])
def test_it_fits_the_screen(visits: Any, auditor: str, width: int) -> None:
    visit = visits(viewport={"width": width, "height": 900})
    page = visit.signed_in(auditor)
    for question in ("", "?level=village&days=366", "?division=441402004003&include_demo=1"):
        page.goto(f"{visit.url}/coverage{question}")
        fits(page)
