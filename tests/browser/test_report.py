"""The grid worker's page on a phone: written without a network, sent once, in order, and nothing lost on the way."""

import re
import time
from typing import Any

import pytest
from phone import (
    AT_THE_LAMP,
    LAMP,
    PHONE,
    arrive,
    clean,
    kept,
    look,
    photo,
    ready_for_no_network,
    report,
    send,
    size_of,
    write,
)
from photos import picture
from playwright.sync_api import Page, Request, Route, expect

OFFLINE = "ERR_INTERNET_DISCONNECTED"


@pytest.fixture(scope="module")
def service(shared_service: Any) -> Any:
    return shared_service


@pytest.fixture(scope="module")
def worker(service: Any) -> str:
    """Their key; the tests tell their reports apart by what they begin with."""
    return str(service.key("worker", "on-foot", domains="grid", divisions="441402"))


def reported(service: Any, key: str, beginning: str) -> list[dict[str, Any]]:
    """In the order in which they came."""
    items = service.get("/api/v1/events?limit=500", key)["items"]
    return [event for event in items[::-1] if event["title"].startswith(beginning)]


def photos_of(service: Any, event: dict[str, Any]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = service.get(f"/api/v1/events/{event['id']}/attachments")["items"]
    return items


def all_sent(page: Page) -> None:
    expect(page.locator("#strip")).to_have_text("全部已送达。")
    assert kept(page)["outbox"] == []


def test_three_reports_written_without_a_network_arrive_once_and_in_order(
    visits: Any, service: Any, worker: str
) -> None:
    titles = ["离网一，路灯不亮", "离网二，路灯不亮", "离网三，路灯不亮"]
    visit = visits(**PHONE)
    visit.allowed.append(OFFLINE)
    page = arrive(visit, service, worker)
    ready_for_no_network(page)
    clean(page)
    visit.context.set_offline(True)
    report(page, titles[0], photo(1))
    page.reload()
    report(page, titles[1], photo(2))
    expect(page.locator("#strip")).to_have_text("离线，2 条待发送，联网后自动发送")
    page.close()
    page = visit.page()
    page.goto(f"{service.url}/report")
    report(page, titles[2], photo(3))
    look(page, "我的上报")
    expect(page.locator("#outbox li")).to_have_count(3)
    clean(page)
    assert reported(service, worker, "离网") == []
    visit.context.set_offline(False)
    all_sent(page)
    events = reported(service, worker, "离网")
    assert [event["title"] for event in events] == titles
    assert service.get(f"/api/v1/events/{events[0]['id']}")["location"]["datum"] == "wgs84"
    for event, number in zip(events, (1, 2, 3), strict=True):
        (sent,) = photos_of(service, event)
        assert (sent["kind"], sent["distance_m"]) == ("before", 0)
        assert (sent["width"], sent["height"]) == (600, 800 + number), "upright"
    assert {name for each in kept(page)["sent"] for name in each} == {"id", "title", "at", "state"}
    expect(page.locator(".mine li").filter(has_text="离网")).to_have_count(3)


def test_a_double_tap_while_the_service_is_busy_is_one_event(visits: Any, service: Any, worker: str) -> None:
    visit = visits(**PHONE)
    visit.allowed.append("503")
    page = arrive(visit, service, worker)
    answers: list[int] = []

    def busy_once(route: Route) -> None:
        if not answers:
            route.fulfill(status=503, headers={"Retry-After": "1"}, json={"status": 503, "detail": "not acknowledged"})
        else:
            route.continue_()
        answers.append(1)

    visit.context.route("**/api/v1/events", busy_once)
    write(page, "连点两下")
    page.locator("#send").dblclick()
    expect(page.locator("#strip")).to_have_text("系统忙，1 秒后再发")
    all_sent(page)
    assert len(answers) == 2
    assert [event["title"] for event in reported(service, worker, "连点")] == ["连点两下"]
    expect(page.locator("#form-wrong")).to_be_empty()


def test_a_report_whose_answer_was_lost_is_sent_again_under_its_number(visits: Any, service: Any, worker: str) -> None:
    visit = visits(**PHONE)
    visit.allowed.append("ERR_FAILED")
    page = arrive(visit, service, worker)
    statuses: list[int] = []

    def lose_the_first(route: Route) -> None:
        answer = route.fetch()
        statuses.append(answer.status)
        route.abort() if len(statuses) == 1 else route.fulfill(response=answer)

    visit.context.route("**/api/v1/events", lose_the_first)
    report(page, "回音丢失", photo(4))
    page.get_by_role("button", name="现在就发").tap()
    all_sent(page)
    assert statuses == [202, 200]
    (event,) = reported(service, worker, "回音丢失")
    assert len(photos_of(service, event)) == 1


def test_a_large_photo_goes_small_with_its_place_alone_and_again_when_it_was_broken_off(
    visits: Any, service: Any, worker: str
) -> None:
    visit = visits(**PHONE)
    visit.allowed.append("ERR_FAILED")
    page = arrive(visit, service, worker)
    posted: list[tuple[str, bytes]] = []

    def note(asked: Request) -> None:
        if asked.method == "POST":
            posted.append((asked.url.rpartition("/")[2], asked.post_data_buffer or b""))

    page.on("request", note)
    visit.context.route("**/attachments?*", lambda route: route.abort(), times=1)
    camera = picture(size=(2600, 1300), gps=AT_THE_LAMP)
    report(page, "照片断了", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": camera})
    page.get_by_role("button", name="现在就发").tap()
    all_sent(page)
    assert [name for name, _ in posted] == ["events", "attachments?kind=before", "attachments?kind=before"]
    body = posted[-1][1]
    assert size_of(body) == (1920, 960)
    assert b"Camera" in camera
    assert b"Camera" not in body
    (event,) = reported(service, worker, "照片断了")
    (sent,) = photos_of(service, event)
    assert sent["distance_m"] == 0


def test_what_is_refused_says_why_stops_nobody_and_can_be_corrected(visits: Any, service: Any, worker: str) -> None:
    visit = visits(**PHONE)
    visit.allowed += ["422", "409"]
    page = arrive(visit, service, worker)
    report(page, "退回，先报的")
    all_sent(page)
    (first,) = reported(service, worker, "退回")
    write(page, "退回，时间写错", photo(6))
    page.locator(".more-fields summary").tap()
    page.get_by_label("发生时间").fill("2099-01-01T08:00")
    send(page)
    write(page, "退回，编号撞了")
    page.locator("[name=source_event_id]").evaluate("(field, text) => (field.value = text)", first["source_event_id"])
    send(page)
    report(page, "退回，后报的")
    expect(page.locator("#strip")).to_contain_text("2 条需要您处理")
    look(page, "我的上报")
    rows = page.locator("#outbox li")
    expect(rows.first).to_contain_text("发生时间：不能晚于现在")
    expect(rows.last).to_contain_text("会换一个新编号")
    clean(page)
    for row, correction in ((rows.first, "2026-11-01T08:00"), (rows.first, "")):
        row.get_by_role("button", name="修改后再报").tap()
        expect(page.locator("#photos li")).to_have_count(1 if correction else 0)
        if correction:
            page.get_by_label("发生时间").fill(correction)
        send(page)
        look(page, "我的上报")
    all_sent(page)
    events = reported(service, worker, "退回")
    assert [event["title"][3:] for event in events] == ["先报的", "后报的", "时间写错", "编号撞了"]
    assert len({event["source_event_id"] for event in events}) == 4
    assert events[2]["occurred_at"] == "2026-11-01T08:00:00+08:00"


def test_who_is_signed_out_keeps_what_is_unsent_and_goes_on_after_signing_in(
    visits: Any, service: Any, worker: str
) -> None:
    visit = visits(**PHONE)
    visit.allowed.append("401")
    page = arrive(visit, service, worker)
    write(page, "登录过期", photo(7))
    visit.context.clear_cookies()
    send(page)
    expect(page.locator("#strip")).to_contain_text("登录已过期，1 条仍在手机里。")
    page.get_by_role("link", name="重新登录").tap()
    page.get_by_label("密钥").fill(worker)
    page.get_by_label("密钥").press("Enter")
    expect(page).to_have_url(re.compile("/report$"))
    all_sent(page)
    assert [event["title"] for event in reported(service, worker, "登录过期")] == ["登录过期"]


def test_nobody_sends_what_another_wrote_and_signing_out_asks_before_it_is_lost(
    visits: Any, service: Any, worker: str
) -> None:
    visit = visits(**PHONE)
    visit.allowed.append("401")
    page = arrive(visit, service, worker)
    write(page, "别人的")
    visit.context.clear_cookies()
    send(page)
    expect(page.locator("#strip")).to_contain_text("登录已过期")
    other = service.key("worker", "on-foot-too", domains="grid")
    page = arrive(visit, service, other)
    look(page, "我的上报")
    expect(page.locator("#outbox li")).to_contain_text("由 on-foot 填写，请 on-foot 登录后发送")
    asked: list[str] = []
    answers = iter(("dismiss", "accept"))
    page.on("dialog", lambda dialog: (asked.append(dialog.message), getattr(dialog, next(answers))()))
    page.get_by_role("button", name="退出").tap()
    expect(page.locator("#outbox li")).to_be_visible()
    page.get_by_role("button", name="退出").tap()
    expect(page.get_by_label("密钥")).to_be_visible()
    assert asked == ["还有 1 条没有送达。退出登录会把它们从这部手机删除，无法找回。确定退出吗？"] * 2
    assert kept(page) == {"outbox": [], "sent": []}
    assert reported(service, worker, "别人的") + reported(service, other, "别人的") == []


def test_a_full_phone_is_told_and_nothing_typed_is_lost(visits: Any, service: Any) -> None:
    visit = visits(**PHONE)
    new = service.key("worker", "on-foot-new", domains="grid")  # a browser asks for space again after its first write
    page = arrive(visit, service, new)
    write(page, "手机满了", photo(8))
    protocol = visit.context.new_cdp_session(page)
    protocol.send("Storage.overrideQuotaForOrigin", {"origin": visit.url, "quotaSize": 1})
    page.locator("#send").tap()
    expect(page.get_by_role("alert")).to_contain_text("手机存储空间不足")
    expect(page.get_by_label("发生了什么")).to_have_value("手机满了")
    protocol.send("Storage.overrideQuotaForOrigin", {"origin": visit.url})
    send(page)
    all_sent(page)


def test_without_a_store_the_page_says_so_and_still_sends(visits: Any, service: Any, worker: str) -> None:
    visit = visits(**PHONE)
    visit.context.add_init_script("Object.defineProperty(window, 'indexedDB', {value: undefined})")
    page = arrive(visit, service, worker)
    expect(page.locator("#strip")).to_contain_text("可能是无痕模式")
    report(page, "无痕模式")
    expect(page.locator("#answer")).to_contain_text("梅江区")
    assert len(reported(service, worker, "无痕模式")) == 1


def test_types_are_found_by_pinyin_and_an_input_method_keeps_its_keys(visits: Any, service: Any, worker: str) -> None:
    visit = visits(**PHONE)
    page = arrive(visit, service, worker)
    write(page, "桥头一盏不亮")
    page.get_by_role("combobox").tap()
    composing = visit.context.new_cdp_session(page)
    composing.send("Input.imeSetComposition", {"text": "lu deng", "selectionStart": 7, "selectionEnd": 7})
    found = page.locator("#found").get_by_role("option")
    expect(found.first).to_contain_text("路灯")
    composing.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", "windowsVirtualKeyCode": 229, "key": "Process"})
    expect(page.get_by_role("combobox")).to_have_value("lu deng")
    composing.send("Input.insertText", {"text": "路灯"})
    expect(found.first).to_contain_text("路灯")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("combobox")).to_have_value("路灯（c01037）")
    send(page)
    all_sent(page)
    assert reported(service, worker, "桥头")[0]["type"] == "c01037"
    page.get_by_role("list", name="最近用过").get_by_role("button", name="路灯").tap()
    expect(page.get_by_role("combobox")).to_have_value("路灯（c01037）")
    page.get_by_role("combobox").fill("没有这种类型")
    page.locator("#send").tap()
    expect(page.locator("#title-wrong")).to_have_text("请写明发生了什么。")
    expect(page.locator("#type-wrong")).to_contain_text("没有“没有这种类型”")
    expect(page.get_by_label("发生了什么")).to_be_focused()
    clean(page)


def test_a_check_made_without_a_network_arrives_with_its_photos_and_a_lost_answer_is_no_conflict(
    visits: Any, service: Any, worker: str
) -> None:
    case_id = handled(service, "核查一，雨水井盖缺失")
    visit = visits(**PHONE)
    visit.allowed += [OFFLINE, "409", "ERR_FAILED"]
    page = arrive(visit, service, worker)
    look(page, "核查任务")
    task = page.locator("#tasks article").filter(has_text="核查一")
    expect(task.get_by_role("img", name="处置前照片")).to_be_visible()
    visit.context.set_offline(True)
    task.locator("input[type=file]").set_input_files([photo(9)])
    expect(task.locator("ul.photos li")).to_have_count(1)
    clean(page)
    task.get_by_role("button", name="核查通过").tap()
    expect(page.locator("#strip")).to_have_text("离线，1 条待发送，联网后自动发送")
    expect(task).to_have_count(0)

    def lose_the_answer(route: Route) -> None:
        route.fetch()
        route.abort()

    visit.context.route("**/verify", lose_the_answer, times=1)
    visit.context.set_offline(False)
    page.get_by_role("button", name="现在就发").tap()
    all_sent(page)
    case = service.get(f"/api/v1/cases/{case_id}")
    assert case["status"] == "verified"
    done = [(each["actor"], each["action"]) for each in case["timeline"][-2:]]
    assert done == [("on-foot", "attached"), ("on-foot", "verified")]


def handled(service: Any, title: str) -> str:
    """A case with a photo from before, to be checked."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    event = {"source_event_id": title, "domain": "grid", "title": title, "occurred_at": now}
    event |= {"location": {"lng": LAMP["longitude"], "lat": LAMP["latitude"], "datum": "wgs84"}}
    event_id = service.post("/api/v1/events", event)["id"]
    service.call("POST", f"/api/v1/events/{event_id}/attachments", picture())
    case_id = str(service.until(f"/api/v1/events/{event_id}", lambda event: event["case_id"])["case_id"])
    for order in service.get(f"/api/v1/cases/{case_id}")["work_orders"]:
        body = {"feedback_id": f"f-{order['id']}", "status": "completed"}
        service.post(f"/api/v1/work-orders/{order['id']}/feedback", body)
    return case_id


def test_the_page_can_be_installed(visits: Any, service: Any, worker: str) -> None:
    visit = visits(**PHONE)
    page = arrive(visit, service, worker)
    ready_for_no_network(page)
    protocol = visit.context.new_cdp_session(page)
    errors = protocol.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert [each["errorId"] for each in errors] == ["in-incognito"], "as every context of a test is"
    assert protocol.send("Page.getAppManifest")["errors"] == []
    shell = page.request.get(f"{service.url}/report/offline").text()
    assert "csrf" not in shell
    assert "退出" not in shell


def test_the_keys_datum_is_the_positions_datum(service: Any, worker: str) -> None:
    """A phone's shell that answers in GCJ-02 has a key that says so; a browser's own positions are WGS-84."""
    shell = service.key("worker", "on-foot-shell", domains="grid", datum="gcj02")
    assert 'data-datum="wgs84"' in service.page("/report", worker)
    assert 'data-datum="gcj02"' in service.page("/report", shell)
