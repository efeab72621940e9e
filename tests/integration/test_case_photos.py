"""Photos added on a case's page: by the same people and under the same conditions as through the API, several
at once."""

import re
from typing import Any

import pytest
from desk import Desk
from photos import picture
from postgres import both_stores
from sqlalchemy import insert
from starlette.testclient import TestClient

from citybrain.casework.attachments import MOST, attach, owner_of
from citybrain.intake.body import MIB
from citybrain.intake.photo import read_photo
from citybrain.problem import Problem
from citybrain.store.attachment_tables import attachments, blobs

pytestmark = both_stores
GOOD = ("a.jpg", picture("JPEG", (40, 30)), "image/jpeg")
OTHER = ("b.png", picture("PNG", (30, 40)), "image/png")
DOCUMENT = ("报告.pdf", b"%PDF-1.7", "image/jpeg")


def add(browser: TestClient, case_id: str, *files: Any, **fields: str) -> Any:
    """As the form of the page sends it."""
    given = {"csrf": browser.headers["X-CSRF-Token"], "kind": "after"} | fields
    sent = [("file", each) for each in files]
    return browser.post(f"/cases/{case_id}/photos", data=given, files=sent, headers={"Accept": "text/html"})


def test_whoever_verifies_handles_or_acts_adds_photos_and_the_ledger_says_who(desk: Desk, sign_in: Any) -> None:
    case = desk.open()
    adders = [
        ("operator", "wang", {"divisions": ["441402"]}),
        ("worker", "li", {"divisions": ["441402"]}),
        ("system", "lights", {"departments": ["441402-cg"]}),
    ]
    for size, (role, name, scope) in enumerate(adders, 20):
        browser = sign_in(role, name, **scope)
        assert f'action="/cases/{case.id}/photos#photos"' in browser.get(f"/cases/{case.id}").text
        page = add(browser, case.id, ("a.jpg", picture("JPEG", (size, 20)), "image/jpeg"), kind="before")
        assert (page.status_code, page.url.path) == (200, f"/cases/{case.id}")
        assert "照片已添加。" in page.text
        assert f"处置前照片，03-03 09:0{size - 19}，{name}" in page.text
    assert [actor for actor, action in desk.story(case.id) if action == "attached"] == ["wang", "li", "lights"]
    assert [each["kind"] for each in desk.entries(case.id, "attached")] == ["before"] * 3
    assert desk.broken() == []


def test_of_several_files_the_good_ones_are_added_and_each_other_is_named_with_what_is_wrong(
    desk: Desk, sign_in: Any
) -> None:
    case, browser = desk.open(), sign_in("operator", "wang")
    cut = ("cut.jpg", GOOD[1][:200], "image/jpeg")
    page = add(browser, case.id, GOOD, DOCUMENT, OTHER, cut, kind="before")
    assert page.status_code == 422
    assert "已添加 2 张，下列照片没有添加：" in page.text
    assert "报告.pdf：不是 JPEG、PNG 或 WebP 图片" in page.text
    assert "cut.jpg：图片不完整或已损坏" in page.text
    assert page.text.count('<figure class="photo">') == 2
    assert 'value="before" required checked' in page.text
    again = add(browser, case.id, GOOD, kind="before")
    assert "所选照片早已在案件中，没有重复添加。" in again.text
    assert len(desk.rows(attachments)) == 2
    browser.get("/appearance?language=en")
    assert "报告.pdf: is no JPEG, PNG or WebP" in add(browser, case.id, DOCUMENT).text
    assert "Photo: no file was chosen" in add(browser, case.id, ("", b"", "")).text


def test_who_may_not_add_photos_adds_none_and_is_offered_no_form(desk: Desk, sign_in: Any) -> None:
    case = desk.open()
    auditor, elsewhere = sign_in("auditor", "shen"), sign_in("operator", "chen", divisions=["441481"])
    assert "/photos" not in auditor.get(f"/cases/{case.id}").text
    assert add(auditor, case.id, GOOD).status_code == 403
    assert add(elsewhere, case.id, GOOD).status_code == 404
    forged = add(sign_in("operator", "wang"), case.id, GOOD, csrf="wrong")
    assert (forged.status_code, "页面已过期" in forged.text) == (403, True)
    assert desk.rows(attachments) == []


