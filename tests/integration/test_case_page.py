"""The page of a case when somebody else was quicker: every form of it says who, and changes nothing."""

from typing import Any

import pytest
from desk import Desk
from starlette.testclient import TestClient
from steps import BODIES, case_in, completed, in_triage

from citybrain.store.dispatch_tables import deliveries

FIRST = "liu 已先行操作：备注（"
WHERE = {"county": "441402", "reason": "位置有误", "type": "c01039"}


def send(browser: TestClient, case: Any, action: str, **fields: Any) -> Any:
    form = {"csrf": browser.headers["X-CSRF-Token"], "version": str(case.version)} | fields
    return browser.post(f"/cases/{case.id}/{action}", data=form)


STATUS = {"dispatch": "triage", "file": "triage", "relocate": "triage", "void": "triage", "resume": "suspended",
          "verify": "completed", "rework": "completed", "close": "verified", "reopen": "closed"}  # fmt: skip


def as_form(body: dict[str, Any]) -> dict[str, Any]:
    """The action's body as the page's form has it."""
    plain = {name: str(value).lower() if isinstance(value, bool) else value for name, value in body.items()}
    return {name: value for name, value in plain.items() if name != "location"} | (WHERE if "location" in body else {})


def test_every_form_of_a_case_that_somebody_changed_meanwhile_names_who_it_was(desk: Desk, sign_in: Any) -> None:
    browser = sign_in("operator", "wang")
    for action in BODIES:
        case = case_in(desk, STATUS.get(action, "dispatched"))
        if case.status == "closed":  # which takes no note
            desk.act(case.id, "reopen", **BODIES["reopen"])
        desk.act(case.id, "note", text="已电话联系")
        before = desk.story(case.id)
        page = send(browser, case, action, **as_form(BODIES[action]))
        assert (page.status_code, FIRST in page.text) == (409, True), action
        assert page.text.count("已先行操作") == 1, action
        assert desk.story(case.id) == before, action


@pytest.mark.parametrize(("fields", "wrong"), [({"lng": "116,1"}, "经度：必须是数字"), ({}, "")])
def test_a_form_with_a_mistake_or_only_looked_at_says_so_too(
    desk: Desk, sign_in: Any, fields: dict[str, str], wrong: str
) -> None:
    """The page that comes back is about the case as it is now, so whoever sends it again has to know."""
    case, browser = in_triage(desk), sign_in("operator", "wang")
    desk.act(case.id, "note", text="已电话联系")
    given = {"department": "441402-cg", "type": "c01039"} | fields | ({} if fields else {"preview": "1"})
    page = send(browser, case, "dispatch", **given).text
    alert = page.partition('role="alert"')[2].partition("</div>")[0]
    assert (FIRST in alert, wrong in alert) == (True, True)
    assert desk.case(case.id).status == "triage"


def test_what_stands_against_a_step_is_said_in_words_and_what_is_possible(desk: Desk, sign_in: Any) -> None:
    case, ended = desk.open(), case_in(desk, "void")
    desk.pass_time(days=9)
    browser, case = sign_in("operator", "wang"), desk.case(case.id)
    into = send(browser, case, "merge", into=ended.number)
    assert f"案件 {ended.number} 已结案或作废，不能并入。" in into.text
    late = send(browser, case, "extend", until="2025-03-20T12:00", reason="等待配件")
    assert "已超过处置时限，不能再延期" in late.text
    assert "现在可以：" in late.text
    browser.get("/appearance?language=en")
    assert "It is overdue" in send(browser, case, "extend", until="2025-03-20T12:00", reason="x").text


def test_a_message_that_has_arrived_meanwhile_is_not_sent_again_and_the_case_stays_in_view(
    desk: Desk, sign_in: Any
) -> None:
    desk.endpoint("lights", department="441402-cg")
    case, browser = completed(desk), sign_in("operator", "wang")
    sent = desk.rows(deliveries)[0]
    desk.set(deliveries, deliveries.c.id == sent.id, status="delivered")
    form = {"csrf": browser.headers["X-CSRF-Token"], "back": f"/cases/{case.id}"}
    page = browser.post(f"/deliveries/{sent.id}/retry", data=form)
    assert (page.status_code, "它已送达，或已由他人处理" in page.text, case.title in page.text) == (409, True, True)
