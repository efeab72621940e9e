"""One case as districts really work it: returned twice, appointed, extended, suspended over a holiday, reworked,
closed, appealed; each with the due time that a wall calendar of 2025 gives (国办发明电〔2024〕12号: Sunday 27 April is
worked, 1 to 5 May are free)."""

from datetime import datetime

from desk import Desk

from citybrain.casework.followup import follow_up
from citybrain.casework.reading import visible_case, whole_case
from citybrain.intake.reading import show_event
from citybrain.keys import Key, Role

NOBODY = frozenset[str]()
LIGHTS, HOUSING = "441402-cg", "441402-zj"


def person(name: str, role: Role = Role.OPERATOR, duty: str = "", department: str = "") -> Key:
    duties, departments = frozenset(filter(None, [duty])), frozenset(filter(None, [department]))
    divisions = frozenset({"441402"} if role is Role.WORKER else ())
    return Key(name, role, NOBODY, divisions, departments, duties=duties)


SOURCE = person("app", Role.SOURCE)
DISPATCHER, SUPERVISOR = person("wang", duty="dispatcher"), person("zhao", duty="supervisor")
WORKER = person("li", Role.WORKER)
OF_LIGHTS = person("lights", Role.SYSTEM, department=LIGHTS)
OF_HOUSING = person("housing", Role.SYSTEM, department=HOUSING)


