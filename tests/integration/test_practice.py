"""The rules of practice, which are the city's data: how often and how long, who is told, who may what."""

from dataclasses import replace
from typing import Any

import pytest
from deciding import another_city, use
from desk import Desk
from postgres import both_stores
from sqlalchemy import Row, event
from steps import BODIES, FIRE, case_in, completed, in_triage, with_a_fact_to_contest, with_an_appeal

from citybrain.casework.amendment import load
from citybrain.casework.api import case_timeline, list_appeals, list_verifications, show_case
from citybrain.casework.case import STEPS, Clock
from citybrain.casework.followup import follow_up
from citybrain.casework.writing import write
from citybrain.commands import keys as key_commands
from citybrain.keyring import Keyring
from citybrain.keys import Key, Role
from citybrain.problem import Problem
from citybrain.store.tables import cases, feedbacks

pytestmark = both_stores
NOBODY = frozenset[str]()
LIGHTS, HOUSING = "441402-cg", "441402-zj"


def look(desk: Desk) -> None:
    follow_up(desk.here.store, desk.here.city, desk.now)


def reasons(desk: Desk, case: Row[Any]) -> list[str]:
    return [entry["reason"] for entry in desk.entries(case.id, "supervised")]


def system(department: str) -> Key:
    return Key(department, Role.SYSTEM, NOBODY, NOBODY, frozenset({department}))


def operator(*duties: str) -> Key:
    return Key("wang", Role.OPERATOR, NOBODY, NOBODY, NOBODY, duties=frozenset(duties))


# Clocks


@pytest.mark.parametrize("action", sorted(set(STEPS) - {"merge", "split", "appeal", "judge", "grant"}))
def test_an_action_does_to_the_handling_clock_what_the_table_says(desk: Desk, action: Any) -> None:
    status = sorted(STEPS[action].sources)[0]
    case = case_in(desk, status)
    desk.pass_time(minutes=20)
    desk.act(case.id, action, **BODIES[action])
    after, clock = desk.case(case.id), STEPS[action].clock
    now = (after.due_at, after.left_seconds, after.started_at)
    was = (case.due_at, case.left_seconds, case.started_at)
    if clock in (Clock.UNTOUCHED, Clock.ENDS) or (clock is Clock.STARTS and case.started_at):
        assert now == was
    elif clock is Clock.EXTENDED:
        assert after.due_at > case.due_at
    elif clock is Clock.STOPS:
        assert (after.due_at, after.left_seconds) == (None, 16 * 3600 - 20 * 60)
    elif clock is Clock.GOES_ON:
        assert after.due_at == case.left_seconds * 1000 + desk.now + 32 * 3_600_000  # two nights and two noons
    else:
        assert after.started_at == desk.now


def test_the_centre_has_a_quarter_of_an_hour_to_accept_and_another_to_dispatch(desk: Desk) -> None:
    case = in_triage(desk)
    shown = show_case(case.id, desk.key, desk.here)["stage"]
    assert shown == {"name": "acceptance", "due_at": "2025-03-03T09:15:00+08:00", "state": "running"}
    desk.pass_time(minutes=15)
    look(desk)
    assert reasons(desk, case) == []
    desk.pass_time(minutes=1)
    for _ in range(2):
        look(desk)
    assert reasons(desk, case) == ["acceptance_overdue"]
    desk.act(case.id, "file", type="c01039")
    filed = desk.case(case.id)
    assert (filed.status, filed.stage_due_at) == ("filed", desk.now + 15 * 60_000)
    desk.pass_time(days=1)
    look(desk)
    look(desk)
    assert reasons(desk, case) == ["acceptance_overdue", "dispatch_overdue"]
    desk.act(case.id, "dispatch", department=LIGHTS)
    assert desk.case(case.id).stage_due_at is None
    assert desk.broken() == []


def test_a_reading_of_an_unchanged_case_leaves_version_and_ledger_alone(desk: Desk) -> None:
    case = desk.open()
    desk.set(cases, cases.c.id == case.id, look_at=0)  # as the migration leaves it
    look(desk)
    again = desk.case(case.id)
    assert (again.version, again.entries, again.look_at) == (case.version, case.entries, case.look_at)


# Returns


