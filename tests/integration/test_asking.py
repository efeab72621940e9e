"""An extension or a suspension that somebody asks for who may not grant it: nothing changes until who may does."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from deciding import another_city, use
from desk import Desk
from fastapi.testclient import TestClient
from postgres import both_stores
from steps import FIRE, silenced

from citybrain.app import build
from citybrain.casework.api import list_cases, show_case
from citybrain.casework.followup import follow_up
from citybrain.keys import Key, Role, create_key
from citybrain.store.dispatch_tables import deliveries

pytestmark = both_stores

NOBODY = frozenset[str]()
LIGHTS, HOUSING = "441402-cg", "441402-zj"
DEPARTMENT = Key("lights", Role.SYSTEM, NOBODY, NOBODY, frozenset({LIGHTS}))
DISPATCHER = Key("wang", Role.OPERATOR, NOBODY, NOBODY, NOBODY, duties=frozenset({"dispatcher"}))
SUPERVISOR = replace(DISPATCHER, name="zhao", duties=frozenset({"supervisor"}))
FRIDAY = "2025-03-07T09:00:00+08:00"
EXTENSION = {"what": "extend", "until": "2025-03-06T09:00:00+08:00", "reason": "等待配件"}
SUSPENSION = {"what": "suspend", "until": FRIDAY, "reason": "等待拆迁"}


def act(desk: Desk, key: Key, case_id: str, action: str, **body: Any) -> dict[str, Any]:
    desk.key = key
    return desk.act(case_id, action, **body)


def test_a_department_asks_and_the_clock_moves_when_the_supervisor_grants_it(desk: Desk) -> None:
    case = desk.open()  # Monday 09:00, two working days: until Wednesday 09:00
    photo = desk.photo(case.id)
    desk.key = DEPARTMENT
    assert desk.refused(case.id, "extend", until=EXTENSION["until"], reason="等").status == 403
    shown = act(desk, DEPARTMENT, case.id, "ask", **EXTENSION, attachments=[photo])
    assert shown["asked"] == EXTENSION | {
        "department": LIGHTS, "asked_by": "lights", "at": "2025-03-03T09:00:00+08:00",
        "expires_at": "2025-03-05T09:00:00+08:00", "attachments": [photo],
    }  # fmt: skip
    assert (shown["deadline"]["due_at"], shown["extensions"]) == ("2025-03-05T09:00:00+08:00", 0)
    assert "waits for an answer" in desk.refused(case.id, "ask", **SUSPENSION).detail
    for key in (DEPARTMENT, DISPATCHER):
        desk.key = key
        assert desk.refused(case.id, "grant", granted=True).status == 403
        assert [each["id"] for each in list_cases(key, desk.here, asked=True)["items"]] == [case.id]
    desk.pass_time(hours=5)
    shown = act(desk, SUPERVISOR, case.id, "grant", granted=True)
    assert (shown["deadline"]["due_at"], shown["extensions"], shown["asked"]) == (EXTENSION["until"], 1, None)
    assert desk.lead(case.id).due_at == desk.case(case.id).due_at
    assert desk.story(case.id)[-3:] == [("lights", "asked"), ("zhao", "granted"), ("zhao", "extended")]
    assert desk.last_entry(case.id)["reason"] == "等待配件"
    told = desk.rows(deliveries, deliveries.c.case_id == case.id)[-1]
    assert (told.type, json.loads(told.body)["data"]["asked"]) == (
        "work_order.updated", {"outcome": "granted", "what": "extend", "reason": None}
    )  # fmt: skip
    assert list_cases(SUPERVISOR, desk.here, asked=True)["items"] == []
    assert desk.broken() == []


def test_a_suspension_that_is_granted_later_stops_the_clock_then(desk: Desk) -> None:
    case = desk.open()
    act(desk, DISPATCHER, case.id, "ask", **SUSPENSION)
    desk.pass_time(hours=2)
    shown = act(desk, SUPERVISOR, case.id, "grant", granted=True, reason="情况属实")
    assert (shown["status"], shown["deadline"]["left_seconds"]) == ("suspended", 14 * 3600)
    assert desk.entries(case.id, "granted")[0] | {"until": 0} == {
        "what": "suspend", "until": 0, "asked_by": "wang", "reason": "情况属实"
    }  # fmt: skip
    assert desk.broken() == []


def test_a_refusal_says_why_and_leaves_the_clock_alone(desk: Desk) -> None:
    case = desk.open()
    act(desk, DEPARTMENT, case.id, "ask", **EXTENSION)
    desk.key = SUPERVISOR
    assert desk.refused(case.id, "grant").errors[0].field == "granted"
    assert desk.refused(case.id, "grant", granted=False).errors[0].field == "reason"
    shown = desk.act(case.id, "grant", granted=False, reason="配件已到货")
    assert (shown["asked"], shown["deadline"]["due_at"]) == (None, "2025-03-05T09:00:00+08:00")
    assert desk.told(case.id)[-1] == ("work_order.updated", LIGHTS)
    assert "nothing that was asked for" in desk.refused(case.id, "grant", granted=True).detail
    act(desk, DEPARTMENT, case.id, "ask", **EXTENSION)  # once more, with better reasons


def test_what_nobody_answers_lapses_at_the_due_time(desk: Desk) -> None:
    case = desk.open()
    act(desk, DEPARTMENT, case.id, "ask", **SUSPENSION)
    desk.pass_time(days=2)
    follow_up(desk.here.store, desk.here.city, desk.now)
    assert "grant" in show_case(case.id, desk.key, desk.here)["actions"]
    desk.pass_time(seconds=1)
    desk.key = SUPERVISOR
    assert "has lapsed" in desk.refused(case.id, "grant", granted=True).detail
    for _ in range(2):
        follow_up(desk.here.store, desk.here.city, desk.now)
    assert [entry["reason"] for entry in desk.entries(case.id, "lapsed")] == ["unanswered"]
    assert show_case(case.id, desk.key, desk.here)["asked"] is None
    assert desk.broken() == []


def test_what_was_asked_for_lapses_when_the_case_moves_on(desk: Desk) -> None:
    returned, extended = desk.open(), desk.open()
    for case in (returned, extended):
        act(desk, DEPARTMENT, case.id, "ask", **SUSPENSION)
    desk.answer(desk.lead(returned.id).id, "returned")
    act(desk, SUPERVISOR, extended.id, "extend", until=EXTENSION["until"], reason="只延一天")
    told = [desk.entries(case.id, "lapsed")[0]["reason"] for case in (returned, extended)]
    assert (told, desk.case(extended.id).extensions) == (["moved_on", "extended"], 1)
    assert desk.broken() == []


def test_what_would_be_refused_is_refused_when_it_is_asked_for(desk: Desk) -> None:
    case = desk.open(**FIRE)
    desk.key = replace(DEPARTMENT, departments=frozenset({desk.orders(case.id, "assist")[0].department}))
    assert "at most 1" in desk.refused(case.id, "ask", **EXTENSION | {"until": FRIDAY}).errors[0].message
    assert desk.refused(case.id, "ask", until=FRIDAY, reason="等").errors[0].field == "what"
    desk.answer(desk.orders(case.id, "assist")[0].id, "completed")
    assert "in hand" in desk.refused(case.id, "ask", **SUSPENSION).detail
    filed = silenced(desk)
    desk.key = DISPATCHER
    assert "no action" not in desk.refused(filed.id, "ask", **EXTENSION).detail
    act(desk, DISPATCHER, filed.id, "ask", **SUSPENSION)  # without a due time nothing lapses
    assert desk.case(filed.id).asked["expires_at"] is None


def test_who_grants_what_is_the_city_s_data(desk: Desk, tmp_path: Any) -> None:
    rules = """
