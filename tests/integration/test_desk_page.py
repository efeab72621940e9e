"""The desk's own doors, without a browser: who sees what of queue, map and exports, and what a bulk action answers."""

import io
import re
import time
import zipfile
from math import asinh, atan, degrees, radians, sinh, tan
from typing import Any

import numpy as np
from desk import Desk
from PIL import Image
from starlette.testclient import TestClient

from citybrain.app import build
from citybrain.casework.followup import follow_up
from citybrain.console.maps.groundmap import draw_ahead, view_of
from citybrain.editions.watch import Watch

MEIXIAN = {"lng": 116.40, "lat": 24.50, "datum": "wgs84"}
EVERYWHERE = "115,23,117.5,25.5"


def test_queue_map_and_exports_show_a_divisions_operator_its_own_cases_alone(desk: Desk, sign_in: Any) -> None:
    mine, other = desk.open(title="路灯不亮"), desk.open(title="井盖破损", location=MEIXIAN)
    assert (mine.county, other.county) == ("441402", "441403")
    browser = sign_in("operator", "wang", divisions=["441402"])
    points = browser.get(f"/fragments/points?box={EVERYWHERE}").json()
    assert [each[0] for each in points["points"]] == [mine.id]
    assert points["more"] is False
    asked = f"/fragments/desk?since={desk.now - 10**6}&cards=1&shown={mine.id},{other.id}"
    for path in ("/", "/fragments/cases", asked, "/exports/cases.csv"):
        text = browser.get(path).text
        assert "路灯不亮" in text, path
        assert "井盖破损" not in text, path
    assert re.search(r'data-newer="(\d)"', browser.get(asked).text).group(1) == "1"  # type: ignore[union-attr]
    book = zipfile.ZipFile(io.BytesIO(browser.get("/exports/cases.xlsx").content))
    assert "井盖破损" not in "".join(book.read(name).decode() for name in book.namelist())
    done = browser.post("/fragments/bulk", data=_bulk(browser, "note", mine, other, reason="已知悉"))
    assert "完成 1 件，未完成 1 件" in done.text
    assert [desk.story(each.id)[-1][1] for each in (mine, other)] == ["noted", "dispatched"]


def _bulk(browser: TestClient, action: str, *rows: Any, **fields: str) -> dict[str, Any]:
    items = [f"{row.id}:{row.version}" for row in rows]
    return {"csrf": browser.headers["X-CSRF-Token"], "action": action, "item": items, **fields}


def test_what_a_role_may_not_do_the_desk_does_not_do(desk: Desk, sign_in: Any) -> None:
    case = desk.open()
    source, auditor = sign_in("source", "app-1"), sign_in("auditor", "shen")
    for path in (f"/fragments/points?box={EVERYWHERE}", "/fragments/cases", "/exports/cases.csv", "/queues"):
        assert source.get(path).status_code == 403, path
        assert TestClient(build(desk.here)).get(path, follow_redirects=False).status_code in (303, 401), path
    assert auditor.get("/fragments/cases").status_code == 200
    assert auditor.post("/fragments/bulk", data=_bulk(auditor, "note", case, reason="x")).status_code == 403
    forged = _bulk(auditor, "note", case, reason="x") | {"csrf": "wrong"}
    assert auditor.post("/fragments/bulk", data=forged).status_code == 403
    assert desk.case(case.id).version == case.version


def test_due_soon_is_what_the_first_threshold_has_passed(desk: Desk, sign_in: Any) -> None:
    case = desk.open()
    assert case.id not in sign_in("operator", "wang").get("/cases?soon=1").text
    desk.pass_time(milliseconds=case.due_at - desk.now - 5 * 60_000)
    browser = sign_in("operator", "li")
    follow_up(desk.here.store, desk.here.city, desk.now)
    assert case.id in browser.get("/cases?soon=1").text
    assert [each["id"] for each in browser.get("/api/v1/cases?soon=true").json()["items"]] == [case.id]
    assert browser.get("/api/v1/cases?soon=false").json()["items"] == []


def test_the_ground_is_the_edition_in_use_and_is_kept_for_good(desk: Desk, sign_in: Any) -> None:
    browser = sign_in("auditor", "shen")
    edition = desk.here.locator.edition.id
    outlines = browser.get(f"/ground/{edition}/outlines.json")
    assert {level: len(shapes) for level, shapes in outlines.json().items()} == {"county": 8, "town": 114}
    assert "immutable" in outlines.headers["cache-control"]
    near = browser.get(f"/ground/{edition}/cells.json?box=116.11,24.28,116.12,24.29").json()
    assert {each["properties"]["level"] for each in near} == {"village", "cell"}
    assert browser.get(f"/ground/{edition}/cells.json?box=nan,1,2,3").status_code == 422
    assert browser.get("/ground/of-yesterday/outlines.json").status_code == 404


def test_the_ground_is_drawn_before_anybody_asks_for_it(desk: Desk) -> None:
    """Drawing the cells takes a second or two, which nobody is to wait for."""
    folder = desk.here.config.data / "editions"
    folder.mkdir()
    watch = Watch(desk.here, draw_ahead)
    watch.start()
    ends = time.monotonic() + 60
    while {each.suffix for each in folder.iterdir()} != {".outlines", ".cells"}:
        assert time.monotonic() < ends
        time.sleep(0.02)
    watch.close()


def test_the_image_of_cells_lies_where_the_cells_are(desk: Desk, sign_in: Any) -> None:
    """Pixels beside a line belong to two cells, by the same arithmetic as a map in Mercator's projection."""
    browser = sign_in("auditor", "shen")
    locator = desk.here.locator
    drawn = np.array(Image.open(io.BytesIO(browser.get(f"/ground/{locator.edition.id}/cells.png").content)))
    height, width = drawn.shape
    (south, west), (north, east) = view_of(desk.here)["box"]
    rng = np.random.default_rng(7)
    rows, columns = rng.integers(0, height, 20_000), rng.integers(1, width, 20_000)
    top, bottom = (asinh(tan(radians(lat))) for lat in (north, south))

    def code(row: int, column: float) -> Any:
        lat = degrees(atan(sinh(top - (row + 0.5) / height * (top - bottom))))
        return locator.codes([west + (column + 0.5) / width * (east - west)], [lat], ["cell"])["cell"][0]

    lines = [(r, c) for r, c in zip(rows, columns, strict=True) if drawn[r, c]][:50]
    for row, column in lines:
        around = {code(row, column), code(row, column + 1), code(row + 1, column)}
        assert len(around) > 1, (row, column)
