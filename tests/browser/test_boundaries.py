"""Boundaries in a browser: a file that is wrong says where and what to do, one that is right is tried out, put into use
and taken back."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import shapely
from playwright.sync_api import Page, expect
from plots import Plots, write
from serving import Service, make_service
from test_access import wrong

CITY = Plots(4, 3, seed=1)
PHONE = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"}
TOWN = "T0000"  # of county A; T0100 is its neighbour


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("plots")
    (folder / "editions").mkdir()
    made = make_service(folder / "data", folder / "editions", CITYBRAIN_CITY=str(CITY.write(folder / "pack")))
    made.start("--workers", "1")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def case(service: Service) -> str:
    """A case in the middle of the town that a survey gives to its neighbour."""
    at = CITY.rows[TOWN][1].centroid
    event = {"source_event_id": "plots-1", "domain": "grid", "type": "c01039", "title": "路灯不亮"}
    event |= {"occurred_at": "2026-01-05T08:00:00+08:00", "location": {"lng": at.x, "lat": at.y, "datum": "wgs84"}}
    posted = service.post("/api/v1/events", event)["id"]
    return str(service.until(f"/api/v1/events/{posted}", lambda event: event["case_id"])["case_id"])


def towns(folder: Path, changes: dict[str, Any]) -> Path:
    """A file of all towns, some of them with another shape."""
    features = CITY.town_features()
    for each in features:
        if (shape := changes.get(each["properties"]["code"])) is not None:
            each["geometry"] = shapely.geometry.mapping(shape)
    return write(folder / "towns.geojson", features)


def survey(folder: Path) -> Path:
    """Of two neighbours one takes all but a strip in the west of the other."""
    whole, other = CITY.rows[TOWN][1], CITY.rows["T0100"][1]
    west, south, east, north = whole.bounds
    strip = shapely.intersection(whole, shapely.box(west, south, west + 0.1 * (east - west), north))
    return towns(folder, {TOWN: strip, "T0100": shapely.union_all([other, shapely.difference(whole, strip)])})


def load(page: Page, file: Path, **fields: str) -> None:
    page.goto(page.url.split("/boundaries")[0].rstrip("/") + "/boundaries")
    page.get_by_label("镇", exact=True).set_input_files(file)
    for label, text in fields.items():
        page.get_by_label(label).fill(text)
    page.get_by_role("button", name="载入并检查").click()


def fits(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url


@pytest.mark.parametrize("options", [{}, PHONE], ids=["desk", "phone"])
def test_a_wrong_file_says_what_where_and_what_to_do(
    visits: Any, service: Service, tmp_path: Path, options: Any
) -> None:
    page = visits(**options).signed_in(service.admin_key)
    load(page, towns(tmp_path, {TOWN: CITY.rows["T0100"][1]}))
    page.wait_for_url("**/boundaries?edition=*")
    expect(page.get_by_role("note")).to_contain_text("不能启用")
    row = page.locator("table.faults tbody tr", has_text="重叠").first
    expect(row).to_contain_text("与 T0100 重叠")
    expect(row).to_contain_text("把重叠的地方划给其中一个")
    row.get_by_role("button", name="在地图上看").click()
    expect(page.locator("#map-present")).to_be_focused()
    page.locator(".kinds").get_by_role("link", name="重叠").click()
    expect(page.locator("table.faults tbody tr")).to_have_count(1)
    expect(page.get_by_role("link", name="试算")).to_have_count(0)
    fits(page)
    assert wrong(page) == []


def test_a_refused_form_says_why_and_keeps_what_was_filled_in(visits: Any, service: Service, tmp_path: Path) -> None:
    visit = visits()
    visit.allowed.append("422")
    page = visit.signed_in(service.admin_key)
    page.goto(f"{visit.url}/boundaries")
    page.get_by_label("版本名称").fill("新版")
    page.get_by_role("button", name="载入并检查").click()
    expect(page.locator("#refused")).to_contain_text("没有选择文件")
    expect(page.get_by_label("版本名称")).to_have_value("新版")


def test_a_survey_is_tried_put_into_use_and_taken_back(
    visits: Any, service: Service, case: str, tmp_path: Path
) -> None:
    page = visits().signed_in(service.admin_key)
    load(page, survey(tmp_path), 版本名称="二七年勘界")
    page.get_by_role("link", name="试算启用后的变化").click()
    expect(page.locator(".figure-line").first).to_contain_text("1 件区划或责任部门会改变（未结案件共 1 件）")
    expect(page.get_by_role("row", name="镇 镇T0000 镇T0100 1")).to_be_visible()
    expect(page.get_by_role("link", name="路灯不亮")).to_have_attribute("href", f"/cases/{case}")
    assert wrong(page) == []
    page.get_by_role("button", name="计算").click()
    expect(page.locator("#past .figure-line")).to_contain_text("1 条会落在别的区划")
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="启用“二七年勘界”").click()
    row = page.locator("table.editions tbody tr", has_text="使用中")
    expect(row).to_contain_text("二七年勘界")
    expect(row).to_contain_text("admin")
    assert service.get(f"/api/v1/cases/{case}")["place"]["town"]["code"] == TOWN
    page.get_by_role("link", name="城市包自带边界").click()
    page.get_by_role("link", name="试算启用后的变化").click()
    expect(page.get_by_role("heading", name="改回这个版本")).to_be_visible()
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="启用“城市包自带边界”").click()
    expect(page.locator("table.editions tbody tr", has_text="使用中")).to_contain_text("城市包自带边界")


def reported(service: Service, number: int) -> str:
    """The case of what no rule decides, in the middle of the town."""
    at = CITY.rows[TOWN][1].centroid
    event = {"source_event_id": f"plots-undecided-{number}", "domain": "grid", "title": "暂无名目之事"}
    event |= {"occurred_at": "2026-01-05T08:00:00+08:00", "location": {"lng": at.x, "lat": at.y, "datum": "wgs84"}}
    posted = service.post("/api/v1/events", event)["id"]
    return str(service.until(f"/api/v1/events/{posted}", lambda event: event["case_id"])["case_id"])


def test_every_map_that_is_open_takes_up_another_edition(visits: Any, service: Service, tmp_path: Path) -> None:
    first = visits().signed_in(service.admin_key)
    load(first, survey(tmp_path), 版本名称="二七年勘界")
    first.wait_for_url("**/boundaries?edition=*")
    other = first.url.split("edition=")[1].split("&")[0]
    case = reported(service, 1)
    maps = {"/boundaries": 1, "/wall": 1, f"/cases/{case}": 1, f"/?case={case}": 2}
    asked = dict.fromkeys(maps, 0)
    pages = {path: first.context.new_page() for path in maps}
    for path, page in pages.items():
        page.goto(service.url + path)
        expect(page.locator(".leaflet-container")).to_have_count(maps[path])

        def heard(request: Any, path: str = path) -> None:
            asked[path] += f"/ground/{other}/outlines.json" in request.url

        page.on("request", heard)
    service.post(f"/api/v1/editions/{other}/activate")
    at = CITY.rows[TOWN][1].centroid
    service.until(f"/api/v1/locate?lng={at.x}&lat={at.y}&datum=wgs84", lambda place: place["edition"] == other)
    reported(service, 2)  # desk and wall hear of it, and ask what is new
    for path, page in pages.items():
        page.bring_to_front()
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        ends = time.monotonic() + 60
        while asked[path] < maps[path] and time.monotonic() < ends:
            page.wait_for_timeout(50)
    assert asked == maps
    expect(pages["/boundaries"].locator("table.editions tbody tr", has_text="使用中")).to_contain_text("二七年勘界")


def test_who_only_reads_has_nothing_to_load_with(visits: Any, service: Service) -> None:
    page = visits(java_script_enabled=False).signed_in(service.key("operator", "he"))
    page.get_by_role("link", name="边界版本").click()
    expect(page.get_by_role("heading", name="检查报告")).to_be_visible()
    expect(page.get_by_role("button", name="载入并检查")).to_have_count(0)