def test_an_assistant_that_returns_it_has_not_bounced_the_case(desk: Desk) -> None:
    case = desk.open(**FIRE)
    for order in desk.orders(case.id, "assist"):
        desk.answer(order.id, "returned")
    assert (desk.case(case.id).returns, reasons(desk, case)) == (0, [])


def test_an_appointed_department_is_refused_a_return_and_the_next_one_too(desk: Desk) -> None:
    case = desk.open()
    for department in (HOUSING, LIGHTS):
        desk.act(case.id, "return", reason="不属于我单位职责")
        desk.act(case.id, "dispatch", department=department)
    order = desk.lead(case.id)
    with pytest.raises(Problem, match="appointed 指定主办") as refused:
        desk.answer(order.id, "returned")
    assert (refused.value.status, "accepted" in refused.value.extra["legal"]) == (409, True)
    assert desk.rows(feedbacks) == []
    desk.act(case.id, "reassign", department=HOUSING, reason="协调一致")
    assert desk.refused(case.id, "return", reason="不属于我单位职责").status == 409
    assert "return" not in desk.refused(case.id, "close").extra["legal"]


def test_who_is_thought_responsible_is_found_by_code_or_name(desk: Desk) -> None:
    for said, code in ((HOUSING, HOUSING), ("梅江区住房和城乡建设局", HOUSING), ("公路局", None)):
        case = desk.open()
        desk.answer(desk.lead(case.id).id, "returned", responsible=said)
        order = show_case(case.id, desk.key, desk.here)["work_orders"][0]
        assert (order["responsible"], order["responsible_department"]) == (said, code)


# How often and how long


def test_a_third_extension_is_refused(desk: Desk) -> None:
    case = desk.open()
    for until in ("2025-03-05T12:00:00+08:00", "2025-03-06T12:00:00+08:00"):
        desk.act(case.id, "extend", until=until, reason="等待配件")
    problem = desk.refused(case.id, "extend", until="2025-03-07T12:00:00+08:00", reason="等待配件")
    assert (problem.status, "extend" in problem.extra["legal"]) == (409, False)
    assert "extend" not in show_case(case.id, desk.key, desk.here)["actions"]


def test_a_case_is_suspended_for_a_year_at_most(desk: Desk) -> None:
    case = desk.open()
    problem = desk.refused(case.id, "suspend", until="2026-03-03T09:00:01+08:00", reason="等待拆迁")
    assert (problem.status, problem.errors[0].field) == (422, "until")
    desk.act(case.id, "suspend", until="2026-03-03T09:00:00+08:00", reason="等待拆迁")


def test_a_closed_case_is_opened_again_for_a_month(desk: Desk) -> None:
    early, late = case_in(desk, "closed"), case_in(desk, "closed")
    desk.pass_time(days=30)
    desk.act(early.id, "reopen", reason="又坏了")
    desk.pass_time(seconds=1)
    problem = desk.refused(late.id, "reopen", reason="又坏了")
    assert (problem.status, problem.extra["legal"]) == (409, [])


def test_another_city_has_other_rules_by_its_data_alone(desk: Desk, tmp_path: Any) -> None:
    rules = """[casework]
dispatch_minutes = 60
returns = 1
extension = { most = 1, limits = 0.5 }
thresholds = [{ code = "half", name = "过半提醒", left = 0.5 }]
photos = ["verify", "completed"]
"""
    use(desk, another_city(tmp_path, "city.toml", lambda text: text.partition("[casework]")[0] + rules))
    case = desk.open()
    desk.act(case.id, "return", reason="不属于我单位职责")
    assert desk.case(case.id).stage_due_at == desk.now + 60 * 60_000
    desk.act(case.id, "dispatch", department=LIGHTS)
    assert desk.case(case.id).appointed
    desk.act(case.id, "extend", until="2025-03-06T09:00:00+08:00", reason="等待配件")
    assert desk.refused(case.id, "extend", until="2025-03-06T10:00:00+08:00", reason="等待配件").status == 409
    desk.pass_time(days=30)
    look(desk)
    assert reasons(desk, case) == ["returned_twice", "half"]
    with pytest.raises(Problem, match="photo"):
        desk.answer(desk.lead(case.id).id, "completed")
    photo = desk.photo(case.id)
    desk.answer(desk.lead(case.id).id, "completed", attachments=[photo])
    assert desk.refused(case.id, "verify", passed=True).errors[0].field == "attachments"
    desk.act(case.id, "verify", passed=True, attachments=[photo])