def test_a_case_is_returned_twice_appointed_extended_suspended_reworked_closed_and_contested(desk: Desk) -> None:
    def at(text: str, key: Key = SUPERVISOR) -> None:
        desk.now = ms(text)
        desk.key = key

    def due() -> tuple[str | None, str]:
        with desk.here.store.read() as tx:
            shown = whole_case(tx, visible_case(tx, case.id, desk.key, desk.here.city), desk.here, desk.key)
        return shown["deadline"]["due_at"], shown["deadline"]["state"]

    def supervised() -> list[str]:
        follow_up(desk.here.store, desk.here.city, desk.now)
        return [entry["reason"] for entry in desk.entries(case.id, "supervised")]

    # Thursday: a street light is out. Two working days: seven hours of today, eight of Friday, one of worked Sunday.
    at("2025-04-24 09:00", SOURCE)
    event_id = desk.report({})[0]
    desk.handle()
    case = desk.case(desk.event(event_id).case_id)
    assert due() == ("2025-04-27T09:00:00+08:00", "running")

    # It is not theirs, they say, and whose it is. The centre has fifteen minutes, day and night, to dispatch it again.
    at("2025-04-24 10:00", OF_LIGHTS)
    desk.answer(desk.lead(case.id).id, "returned", reason="灯杆属住建部门", responsible="梅江区住房和城乡建设局")
    at("2025-04-24 10:05", DISPATCHER)
    shown = desk.act(case.id, "dispatch", department=HOUSING)
    assert (shown["stage"], due()[0]) == (None, "2025-04-27T09:00:00+08:00")  # what was used stays used

    # They return it too: it is supervised, and whoever is named next is appointed.
    at("2025-04-24 15:00", OF_HOUSING)
    desk.answer(desk.lead(case.id).id, "returned", reason="已移交城管", responsible=LIGHTS)
    assert desk.case(case.id).stage_due_at == ms("2025-04-24 15:15")
    at("2025-04-24 15:16")
    assert supervised() == ["returned_twice", "dispatch_overdue"]
    at("2025-04-24 15:20", DISPATCHER)
    shown = desk.act(case.id, "dispatch", department=LIGHTS)
    assert (shown["appointed"], "return" in shown["actions"]) == (True, False)
    assert "appointed 指定主办" in desk.refused(case.id, "return", reason="不属于我单位").detail

    # An extension adds one original limit at most: to Tuesday nine o'clock. The dispatcher may not grant it.
    at("2025-04-25 09:00", DISPATCHER)
    extension = {"until": "2025-04-29T09:00:00+08:00", "reason": "等待配件"}
    assert "it is of: supervisor" in desk.refused(case.id, "extend", **extension).detail
    at("2025-04-25 09:01")
    too_long = desk.refused(case.id, "extend", until="2025-04-29T09:00:01+08:00", reason="等待配件")
    assert too_long.errors[0].remedy == "until 2025-04-29T09:00:00+08:00 at the latest"
    desk.act(case.id, "extend", **extension)
    at("2025-04-28 14:59")
    assert supervised() == ["returned_twice", "dispatch_overdue"]
    at("2025-04-28 15:00")  # four hours are left: three of Monday, one of Tuesday
    assert supervised()[2:] == ["quarter_left"]

    # The street may not be dug up before the holiday is over: the clock stops with two hours left.
    at("2025-04-28 17:00")
    desk.act(case.id, "suspend", until="2025-05-06T08:00:00+08:00", reason="节日期间禁止占道开挖")
    assert (due(), desk.case(case.id).left_seconds) == ((None, "paused"), 7200)
    at("2025-05-05 23:59")
    assert supervised()[3:] == []
    at("2025-05-06 08:00")
    assert supervised()[3:] == []
    assert due() == ("2025-05-06T10:00:00+08:00", "running")
    at("2025-05-06 10:00")
    assert supervised()[3:] == ["due"]
    at("2025-05-06 10:01")
    assert (supervised()[3:], due()[1]) == (["due", "overdue"], "overdue")
    assert "overdue" in desk.refused(case.id, "extend", until="2025-05-08T09:00:00+08:00", reason="等").detail

    # They report it done, an hour late. The grid worker looks and it is not: the same department once more.
    at("2025-05-06 11:00", OF_LIGHTS)
    late = desk.lead(case.id)
    desk.answer(late.id, "completed", note="已更换灯泡", attachments=[desk.photo(case.id)])
    at("2025-05-06 14:30", WORKER)
    desk.act(case.id, "verify", passed=False, reason="仍不亮", attachments=[desk.photo(case.id)])
    again = desk.lead(case.id)
    assert (again.department, desk.case(case.id).reworks) == (LIGHTS, 1)
    assert due() == ("2025-05-08T14:30:00+08:00", "running")  # the whole limit: 3.5 h, 8 h, 4 h and half an hour
    at("2025-05-07 16:00", OF_LIGHTS)
    desk.answer(again.id, "completed", note="已更换整灯")
    at("2025-05-07 16:30", WORKER)
    desk.act(case.id, "verify", passed=True, note="已亮")
    at("2025-05-07 17:00")
    assert desk.act(case.id, "close")["status"] == "closed"

    # The department contests that it was late. The score changes with the judgement, the fact does not.
    at("2025-05-09 09:00", OF_LIGHTS)
    contested = {"work_order": late.id, "against": "overdue", "reason": "占道许可延误"}
    appeal = desk.act(case.id, "appeal", **contested)["appeals"][0]
    at("2025-05-12 09:00")
    shown = desk.act(case.id, "judge", appeal=appeal["id"], upheld=True, reason="许可确有延误")
    assert [(each["outcome"], each["decided_by"]) for each in shown["appeals"]] == [("upheld", "zhao")]
    first = next(order for order in shown["work_orders"] if order["id"] == late.id)
    assert first["deadline"]["due_at"] < first["completed_at"]
    assert (shown["status"], shown["closed_at"]) == ("closed", "2025-05-07T17:00:00+08:00")

    # Whoever reported it sees how it went, and nobody's name.
    at("2025-05-12 10:00", SOURCE)
    told = show_event(event_id, desk.key, desk.here)["case"]
    assert [step["status"] for step in told["history"]] == [
        *("filed", "dispatched", "dispatched", "dispatched", "suspended", "resumed"),
        *("completed", "rework", "completed", "verified", "closed"),
    ]
    assert not {"wang", "zhao", "li", LIGHTS} & set(str(told).replace("'", " ").split())
    assert desk.broken() == []


def ms(text: str) -> int:
    return round(datetime.fromisoformat(f"{text}+08:00").timestamp() * 1000)
