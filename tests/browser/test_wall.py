"""The wall: live, calm and honest for days, with a session that can look at nothing else and change nothing."""

import re
import time
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect
from serving import Service
from test_access import wrong

WALL = {"viewport": {"width": 1920, "height": 1080}}
DAPU = "441422"


@pytest.fixture(scope="module")
def service(shared_service: Service) -> Service:
    return shared_service


@pytest.fixture(scope="module")
def key(service: Service) -> str:
    return service.key("operator", "wall", divisions=DAPU)


def report(service: Service) -> str:
    """The case of a new event in 大埔县."""
    event = {"source_event_id": f"wall-{time.time_ns()}", "domain": "grid", "type": "c01039", "title": "张三家门前路灯"}
    event |= {"occurred_at": "2026-01-05T08:00:00+08:00", "location": {"division_code": DAPU}}
    posted = service.post("/api/v1/events", event)["id"]
    return str(service.until(f"/api/v1/events/{posted}", lambda event: event["case_id"])["case_id"])


def opened(visits: Any, service: Service, key: str, **options: Any) -> Page:
    """As somebody who was sent there to sign in."""
    visit = visits(**(WALL | options))
    page: Page = visit.page()
    page.goto(f"{visit.url}/wall")
    page.get_by_label("密钥").fill(key)
    page.get_by_role("button", name="登录").click()
    expect(page.locator("#live-state")).to_have_text("实时")
    return page


def open_cases(page: Page) -> Any:
    return page.get_by_role("row", name="大埔县").get_by_role("cell").first


def test_it_says_what_the_queues_say_and_changes_in_place(visits: Any, service: Service, key: str) -> None:
    report(service)
    page = opened(visits, service, key)
    told = [queue for queue in service.get("/api/v1/queues", key) if queue["division"] == DAPU]
    expect(open_cases(page)).to_have_text(str(sum(queue["working"] + queue["triage"] for queue in told)))
    before = int(open_cases(page).inner_text())
    page.evaluate("window.stayed = true")
    report(service)
    expect(open_cases(page)).to_have_text(str(before + 1))
    assert page.evaluate("window.stayed"), "it was not loaded anew"
    expect(page.locator(".wall-newest")).to_contain_text("景观灯")
    expect(page.locator("body")).not_to_contain_text("张三")
    expect(page.locator(".wall-figures")).to_contain_text("按时处置率")
    assert wrong(page) == []


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (3840, 2160)])
def test_everything_fits_and_can_be_read_from_afar(
    visits: Any, service: Service, key: str, width: int, height: int
) -> None:
    page = opened(visits, service, key, viewport={"width": width, "height": height})
    assert page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]") == [
        width,
        height,
    ]
    cut = "[...document.querySelectorAll('main section')].filter(e => e.scrollHeight > e.clientHeight + 1)"
    assert page.evaluate(f"{cut}.map(e => e.className)") == []
    texts = "[...document.querySelectorAll('body *')].filter(e => e.offsetWidth > 1 && e.innerText)"
    smallest = page.evaluate(f"Math.min(...{texts}.map(e => parseFloat(getComputedStyle(e).fontSize)))")
    assert smallest >= 0.0115 * width


def test_its_session_can_look_at_nothing_else_and_change_nothing(visits: Any, service: Service, key: str) -> None:
    case = report(service)
    page = opened(visits, service, key)
    cookie = next(each for each in page.context.cookies() if each["name"] == "citybrain_session")
    assert cookie["expires"] > time.time() + 29 * 86_400
    header = f"{cookie['name']}={cookie['value']}"
    assert service.call("GET", "/api/v1/cases", key="", Cookie=header).status == 401
    for token in ("", "x"):
        body = {"version": 1, "text": "x"}
        answer = service.call("POST", f"/api/v1/cases/{case}/note", body, "", Cookie=header, X_CSRF_Token=token)
        assert answer.status in (401, 403), answer
    page.goto(f"{service.url}/cases/{case}")
    expect(page).to_have_url(re.compile("/login"))


def test_a_revoked_key_ends_it_and_it_says_so(visits: Any, service: Service) -> None:
    page = opened(visits, service, service.key("auditor", "wall-for-an-hour"))
    visits.allow("401")
    assert service.command("keys", "revoke", "wall-for-an-hour").returncode == 0
    expect(page.get_by_role("alert")).to_contain_text("以上数据不再更新", timeout=40_000)


def test_a_new_version_of_itself_is_taken_up(visits: Any, service: Service, key: str) -> None:
    page = opened(visits, service, key)

    def upgraded(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=re.sub('data-version="[^"]*"', 'data-version="next"', answer.text()))

    page.route("**/fragments/wall", upgraded, times=1)
    with page.expect_event("load", timeout=40_000):
        report(service)
    expect(page.locator("#live-state")).to_have_text("实时")


def test_without_script_it_loads_itself_again(visits: Any, service: Service) -> None:
    page = visits(java_script_enabled=False).signed_in(service.key("auditor", "wall-auditor"))
    page.get_by_role("link", name="大屏").click()
    expect(page.get_by_role("heading", name="各领域队列")).to_be_visible()
    assert 'http-equiv="refresh"' in page.content()