# Appeals


def test_only_what_counts_against_a_department_is_contested_and_once(desk: Desk) -> None:
    case = completed(desk)
    order = desk.lead(case.id)
    appeal = {"work_order": order.id, "against": "overdue", "reason": "许可延误"}
    assert desk.refused(case.id, "appeal", **appeal).errors[0].field == "against"  # it was in time
    appeal |= with_a_fact_to_contest(desk, case)
    desk.key = system(HOUSING)
    assert desk.refused(case.id, "appeal", **appeal).status == 404  # another department's case
    desk.key = system(LIGHTS)
    before = desk.case(case.id)
    shown = desk.act(case.id, "appeal", **appeal)
    assert (shown["status"], shown["version"]) == (before.status, before.version + 1)
    assert desk.refused(case.id, "appeal", **appeal).status == 409
    assert desk.refused(case.id, "judge", appeal=shown["appeals"][0]["id"], upheld=True, reason="属实").status == 403


def test_a_department_assisting_contests_its_own_order_alone(desk: Desk) -> None:
    case = completed(desk, **FIRE)
    fact = with_a_fact_to_contest(desk, case)  # of the lead
    desk.key = system(desk.orders(case.id, "assist")[0].department)
    assert desk.refused(case.id, "appeal", reason="不属实", **fact).errors[0].field == "work_order"


def test_an_appeal_is_judged_once_and_listed_for_who_may_see_it(desk: Desk) -> None:
    case = case_in(desk, "closed")
    appeal = with_an_appeal(desk, case)

    def listed(key: Key, outcome: str | None = None) -> list[str]:
        return [each["id"] for each in list_appeals(key, desk.here, outcome)["items"]]

    assert listed(desk.key, "open") == listed(system(LIGHTS)) == [appeal]
    assert listed(system(HOUSING)) == listed(desk.key, "upheld") == []
    assert listed(replace(operator(), divisions=frozenset({"441403"}))) == []
    desk.act(case.id, "judge", appeal=appeal, upheld=False, reason="证据不足")
    assert (listed(desk.key, "open"), listed(desk.key, "rejected")) == ([], [appeal])
    assert desk.refused(case.id, "judge", appeal=appeal, upheld=True, reason="属实").status == 409
    assert desk.case(case.id).status == "closed"


# Duties


def test_a_key_with_duties_may_only_those_and_is_told_whose_the_others_are(desk: Desk) -> None:
    case = desk.open()
    desk.key = operator("dispatcher")
    problem = desk.refused(case.id, "supervise", reason="催办")
    assert (problem.status, "it is of: supervisor" in problem.detail) == (403, True)
    desk.act(case.id, "reassign", department=HOUSING, reason="协调一致")
    desk.key = operator("supervisor")
    desk.act(case.id, "supervise", reason="催办")
    assert desk.refused(case.id, "reassign", department=LIGHTS, reason="协调").status == 403
    desk.key = operator("dispatcher", "supervisor")
    desk.act(case.id, "supervise", reason="催办")
    desk.key = operator()
    desk.act(case.id, "reassign", department=LIGHTS, reason="协调一致")


def test_a_key_is_made_with_the_city_s_duties(desk: Desk) -> None:
    with pytest.raises(Problem) as refused:
        key_commands.create(desk.here, "operator", "wang", None, {"duties": "dispacher"})
    assert "did you mean dispatcher" in refused.value.errors[0].remedy
    with pytest.raises(Problem, match="role worker has none"):
        key_commands.create(desk.here, "worker", "wang", None, {"duties": "verifier"})
    plain = key_commands.create(desk.here, "operator", "wang", None, {"duties": "clerk,dispatcher"})
    assert Keyring(desk.here.store, desk.clock).check(plain).duties == {"clerk", "dispatcher"}
    assert "clerk, dispatcher" in "\n".join(key_commands.lines(desk.here))


# Several at once


