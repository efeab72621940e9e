"""The operators' pages and the worker's form, as people use them: in a browser, on a running installation."""

import itertools
import re
import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect

LAMP = {"lng": 116.1174053, "lat": 24.2912377, "datum": "wgs84"}
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
numbers = itertools.count()


@pytest.fixture(scope="module")
def keys(service: Any) -> dict[str, str]:
    return {
        "operator": service.key("operator", "wang"),
        "colleague": service.key("operator", "li"),
        "worker": service.key("worker", "lin", domains="grid,water", divisions="441402"),
        "auditor": service.key("auditor", "shen"),
    }


def post(service: Any, title: str, **fields: Any) -> str:
    """Reports an event by the API; its id."""
    event = {
        "source_event_id": f"browser-{next(numbers)}",
        "domain": "grid",
        "title": title,
        "occurred_at": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
        "location": LAMP,
        **fields,
    }
    return str(service.post("/api/v1/events", event)["id"])


def case_of(service: Any, event_id: str) -> str:
    return str(service.until(f"/api/v1/events/{event_id}", lambda event: event["case_id"])["case_id"])


def undecided(service: Any, title: str) -> str:
    """A case in triage: no rule knows these words."""
    case_id = case_of(service, post(service, title))
    assert service.get(f"/api/v1/cases/{case_id}")["status"] == "triage"
    return case_id


def completed(service: Any, title: str) -> str:
    """A case that every department has reported as handled, to be verified."""
    case_id = case_of(service, post(service, title))
    for order in service.get(f"/api/v1/cases/{case_id}")["work_orders"]:
        body = {"feedback_id": f"f-{order['id']}", "status": "completed"}
        service.post(f"/api/v1/work-orders/{order['id']}/feedback", body)
    assert service.get(f"/api/v1/cases/{case_id}")["status"] == "completed"
    return case_id