def test_who_merged_the_case_away_meanwhile_is_named_and_the_way_to_the_other_shown(desk: Desk, sign_in: Any) -> None:
    case, other, browser = desk.open(), desk.open(), sign_in("operator", "wang")
    desk.act(case.id, "merge", into=other.id)
    page = add(browser, case.id, GOOD)
    assert page.status_code == 422
    assert "liu 已先行操作：并入其他案件（" in page.text
    assert "没有添加：a.jpg" in page.text
    assert f'<a href="/cases/{other.id}">' in page.text
    assert "/photos" not in browser.get(f"/cases/{case.id}").text
    assert desk.rows(attachments) == []


def test_a_photo_that_comes_while_the_case_is_merged_away_is_not_left_with_it(desk: Desk) -> None:
    case, other = desk.open(), desk.open()
    with desk.here.store.read() as tx:
        owner = owner_of(tx, None, case.id, desk.key, desk.here.city)  # seen before, added after
    desk.act(case.id, "merge", into=other.id)
    with desk.here.store.write() as tx, pytest.raises(Problem, match=r"^liu acted first \(merged_into, "):
        attach(tx, owner, "case_id", "after", read_photo(GOOD[1]), "wang", desk.here.city, desk.now)
    assert desk.rows(attachments) == []


def test_a_full_case_takes_no_more_and_too_much_at_once_is_told_in_words(desk: Desk, sign_in: Any) -> None:
    case, browser = desk.open(), sign_in("operator", "wang")
    many = add(browser, case.id, *[GOOD] * 10)
    assert "一次最多 9 张照片" in many.text
    heavy = add(browser, case.id, ("film.jpg", b"\xff" * (12 * MIB + 1), "image/jpeg"))
    assert "film.jpg：超过 12 MiB" in heavy.text
    path, sent = f"/cases/{case.id}/photos", {"Content-Length": str(200 * MIB), "Accept": "text/html"}
    refused = browser.post(path, content=b"--x", headers=sent)
    assert (refused.status_code, "合计超过 109 MiB" in refused.text) == (413, True)
    assert browser.post(path, data={"csrf": "x"}).status_code == 422  # no multipart
    action = browser.post(f"/api/v1/cases/{case.id}/photos", content=b"{}", headers={"Content-Length": str(2 * MIB)})
    assert (action.status_code, "1 MiB" in action.json()["detail"]) == (413, True)  # no photos: read into memory
    assert desk.rows(attachments) == []

    one = {"case_id": case.id, "kind": "after", "sha256": "x", "actor": "li", "received_at": desk.now}
    full = [one | {"id": f"{n:032}", "original_sha256": f"{n}"} for n in range(MOST - 1)]
    with desk.here.store.write() as tx:
        tx.execute(insert(blobs).values(
            sha256="x", media_type="image/png", width=1, height=1, content=b"x", thumbnail=b"x"))  # fmt: skip
        tx.execute(insert(attachments), full)
    page = add(browser, case.id, GOOD, OTHER, DOCUMENT)
    assert "已添加 1 张" in page.text
    assert f"已有 {MOST} 张照片，达到上限，不能再添加。" in page.text
    assert "没有添加：b.png、报告.pdf" in page.text


def test_where_a_moved_photo_came_from_is_told_beside_it(desk: Desk, sign_in: Any) -> None:
    away, case = desk.open(), desk.open()
    for each in (away, case):
        desk.photo(each.id)
    desk.act(away.id, "merge", into=case.id)
    browser = sign_in("operator", "wang")
    moved, own = re.findall(r"<figcaption>(.*?)</figcaption>", browser.get(f"/cases/{case.id}").text)
    assert f'原属案件 <a href="/cases/{away.number}">{away.number}</a>' in moved
    assert "原属案件" not in own
    assert browser.get(f"/cases/{away.number}").status_code == 200