[casework.duties]
dispatcher = ["dispatch", "extend", "grant"]
director = ["suspend", "grant"]
"""
    use(desk, another_city(tmp_path, "city.toml", lambda text: text.partition("[casework.duties]")[0] + rules))
    case = desk.open()
    act(desk, DEPARTMENT, case.id, "ask", **SUSPENSION)
    desk.key = DISPATCHER
    problem = desk.refused(case.id, "grant", granted=True)
    assert (problem.status, "it is of: director" in problem.detail) == (403, True)
    director = replace(SUPERVISOR, duties=frozenset({"director"}))
    assert act(desk, director, case.id, "grant", granted=True)["status"] == "suspended"


@pytest.mark.parametrize("granted", [True, False])
def test_what_is_asked_for_is_answered_in_bulk(desk: Desk, granted: bool) -> None:
    known = [desk.open() for _ in range(3)]
    for case in known:
        act(desk, DEPARTMENT, case.id, "ask", **EXTENSION)
    desk.key = SUPERVISOR
    body = {"action": "grant", "version": 2, "granted": granted, "reason": "情况属实"}
    answer = desk.act_on_many(*({"id": case.id} | body for case in known))
    assert (answer["done"], {desk.case(case.id).extensions for case in known}) == (3, {int(granted)})


def test_the_case_s_page_shows_what_is_asked_for_to_whoever_answers_it_there(desk: Desk) -> None:
    case = desk.open()
    act(desk, DEPARTMENT, case.id, "ask", **EXTENSION)
    with desk.here.store.write() as tx:
        plain = create_key(tx, "zhao", "operator", desk.now, "test", duties=["supervisor"])
    browser = TestClient(build(desk.here))
    browser.post("/api/v1/session", json={"key": plain}).raise_for_status()
    page = browser.get(f"/cases/{case.id}").text
    assert "延期到 " in page
    assert "等待配件（lights）" in page
    form = {"csrf": re.findall('name="csrf" value="([^"]+)"', page)[0], "version": "2", "granted": "true"}
    assert browser.post(f"/cases/{case.id}/grant", data=form).status_code == 200
    assert desk.case(case.id).extensions == 1
    assert "批准申请" in browser.get(f"/cases/{case.id}").text