def test_actions_in_one_call_are_done_or_refused_each_alone(desk: Desk) -> None:
    one, two, changed, elsewhere = (
        desk.open(),
        desk.open(),
        desk.open(),
        desk.open(location={"division_code": "441403"}),
    )
    desk.act(changed.id, "note", text="我来处理")
    desk.key = replace(operator(), divisions=frozenset({"441402"}))
    answer = desk.act_on_many(
        {"id": one.id, "version": 1, "action": "reassign", "department": HOUSING, "reason": "协调一致"},
        {"id": two.number, "version": 1, "action": "close"},
        {"id": changed.id, "version": 1, "action": "note", "text": "我也来"},
        {"id": elsewhere.id, "version": 1, "action": "note", "text": "嗯"},
        {"id": one.number, "version": 2, "action": "note", "text": "嗯"},
        {"id": two.id, "version": 1, "action": "merge", "into": one.id},
        {"id": two.id, "version": 1, "action": "supervise"},
        {"id": two.id, "version": 1, "action": "approve"},
        "nonsense",
    )
    told = [each.get("problem", {"status": 200})["status"] for each in answer["results"]]
    assert told == [200, 409, 409, 404, 422, 200, 422, 404, 422]
    assert (answer["done"], answer["refused"]) == (2, 7)
    assert (answer["results"][0]["status"], answer["results"][0]["version"]) == ("dispatched", 2)
    assert "return" in answer["results"][1]["problem"]["legal"]
    assert answer["results"][2]["problem"]["detail"].startswith("liu acted first (noted")
    assert answer["results"][2]["problem"]["case"]["version"] == 2
    assert (desk.case(one.id).event_count, desk.case(two.id).status) == (2, "void")
    assert desk.case(elsewhere.id) == elsewhere
    assert desk.broken() == []


def test_two_hundred_actions_take_as_many_statements_as_two(desk: Desk) -> None:
    desk.report(*[{}] * 202)
    desk.handle()
    known = [{"id": case.id, "version": 1, "action": "supervise", "reason": "催办"} for case in desk.rows(cases)]
    counts = []
    for items in (known[:2], known[2:]):
        statements: list[str] = []
        count = lambda _c, _cursor, statement, *_: statements.append(statement)  # noqa: E731, B023
        event.listen(desk.here.store.engine, "before_cursor_execute", count)
        assert desk.act_on_many(*items)["done"] == len(items)
        event.remove(desk.here.store.engine, "before_cursor_execute", count)
        counts.append(len(statements))
    assert counts[1] <= counts[0] + 3
    with pytest.raises(Problem, match="1 to 200"):
        desk.act_on_many(*known[:201])


# What is shown


def test_a_worker_is_given_what_waits_to_be_verified_in_its_divisions(desk: Desk) -> None:
    case = desk.open()
    done, seen = desk.photo(case.id), desk.photo(case.id)
    desk.answer(desk.lead(case.id).id, "completed", note="已更换灯泡", attachments=[done])
    completed(desk, location={"division_code": "441403"})
    desk.open()
    worker = Key("li", Role.WORKER, NOBODY, frozenset({"441402"}), NOBODY)
    (task,) = list_verifications(worker, desk.here)["items"]
    assert (task["id"], task["version"]) == (case.id, desk.case(case.id).version)
    assert task["before"]["id"] == desk.entries(case.id, "filed")[0]["event"]
    assert [(each["department"], each["note"], each["attachments"]) for each in task["after"]] == [
        (LIGHTS, "已更换灯泡", [done])
    ]
    desk.key = worker
    desk.act(case.id, "verify", passed=True, note="已亮", attachments=[seen])
    assert desk.last_entry(case.id) == {"passed": True, "text": "已亮", "attachments": [seen]}
    assert list_verifications(worker, desk.here)["items"] == []


def test_a_long_timeline_comes_in_pages_and_the_case_carries_its_newest(desk: Desk) -> None:
    case = desk.open()
    with desk.here.store.write() as tx:
        amendment = load(tx, case.id, "liu", desk.now)
        for number in range(300):
            amendment.note("noted", text=str(number))
        write(tx, [amendment], desk.here.city)
    shown = show_case(case.id, desk.key, desk.here)
    assert (shown["timeline_total"], len(shown["timeline"])) == (302, 200)
    assert (shown["timeline"][0]["seq"], shown["timeline"][-1]["data"]) == (103, {"text": "299"})
    assert shown["explanation"]["winner"] == "posted"
    seen, cursor = [], None
    while True:
        page = case_timeline(case.id, desk.key, desk.here, cursor, 100)
        seen += [entry["seq"] for entry in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == list(range(302, 0, -1))