def fits(page: Page) -> None:
    """Nothing is wider than the screen."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url


def choose_first(page: Any, label: str) -> None:
    field = page.get_by_label(label, exact=True).first
    field.select_option(field.locator("option:not([value=''])").first.get_attribute("value"))


def test_wrong_key_is_refused_in_words(visits: Any) -> None:
    visit = visits()
    visit.allowed.append("401")
    page = visit.page()
    page.goto(f"{visit.url}/cases?status=triage")
    expect(page).to_have_url(re.compile(r"/login\?next=%2Fcases%3Fstatus%3Dtriage$"))
    page.get_by_label("密钥").fill("cb0000000000.wrong")
    page.get_by_role("button", name="登录").click()
    expect(page.get_by_role("alert")).to_contain_text("密钥不正确")
    assert page.get_by_label("密钥").get_attribute("autocomplete") == "off"
    assert not [cookie for cookie in visit.context.cookies() if cookie["name"] == "citybrain_session"]


def test_signing_in_leads_where_one_wanted_to_go(visits: Any, keys: dict[str, str]) -> None:
    visit = visits()
    page = visit.page()
    page.goto(f"{visit.url}/cases?status=triage")
    page.get_by_label("密钥").fill(keys["operator"])
    page.get_by_role("button", name="登录").click()
    expect(page).to_have_url(re.compile(r"/cases\?status=triage$"))
    page.get_by_role("button", name="退出").click()
    expect(page).to_have_url(re.compile(r"/login$"))
    page.goto(f"{visit.url}/")
    expect(page).to_have_url(re.compile(r"/login$"))


@pytest.mark.parametrize("goal", ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"])
def test_signing_in_never_leads_to_another_host(visits: Any, keys: dict[str, str], goal: str) -> None:
    visit = visits()
    page = visit.page()
    page.goto(f"{visit.url}/login?next={goal.replace('/', '%2F')}")
    page.get_by_label("密钥").fill(keys["operator"])
    page.get_by_role("button", name="登录").click()
    expect(page.get_by_role("heading", name="事件分拨台")).to_be_visible()
    assert page.url == f"{visit.url}/"


def test_pages_forbid_inline_script_and_frames(service: Any) -> None:
    headers = service.call("GET", "/login", key="").headers
    policy = {name.lower(): text for name, text in headers.items()}["content-security-policy"]
    for part in (
        "default-src 'self'",
        "script-src 'self'",
        "object-src 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    ):
        assert part in policy
    assert "unsafe" not in policy


def test_forms_without_the_sessions_token_change_nothing(visits: Any, service: Any, keys: dict[str, str]) -> None:
    case_id = undecided(service, "暂无名目之事甲")
    page = visits().signed_in(keys["operator"])
    answer = page.request.post(f"{service.url}/cases/{case_id}/void", form={"version": "1", "reason": "误报"})
    assert answer.status == 403
    assert service.get(f"/api/v1/cases/{case_id}")["status"] == "triage"


def test_worker_reports_with_one_thumb_and_a_double_tap_is_one_event(
    visits: Any, service: Any, keys: dict[str, str]
) -> None:
    here = {"longitude": LAMP["lng"], "latitude": LAMP["lat"], "accuracy": 18}
    visit = visits(**PHONE, geolocation=here, permissions=["geolocation"])
    page = visit.signed_in(keys["worker"])
    expect(page).to_have_url(re.compile(r"/report$"))
    fits(page)
    page.get_by_label("发生了什么").fill("路灯不亮，江边一排")
    expect(page.locator("#located")).to_contain_text("精度约 18 米")
    number = page.locator("[name=source_event_id]").get_attribute("value")
    page.get_by_role("button", name="上报").dblclick()
    answer = page.locator("#answer")
    expect(answer).to_contain_text("梅江区")
    expect(answer).to_contain_text("网格")
    fits(page)
    found = service.get("/api/v1/events?q=" + str(number))["items"]
    assert len(found) == 1
    assert found[0]["source"] == "lin"
    assert found[0]["place"]["county"]["code"] == "441402"
    expect(page.locator(".mine")).to_contain_text("路灯不亮，江边一排")


def test_report_works_without_script_by_town(visits: Any, service: Any, keys: dict[str, str]) -> None:
    page = visits(**PHONE, java_script_enabled=False).signed_in(keys["worker"])
    page.get_by_label("发生了什么").fill("雨水井盖缺失，无脚本")
    page.locator(".by-hand summary").click()
    page.locator("#report-town").select_option("441402004")
    page.get_by_role("button", name="上报").click()
    expect(page.locator("#answer")).to_contain_text("按所选区划")
    town = service.get("/api/v1/divisions/441402004")["name"]
    expect(page.locator("#answer")).to_contain_text(town)


def test_the_same_form_sent_twice_is_one_event_and_a_changed_one_is_refused(
    visits: Any, service: Any, keys: dict[str, str]
) -> None:
    page = visits().signed_in(keys["worker"])
    hidden = {
        name: page.locator(f"#report [name={name}]").get_attribute("value") for name in ("csrf", "source_event_id")
    }
    when = page.locator("[name=occurred_at]").input_value()
    form = hidden | {"domain": "grid", "title": "路灯不亮，重发", "occurred_at": when, "town": "441402004"}
    first, second = (page.request.post(f"{service.url}/report", form=form) for _ in range(2))
    assert first.url == second.url
    changed = page.request.post(f"{service.url}/report", form=form | {"title": "路灯不亮，改过"})
    assert changed.status == 409
    assert "已经上报过" in changed.text()
    assert hidden["source_event_id"] not in changed.text()
    assert len(service.get(f"/api/v1/events?q={hidden['source_event_id']}")["items"]) == 1


def test_report_goes_down_to_a_village(visits: Any, service: Any, keys: dict[str, str]) -> None:
    page = visits(**PHONE).signed_in(keys["worker"])
    page.get_by_label("发生了什么").fill("雨水井盖缺失，村口")
    page.locator(".by-hand summary").click()
    page.locator("#report-county").select_option("441402")
    page.locator("#report-town").select_option("441402004")
    village = service.get("/api/v1/divisions/441402004/children")["items"][0]
    page.locator("#report-village").select_option(village["code"])
    page.get_by_role("button", name="上报").click()
    expect(page.locator("#answer")).to_contain_text(village["name"])


def test_what_is_wrong_with_a_report_is_said_and_nothing_typed_is_lost(visits: Any, keys: dict[str, str]) -> None:
    visit = visits(**PHONE, java_script_enabled=False)
    visit.allowed.append("422")
    page = visit.signed_in(keys["worker"])
    page.get_by_label("发生了什么").fill("类型写错的上报")
    page.get_by_label("类型（可不填，由系统判定）").fill("没有这种类型")
    page.locator(".by-hand summary").click()
    page.get_by_label("地址", exact=True).fill("梅江区金山街道")
    page.get_by_role("button", name="上报").click()
    expect(page.get_by_role("alert")).to_contain_text("事件类型")
    expect(page.get_by_label("发生了什么")).to_have_value("类型写错的上报")
    expect(page.get_by_label("地址", exact=True)).to_have_value("梅江区金山街道")


def test_operator_finds_the_case_and_reads_why_it_went_there(visits: Any, service: Any, keys: dict[str, str]) -> None:
    reporter = {"name": "陈小明", "phone": "13800138000"}
    case_id = case_of(service, post(service, "江南路雨水井盖缺失", reporter=reporter))
    page = visits().signed_in(keys["operator"])
    page.get_by_label("标题或编号").fill("江南路雨水井盖缺失")
    page.get_by_role("button", name="筛选").click()
    expect(page).to_have_url(re.compile(r"q=%E6%B1%9F"))
    page.get_by_role("link", name="江南路雨水井盖缺失").click()
    expect(page).to_have_url(re.compile(case_id))
    expect(page.locator("main")).to_contain_text("关键词「雨水")
    expect(page.locator("main")).to_contain_text("陈** 138****8000")
    assert "陈小明" not in page.content()
    expect(page.locator(".timeline")).to_contain_text("立案")
    expect(page.locator(".due").first).to_contain_text("剩")


def test_event_page_says_whether_the_decision_would_be_the_same_and_what_people_changed(
    visits: Any, service: Any, keys: dict[str, str]
) -> None:
    event_id = post(service, "江南路雨水井盖缺失了一块")
    case_id = case_of(service, event_id)
    page = visits().signed_in(keys["operator"])
    page.goto(f"{service.url}/events/{event_id}")
    expect(page.locator("#again")).to_contain_text("结果相同")
    expect(page.locator("#again")).to_contain_text("规则、部门、日历和边界与当时相同")
    expect(page.locator("main")).to_contain_text("决定的依据")
    expect(page.locator("#since")).to_have_count(0)
    version = service.get(f"/api/v1/cases/{case_id}")["version"]
    moved = {"version": version, "department": "441402-cg", "reason": "由城管接手"}
    service.post(f"/api/v1/cases/{case_id}/reassign", moved)
    page.reload()
    expect(page.locator("#again")).to_contain_text("结果相同")
    expect(page.locator("#since")).to_contain_text("改派")
    fits(page)


def test_operator_dispatches_what_no_rule_decided(visits: Any, service: Any, keys: dict[str, str]) -> None:
    case_id = undecided(service, "暂无名目之事乙")
    page = visits().signed_in(keys["operator"])
    page.goto(f"{service.url}/cases?status=triage&sort=newest")
    page.get_by_role("link", name="暂无名目之事乙").click()
    case = page.locator("#case-pane")
    choose_first(case, "主办部门")
    choose_first(case, "事件类型")
    case.get_by_role("button", name="派遣", exact=True).click()
    page.get_by_role("button", name="立即执行").click()
    expect(page.get_by_role("status").filter(has_text="已完成：派遣").first).to_be_visible()
    case = service.get(f"/api/v1/cases/{case_id}")
    assert case["status"] == "dispatched"
    assert case["timeline"][-1]["actor"] == "wang"


def test_conflict_says_who_acted_first_and_keeps_what_was_typed(
    visits: Any, service: Any, keys: dict[str, str]
) -> None:
    case_id = undecided(service, "暂无名目之事丙")
    visit = visits()
    visit.allowed.append("409")
    mine = visit.signed_in(keys["operator"])
    mine.goto(f"{service.url}/cases/{case_id}")
    mine.locator(".a-note summary").click()
    mine.get_by_label("内容", exact=True).fill("已电话联系居委会")
    service.post(f"/api/v1/cases/{case_id}/note", {"version": 1, "text": "先到"}, keys["colleague"])
    expect(mine.get_by_text("此案件已更新")).to_be_visible()
    expect(mine.get_by_label("内容", exact=True)).to_be_focused()
    mine.get_by_role("button", name="备注", exact=True).click()
    mine.get_by_role("button", name="立即执行").click()
    expect(mine.get_by_role("alert")).to_contain_text("li 已先行操作：备注")
    again = mine.request.get(mine.url)
    assert again.url == f"{service.url}/cases/{case_id}"
    expect(mine.get_by_label("内容", exact=True)).to_have_value("已电话联系居委会")
    mine.get_by_role("button", name="备注", exact=True).click()
    mine.get_by_role("button", name="立即执行").click()
    expect(mine.locator(".timeline")).to_contain_text("已电话联系居委会")


def test_new_cases_wait_behind_a_counter_and_focus_stays(visits: Any, service: Any, keys: dict[str, str]) -> None:
    undecided(service, "暂无名目之事丁")
    page = visits().signed_in(keys["operator"])
    page.goto(f"{service.url}/cases?status=triage&sort=oldest")
    expect(page.locator("#live-state")).to_have_text("实时")
    link = page.get_by_role("link", name="暂无名目之事丁")
    link.focus()
    page.evaluate("scrollTo(0, 60)")
    seen_at, rows = link.bounding_box()["y"], page.locator("table.cases tbody tr").count()
    undecided(service, "暂无名目之事戊")
    newer = page.get_by_role("button", name="有 1 条新事件")
    expect(newer).to_be_visible()
    expect(link).to_be_focused()
    assert page.locator("table.cases tbody tr").count() == rows
    assert abs(link.bounding_box()["y"] - seen_at) <= 60  # the counter's own height at most
    newer.press("Enter")
    expect(page.get_by_role("link", name="暂无名目之事戊")).to_be_visible()
    expect(page.locator("#newer")).to_be_hidden()


def test_rows_change_in_place(visits: Any, service: Any, keys: dict[str, str]) -> None:
    case_id = undecided(service, "暂无名目之事己")
    page = visits().signed_in(keys["operator"])
    page.goto(f"{service.url}/cases?status=triage&sort=newest")
    expect(page.locator("#live-state")).to_have_text("实时")
    row = page.locator(f"tr[data-id='{case_id}']")
    row.get_by_role("link").focus()
    department = service.get("/api/v1/departments?division=441402&domain=grid")["items"][0]
    body = {"version": 1, "department": department["code"], "type": "c01003"}
    service.post(f"/api/v1/cases/{case_id}/dispatch", body)
    expect(row).to_contain_text("已派遣")
    expect(row).to_contain_text(department["name"])
    expect(row.get_by_role("link")).to_be_focused()


def test_page_says_that_the_service_is_gone_and_finds_it_again(visits: Any, service: Any, keys: dict[str, str]) -> None:
    visit = visits()
    visit.allowed += ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE"]
    page = visit.signed_in(keys["operator"])
    expect(page.locator("#live-state")).to_have_text("实时")
    service.stop()
    expect(page.locator("#live-state")).to_have_text("连接中断，正在重连")
    service.start()
    expect(page.locator("#live-state")).to_have_text("实时", timeout=20_000)


def test_worker_verifies_and_sends_back_with_a_reason(visits: Any, service: Any, keys: dict[str, str]) -> None:
    good, bad = completed(service, "雨水井盖缺失，修好的"), completed(service, "雨水井盖缺失，没修好的")
    page = visits(**PHONE).signed_in(keys["worker"])
    page.get_by_role("link", name="核查任务").tap()
    page.locator("article", has_text="，修好的").get_by_role("button", name="核查通过").tap()
    rest = page.locator("article", has_text="没修好的")
    rest.locator("summary").tap()
    rest.get_by_label("还有什么问题").fill("井盖仍然松动")
    rest.get_by_role("button", name="不通过，返工").tap()
    expect(page.locator(".verify")).not_to_contain_text("没修好的")
    expect(page.locator("#outbox li")).to_have_count(0)
    assert service.get(f"/api/v1/cases/{good}")["status"] == "verified"
    again = service.get(f"/api/v1/cases/{bad}")
    assert (again["status"], again["timeline"][-1]["actor"]) == ("dispatched", "lin")


def test_auditor_sees_cases_and_no_buttons_that_change_them(visits: Any, service: Any, keys: dict[str, str]) -> None:
    case_id = undecided(service, "暂无名目之事庚")
    page = visits().signed_in(keys["auditor"])
    page.goto(f"{service.url}/cases/{case_id}")
    expect(page.get_by_text("您的角色只能查看")).to_be_visible()
    assert page.locator("form[action^='/cases/']").count() == 0


@pytest.mark.parametrize("width", [360, 1920])
def test_every_page_fits_the_screen(visits: Any, service: Any, keys: dict[str, str], width: int) -> None:
    undecided(service, "暂无名目之事辛")
    page = visits(viewport={"width": width, "height": 900}).signed_in(keys["operator"])
    for path in ("/", "/queues", "/cases?status=triage", "/events", "/deliveries?status=held", "/docs"):
        page.goto(service.url + path)
        fits(page)
    page.goto(f"{service.url}/cases?status=open")
    page.locator("table.cases tbody a").first.click()
    fits(page)
    expect(page.locator("footer")).to_contain_text("演示数据")
