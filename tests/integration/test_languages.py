"""Language and theme: what a browser likes until somebody chooses, what was chosen from then on, and nowhere astray."""

from typing import Any

import pytest
from desk import Desk
from starlette.testclient import TestClient

from citybrain.app import build
from citybrain.keys import create_key


@pytest.fixture
def browser(desk: Desk) -> TestClient:
    return TestClient(build(desk.here), base_url="https://testserver", follow_redirects=False)


@pytest.mark.parametrize(
    ("liked", "language"),
    [
        ("", "zh-CN"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("en;q=0.3, zh-Hans-CN;q=0.7", "zh-CN"),
        ("fr-FR,fr;q=0.9,en;q=0.5", "en"),
        ("fr, *;q=0.1", "zh-CN"),
        ("en;q=0", "zh-CN"),
        (";;q=x," * 200, "zh-CN"),
    ],
)
def test_until_somebody_chooses_the_browsers_language_is_spoken(browser: Any, liked: str, language: str) -> None:
    page = browser.get("/login", headers={"Accept-Language": liked}).text
    assert f'<html lang="{language}" data-theme="system">' in page


def test_a_choice_is_remembered_and_leads_back_to_where_it_was_made(browser: Any) -> None:
    referer = {"Referer": "https://testserver/login?next=%2Fcases%3Fq%3Dx"}
    answer = browser.get("/appearance?language=en", headers=referer)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fcases%3Fq%3Dx")
    assert all(part in answer.headers["set-cookie"] for part in ("HttpOnly", "SameSite=lax", "Secure", "Max-Age=3153"))
    browser.get("/appearance?theme=dark")
    page = browser.get("/login", headers={"Accept-Language": "zh-CN"}).text
    assert '<html lang="en" data-theme="dark">' in page
    assert 'media="screen"' in page
    browser.get("/appearance?theme=light")
    assert "dark.css" not in browser.get("/login").text


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "/\\evil.example", "/\x0d\x0aX: y", "x"])
def test_a_choice_never_leads_to_another_host(browser: Any, back: str) -> None:
    answer = browser.get("/appearance", params={"language": "en", "back": back})
    assert answer.headers["location"] == "/"
    assert browser.get("/appearance?theme=pink").status_code == 422


@pytest.fixture
def operator(desk: Desk, browser: TestClient) -> TestClient:
    """Signed in, and English from now on."""
    with desk.here.store.write() as tx:
        plain = create_key(tx, "wang", "operator", desk.now, "test")
    desk.pass_time(minutes=1)  # the keyring reads its keys anew
    browser.get("/appearance?language=en")
    browser.headers["X-CSRF-Token"] = browser.post("/api/v1/session", json={"key": plain}).json()["csrf_token"]
    return browser


def test_a_page_that_answered_a_form_leads_back_to_the_form(operator: TestClient) -> None:
    form = {"csrf": operator.headers["X-CSRF-Token"], "name": " "}
    refused = operator.post("/views", data=form, headers={"Referer": "https://testserver/cases?status=triage"})
    assert refused.status_code == 422
    assert 'name="back" value="/cases?status=triage"' in refused.text
    assert "Name: is needed" in refused.text


def test_what_is_fetched_by_a_page_or_taken_along_speaks_the_pages_language(desk: Desk, operator: TestClient) -> None:
    case = desk.open(title="路灯不亮")
    head, row = operator.get("/exports/cases.csv").text.splitlines()
    assert head.lstrip("\ufeff").startswith("Number,Case,Domain,Type,Place")
    assert "Grid" in row
    assert "Dispatched" in row
    assert "Dispatched" in operator.get(f"/fragments/desk?shown={case.id}").text
    marked = {"csrf": operator.headers["X-CSRF-Token"], "action": "note", "item": f"{case.id}:{case.version}"}
    assert "1 done, 0 not done." in operator.post("/fragments/bulk", data=marked | {"reason": "x"}).text
    assert "wang acted first: Noted" in operator.post("/fragments/bulk", data=marked | {"reason": "x"}).text
    operator.cookies.delete("citybrain_session")
    assert operator.get(f"/fragments/desk?shown={case.id}").text == "Sign in again"


def test_the_phones_kept_page_is_another_one_for_another_language_or_theme(desk: Desk, browser: Any) -> None:
    versions = {browser.get("/report/worker.js").text}
    for choice in ("language=en", "theme=dark"):
        browser.get(f"/appearance?{choice}")
        versions.add(browser.get("/report/worker.js").text)
    assert len(versions) == 3
