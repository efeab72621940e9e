"""Endpoints, keys and evaluation as an administrator works with them: one running installation, a real browser."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from serving import Receiver, Service, wait_until
from test_access import wrong
from test_pages import fits

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
DARK = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"}


@pytest.fixture(scope="module")
def service(shared_service: Service) -> Service:
    return shared_service


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver.listening() as receiver:
        yield receiver


@pytest.fixture
def admin(visits: Any, service: Service) -> Page:
    return visits().signed_in(service.admin_key)


@pytest.fixture
def endpoint(service: Service, receiver: Receiver, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """One that gets nothing but what a test sends."""
    body = {"name": f"平台 {request.node.name[:60]}", "url": receiver.url + "?token=geheim", "types": ["c01001"]}
    made = service.post("/api/v1/endpoints", body)
    yield made
    service.call("DELETE", f"/api/v1/endpoints/{made['id']}")


def open_action(page: Page, name: str) -> Any:
    action = page.locator("details.action", has=page.locator("summary", has_text=name))
    action.locator("summary").click()
    return action


def test_an_endpoint_is_made_and_its_secret_is_shown_once(
    visits: Any, admin: Page, service: Service, receiver: Receiver
) -> None:
    admin.goto(f"{service.url}/endpoints/new")
    admin.get_by_label("名称").fill("市住建局平台")
    admin.get_by_label("接收地址").fill("ftp://127.0.0.1/hook")
    admin.get_by_label("网格", exact=True).first.check()
    visits.allow("422")
    admin.get_by_role("button", name="建立").click()
    expect(admin.get_by_role("alert")).to_contain_text("接收地址：不是有效的网址")
    expect(admin.get_by_label("名称")).to_have_value("市住建局平台")
    expect(admin.get_by_label("网格", exact=True).first).to_be_checked()
    assert wrong(admin) == []
    admin.get_by_label("接收地址").fill(receiver.url + "?token=geheim")
    admin.get_by_role("button", name="建立").click()
    secret = admin.get_by_label("签名密钥").input_value()
    assert secret.startswith("whsec_")
    assert wrong(admin) == []
    admin.get_by_role("link", name="已保存，继续").click()
    assert secret not in admin.content()
    assert "whsec_" not in admin.content()
    assert "geheim" not in admin.content()
    assert secret not in admin.url
    service.call("DELETE", "/api/v1/endpoints/" + admin.url.rsplit("/", 1)[1])


def test_a_test_message_is_seen_to_arrive_without_a_reload(
    admin: Page, service: Service, endpoint: dict[str, Any]
) -> None:
    admin.goto(f"{service.url}/endpoints/{endpoint['id']}")
    open_action(admin, "发送测试消息").get_by_role("button").click()
    expect(admin.get_by_role("status").filter(has_text="测试消息已发出")).to_be_visible()
    first = admin.locator(".delivery").first
    expect(first).to_contain_text("已送达", timeout=60_000)
    first.locator("summary").click()
    expect(first.locator("li")).to_contain_text("204")
    expect(admin.locator('[data-live="state"]')).to_contain_text("在线", timeout=60_000)
    expect(first.locator("li")).to_be_visible()  # what was opened stays open
    assert wrong(admin) == []


def test_disabling_says_what_it_means_and_a_replay_counts_before_it_sends(
    admin: Page, service: Service, endpoint: dict[str, Any]
) -> None:
    path = f"/api/v1/endpoints/{endpoint['id']}"
    service.post(f"{path}/test")
    service.until(f"/api/v1/deliveries?endpoint={endpoint['id']}&status=delivered", lambda found: found["items"])
    admin.goto(f"{service.url}/endpoints/{endpoint['id']}")
    disable = open_action(admin, "停用")
    expect(disable).to_contain_text("现在有 0 条待推送")
    disable.get_by_role("button").click()
    expect(admin.locator('[data-live="state"]')).to_contain_text("停用")
    replay = open_action(admin, "重新发送")
    replay.get_by_label("从何时起").fill("2026-01-01T00:00")
    replay.get_by_label("测试").check()
    replay.get_by_role("button", name="试算").click()
    expect(admin.locator("#replay")).to_contain_text("符合条件的有 1 条，还没有发送")
    expect(admin.get_by_label("从何时起")).to_have_value("2026-01-01T00:00")
    expect(admin.locator("#replay").get_by_label("测试")).to_be_checked()
    admin.get_by_role("button", name="重新发送 1 条").click()
    expect(admin.locator(".delivery").first).to_contain_text("暂存未送")
    admin.goto(f"{service.url}/endpoints?state=disabled")
    expect(admin.locator("table.stuck")).to_contain_text(endpoint["name"])
    admin.goto(f"{service.url}/endpoints/{endpoint['id']}")
    enable = open_action(admin, "启用")
    expect(enable).to_contain_text("暂存的 1 条")
    enable.get_by_role("button").click()
    expect(admin.locator(".delivery").first).to_contain_text("已送达", timeout=60_000)


def test_the_secret_rotates_once_however_often_the_form_is_sent(
    visits: Any, admin: Page, service: Service, endpoint: dict[str, Any]
) -> None:
    admin.goto(f"{service.url}/endpoints/{endpoint['id']}")
    old = admin.content()
    open_action(admin, "更换密钥").get_by_role("button").click()
    secret = admin.get_by_label("签名密钥").input_value()
    assert secret.startswith("whsec_")
    assert secret != endpoint["secret"]
    visits.allow("409")
    admin.goto(f"{service.url}/endpoints/{endpoint['id']}")
    expect(admin.get_by_text("同时有效至").first).to_be_visible()
    admin.set_content(old)  # a page that was opened before
    admin.locator('form[action$="rotate-secret"]').evaluate("form => form.submit()")
    expect(admin.get_by_role("alert")).to_contain_text("刚刚已被更换")
    assert "whsec_" not in admin.content()


def test_what_a_visitor_may_not_do_is_not_offered_and_refused(
    visits: Any, service: Service, endpoint: dict[str, Any]
) -> None:
    operator = visits().signed_in(service.key("operator", "station-operator"))
    operator.goto(f"{service.url}/endpoints/{endpoint['id']}")
    expect(operator.get_by_role("heading", name="健康状况")).to_be_visible()
    assert operator.locator("details.action").count() == 0
    visits.allow("403")
    for path in ("/keys", "/endpoints/new", f"/endpoints/{endpoint['id']}/edit"):
        operator.goto(service.url + path)
        expect(operator.get_by_role("alert")).to_contain_text("您的角色不能做这一步")
    elsewhere = visits().signed_in(service.key("operator", "station-elsewhere", divisions="441424"))
    visits.allow("404")
    elsewhere.goto(f"{service.url}/endpoints/{endpoint['id']}")
    expect(elsewhere.get_by_role("heading", name="没有找到")).to_be_visible()


def test_a_key_is_made_shown_once_and_ended(visits: Any, admin: Page, service: Service) -> None:
    admin.goto(f"{service.url}/keys/new")
    admin.get_by_label("网格员").check()
    admin.get_by_label("名称").fill("林 网格")
    admin.get_by_text("梅江区", exact=True).first.click()
    admin.get_by_label("江南街道").first.check()
    visits.allow("422")
    admin.get_by_role("button", name="建立").click()
    expect(admin.get_by_role("alert")).to_contain_text("名称：只能用字母")
    expect(admin.get_by_label("江南街道").first).to_be_checked()
    expect(admin.get_by_label("网格员")).to_be_checked()
    admin.get_by_label("名称").fill("station-lin")
    admin.get_by_role("button", name="建立").click()
    plain = admin.locator("#secret").input_value()
    wait_until(lambda: service.call("GET", "/api/v1/session", key=plain).status == 200)  # within a second
    assert service.get("/api/v1/session", plain)["role"] == "worker"
    admin.get_by_role("link", name="已保存，继续").click()
    assert plain not in admin.content()
    row = admin.locator("tr", has_text="station-lin")
    expect(row).to_contain_text("江南街道")
    row.locator("summary").click()
    row.get_by_role("button", name="停用 station-lin").click()
    expect(admin.get_by_role("status").filter(has_text="已停用：station-lin")).to_be_visible()
    wait_until(lambda: service.call("GET", "/api/v1/session", key=plain).status == 401)
    admin.goto(f"{service.url}/keys?state=revoked")
    expect(admin.locator("tr", has_text="station-lin")).to_be_visible()


def test_a_number_of_the_evaluation_leads_to_its_cases(admin: Page, service: Service) -> None:
    event = {
        "source_event_id": "station-1", "domain": "grid", "type": "c01039", "title": "评价用路灯",
        "occurred_at": "2026-01-05T08:00:00+08:00",
        "location": {"lng": 116.1174053, "lat": 24.2912377, "datum": "wgs84"},
    }  # fmt: skip
    posted = service.post("/api/v1/events", event)["id"]
    service.until(f"/api/v1/events/{posted}", lambda event: event["case_id"])
    admin.goto(f"{service.url}/performance?by=division")
    admin.get_by_role("link", name="立案率").click()
    expect(admin).to_have_url(re.compile("sort=filing"))
    expect(admin.locator("th[aria-sort]")).to_contain_text("立案率")
    row = admin.locator("tr", has_text="梅江区")
    number = row.locator("td").first.get_by_role("link").last
    shown = int(number.inner_text().split()[-1])
    assert wrong(admin) == []
    with admin.expect_download() as download:
        admin.get_by_role("link", name="导出 CSV").click()
    assert "by=division" in download.value.url
    number.click()
    expect(admin.locator("h1")).to_contain_text("分母")
    assert admin.locator("tbody tr").count() == min(shown, 50)
    expect(admin.locator("tbody tr", has_text="评价用路灯").first).to_be_visible()
    assert wrong(admin) == []


@pytest.mark.parametrize("options", [DARK, PHONE], ids=["dark", "phone"])
def test_the_pages_fit_and_axe_finds_nothing_in_both_languages(
    visits: Any, service: Service, endpoint: dict[str, Any], options: Any
) -> None:
    page = visits(**options).signed_in(service.admin_key)
    found: list[str] = []
    for language in ("en", "zh"):
        page.context.add_cookies([{"name": "citybrain_language", "value": language, "url": service.url}])
        for path in (
            "/endpoints", f"/endpoints/{endpoint['id']}", "/endpoints/new", "/keys", "/keys/new",
            "/performance", "/performance/behind?rate=handling",
        ):  # fmt: skip
            page.goto(service.url + path)
            fits(page)
            found += wrong(page) if language == "en" or options is PHONE else []
            words = page.locator("main").inner_text()
            assert language == "zh" or not re.search("端点|密钥|立案率", words.replace(endpoint["name"], "")), path
    assert found == []
