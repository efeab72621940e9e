"""The same thing is one case: what joins it, what does not any more, and what is kept without anybody being sent."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from deciding import another_domain, use
from desk import ADMIN, Desk
from postgres import both_stores
from pydantic import ValidationError
from sqlalchemy import Row

from citybrain.casework import silence_api
from citybrain.casework.api import list_cases, show_case, suggest_cases
from citybrain.casework.beside import open_parts
from citybrain.casework.followup import follow_up
from citybrain.casework.silences import NewSilence
from citybrain.keys import Key, Role
from citybrain.problem import Problem
from citybrain.store.dispatch_tables import deliveries
from citybrain.store.ledger import CITY
from citybrain.store.ledger_tables import ledger
from citybrain.store.tables import cases, events

pytestmark = both_stores

SMOKE = {"domain": "fire", "attributes": {"device_id": "d1", "states": ["fire"], "component_type": 40}}
POND = {"lng": 116.1175, "lat": 24.2913, "datum": "wgs84"}
RIVER_TOWNS = {  # touches several towns of 441402 and 441403
    "type": "Polygon",
    "coordinates": [[[116.08, 24.27], [116.16, 24.27], [116.16, 24.33], [116.08, 24.33], [116.08, 24.27]]],
}
FLOOD = {"domain": "emergency", "type": "emergency.flood_warning", "title": "梅江洪水预警"}
GAUGE = {"domain": "water", "type": "water.over_warning_level", "title": "水位超警"}


def shown(desk: Desk, case_id: str, key: Key | None = None) -> dict[str, Any]:
    return show_case(case_id, key or desk.key, desk.here)


def look(desk: Desk) -> None:
    for _ in range(2):
        follow_up(desk.here.store, desk.here.city, desk.now)


def unmuted(desk: Desk, case: Row[Any]) -> list[dict[str, Any]]:
    return desk.entries(case.id, "unmuted")


def silence(desk: Desk, key: Key | None = None, **given: Any) -> dict[str, Any]:
    ends = datetime.fromtimestamp(desk.now / 1000, UTC) + timedelta(hours=given.pop("hours", 2))
    body = NewSilence.model_validate({"domain": "fire", "reason": "消防演练", "ends_at": ends.isoformat()} | given)
    return silence_api.set_silence(key or desk.key, desk.here, body)


def at(point: dict[str, Any], north_m: float) -> dict[str, Any]:
    return point | {"lat": point["lat"] + north_m / 111_320}


# What joins


def test_ten_thousand_alarms_of_one_device_are_one_case_and_a_handful_of_messages(desk: Desk) -> None:
    """Two thousand here, five batches of four hundred; ten thousand are two messages more."""
    desk.endpoint("fire-brigade", department="441402-xf")
    for batch in range(5):
        desk.report(*[SMOKE | {"title": f"{batch}"}] * 400)
        desk.handle("fire")
    (case,) = desk.rows(cases)
    assert (case.event_count, len(desk.rows(events, events.c.case_id == case.id))) == (2_000, 2_000)
    told = [(row.type, json.loads(row.body)["data"]["case"]["event_count"]) for row in desk.rows(deliveries)]
    assert told == [("work_order.dispatched", 400), ("work_order.updated", 1_200)]
    merged = [json.loads(row.data) for row in desk.rows(ledger) if row.action == "merged"]
    assert [(each["count"], each["event_count"]) for each in merged] == [
        (399, 400), (400, 800), (400, 1_200), (400, 1_600), (400, 2_000)
    ]  # fmt: skip
    assert all({"first", "last"} < set(each) for each in merged)
    assert desk.broken() == []


@pytest.mark.parametrize("status", ["completed", "verified"])
def test_what_comes_after_the_report_of_completion_is_a_case_of_its_own_that_says_so(desk: Desk, status: str) -> None:
    old = desk.open(**SMOKE)
    desk.answer(desk.lead(old.id).id, "completed")
    if status == "verified":
        desk.act(old.id, "verify", passed=True)
    new = desk.open(**SMOKE)
    assert (new.id != old.id, new.related_to, new.status) == (True, old.id, "dispatched")
    assert [(each["kind"], each["number"]) for each in shown(desk, new.id)["relations"]] == [("related", old.number)]
    assert [(each["kind"], each["id"]) for each in shown(desk, old.id)["relations"]] == [("continued_by", new.id)]
    assert desk.open(**SMOKE).id == new.id
    assert desk.broken() == []


def test_a_case_in_rework_takes_further_reports_again(desk: Desk) -> None:
    case = desk.open(**SMOKE)
    desk.answer(desk.lead(case.id).id, "completed")
    desk.act(case.id, "verify", passed=False, reason="仍有烟")
    assert desk.open(**SMOKE).id == case.id


def test_the_time_counts_from_the_last_report_and_no_other_touch_prolongs_it(desk: Desk) -> None:
    case = desk.open(**SMOKE)  # its rule allows 60 minutes
    desk.pass_time(minutes=50)
    desk.act(case.id, "note", text="已电话联系")
    desk.pass_time(minutes=20)
    assert desk.open(**SMOKE).id != case.id
    desk.pass_time(minutes=50)
    other = desk.open(**SMOKE)
    desk.pass_time(minutes=50)
    assert desk.open(**SMOKE).id == other.id


@pytest.fixture
def near(desk: Desk, tmp_path: Any) -> Desk:
    """Fires in buildings are one thing within 20 m and a day; alarms of a device as long as their case is open."""

    def change(text: str) -> str:
        text = text.replace(", within_minutes = 60 }", " }")
        before, code, after = text.partition('code = "fire.building_fire"')
        row = 'merge = { by = "place", within_m = 20, within_minutes = 1440 }\n'
        return before + code + after.replace("level =", f"{row}level =", 1)

    use(desk, fire=another_domain(tmp_path, "fire", change))
    return desk


FIRE = {"domain": "fire", "type": "fire.building_fire", "title": "居民楼起火"}


def test_a_device_without_a_time_limit_joins_as_long_as_its_case_is_open(near: Desk) -> None:
    case = near.open(**SMOKE)
    near.pass_time(days=20)
    assert near.open(**SMOKE).id == case.id


def test_the_same_type_near_by_joins_the_nearest_case_and_farther_away_none(near: Desk) -> None:
    first = near.open(**FIRE, location=POND)
    assert near.open(**FIRE, location=at(POND, 12)).id == first.id
    second = near.open(**FIRE, location=at(POND, 28))
    assert (second.id != first.id, second.cell == first.cell) == (True, True)
    assert near.open(**FIRE, location=at(POND, 18)).id == second.id  # 10 m, the other is 18 m away
    assert near.open(**FIRE, location={"division_code": second.village}).id not in (first.id, second.id)
    near.pass_time(hours=25)
    assert near.open(**FIRE, location=POND).id not in (first.id, second.id)
    assert near.broken() == []


@pytest.fixture
def both(desk: Desk, tmp_path: Any) -> Desk:
    """A smoke alarm is about the fire that its device reported, else about one near by within half an hour."""
    rules = 'merge = [{ by = "device" }, { by = "place", within_m = 20, within_minutes = 30 }]\n'

    def change(text: str) -> str:
        before, code, after = text.partition('code = "fire.smoke_alarm"')
        return before + code + re.sub(r"^merge = .*\n", rules, after, count=1, flags=re.MULTILINE)

    use(desk, fire=another_domain(tmp_path, "fire", change))
    return desk


def alarm(desk: Desk, device: str | None, location: dict[str, Any]) -> Row[Any]:
    attributes = {"device_id": device} if device else {}
    return desk.open(domain="fire", type="fire.smoke_alarm", attributes=attributes, location=location)


def test_rules_of_merging_are_tried_in_their_order(both: Desk) -> None:
    first, far = alarm(both, "d1", POND), alarm(both, "d2", at(POND, 30))
    assert first.id != far.id
    by_place = {"key": f"fire.smoke_alarm|place|{first.cell}", "within_minutes": 30, "within_m": 20}
    told = {"key": "fire.smoke_alarm|device|d1", "within_minutes": None, "or": by_place}
    assert shown(both, first.id)["explanation"]["merge"] == told
    assert alarm(both, "d2", at(POND, 2)).id == far.id  # its device before the place, which is the other's
    assert alarm(both, "d3", at(POND, 2)).id == first.id  # a device that no case knows
    assert alarm(both, None, at(POND, 28)).id == far.id  # somebody who saw it
    both.pass_time(hours=3)
    assert alarm(both, "d1", POND).id == first.id  # the device, as long as the case is open
    assert alarm(both, "d9", at(POND, 300)).id not in (first.id, far.id)
    assert both.broken() == []


def test_the_page_tells_both_rules_of_merging_in_their_order(both: Desk, sign_in: Any) -> None:
    case = alarm(both, "d1", POND)
    (event,) = both.rows(events, events.c.case_id == case.id)
    browser = sign_in("operator", "wang")
    told = "<li>设备或编号相同的上报，在处置完成前并入本案件</li>"
    told += "<li>上一条没有找到案件时：同一位置的上报，30 分钟内、20 米以内并入本案件</li>"
    for path in (f"/cases/{case.id}", f"/events/{event.id}"):
        assert told in browser.get(path).text, path
    browser.get("/appearance?language=en")
    page = browser.get(f"/cases/{case.id}").text
    assert "Where that finds no case: A report from the same place joins this case (within 30 minutes" in page


def test_a_case_that_somebody_reported_knows_the_device_that_joined_it(both: Desk) -> None:
    case = alarm(both, None, POND)
    assert alarm(both, "d1", at(POND, 5)).id == case.id
    both.pass_time(hours=3)
    assert alarm(both, "d1", at(POND, 5)).id == case.id
    both.answer(both.lead(case.id).id, "completed")
    again = alarm(both, None, at(POND, 5))
    assert (again.id != case.id, again.related_to) == (True, case.id)
    found = suggest_cases(case.id, both.key, both.here)["items"]
    assert [(each["id"], each["why"]) for each in found] == [(again.id, ["same_thing", "near", "same_type"])]


def test_split_undoes_what_was_joined_and_both_say_so(desk: Desk) -> None:
    case = desk.open(**SMOKE)
    other = desk.report(SMOKE)[0]
    desk.handle("fire")
    desk.act(case.id, "split", events=[other])
    new = desk.case(desk.event(other).case_id)
    assert (new.id != case.id, new.event_count, desk.case(case.id).event_count) == (True, 1, 1)
    assert [(each["kind"], each["id"]) for each in shown(desk, new.id)["relations"]] == [("related", case.id)]
    assert desk.broken() == []


def test_what_was_merged_from_another_domain_goes_back_to_its_own(desk: Desk) -> None:
    fire, rubbish = desk.open(**SMOKE), desk.open()
    desk.act(rubbish.id, "merge", into=fire.id)
    own = desk.rows(events, events.c.case_id == fire.id, events.c.domain == "grid")[0].id
    desk.act(fire.id, "split", events=[own])
    new = desk.case(desk.event(own).case_id)
    assert (new.domain, new.type, "-grid-" in new.number) == ("grid", None, True)
    assert desk.broken() == []


def test_what_was_seen_after_it_was_reported_done_is_not_merged_into_it(desk: Desk) -> None:
    """A second report of the same day belongs to it; one of the next day may mean that it is not mended."""
    done, same_day = desk.open(), desk.open()
    desk.pass_time(hours=3)
    desk.answer(desk.lead(done.id).id, "completed")
    desk.pass_time(hours=20)
    next_day = desk.open()
    assert desk.act(same_day.id, "merge", into=done.id)["status"] == "void"
    refused = desk.refused(next_day.id, "merge", into=done.id)
    assert (refused.status, "rework" in refused.detail) == (409, True)
    desk.act(done.id, "rework", reason="又坏了")
    assert desk.act(next_day.id, "merge", into=done.id)["merged_into"] == done.id
    assert desk.broken() == []


def test_suggestions_are_near_open_cases_with_distance_and_time(desk: Desk) -> None:
    case = desk.open(type="m01037", title="路灯不亮", location=POND)
    desk.pass_time(minutes=30)
    same = desk.open(type="m01037", title="路灯坏了", location=at(POND, 120))
    undecided = desk.open(description="嗯", location=at(POND, 300))
    desk.open(type="m01037", title="远处的路灯", location=at(POND, 700))
    desk.open(type="m06001", title="私搭乱建", location=POND)
    found = suggest_cases(case.id, desk.key, desk.here)["items"]
    assert [(each["id"], each["distance_m"], each["minutes_apart"], each["why"]) for each in found] == [
        (same.id, 120, 30, ["near", "same_type"]),
        (undecided.id, 300, 30, ["near"]),
    ]
    desk.act(case.id, "merge", into=same.id)
    assert suggest_cases(same.id, desk.key, desk.here)["items"][0]["id"] == undecided.id
    elsewhere = Key("wang", Role.OPERATOR, frozenset(), frozenset({"441481"}), frozenset())
    with pytest.raises(Problem):
        suggest_cases(same.id, elsewhere, desk.here)


# Areas


def towns_of(desk: Desk, parent: Row[Any]) -> list[Row[Any]]:
    return desk.rows(cases, cases.c.parent_id == parent.id)


def test_a_flood_warning_is_one_case_and_one_for_each_town_that_it_touches(desk: Desk) -> None:
    parent = desk.open(**FLOOD, location={"geometry": RIVER_TOWNS})
    children = towns_of(desk, parent)
    touched = {each["code"] for each in parent.place["candidates"] if each["level"] == "town"}
    assert len(touched) > 2
    assert {child.town for child in children} == touched
    assert {(child.status, child.event_count, child.grade, child.cell) for child in children} == {
        ("dispatched", 0, parent.grade, None)
    }
    assert {desk.here.city.divisions.covers(child.county, child.town) for child in children} == {True}
    assert len({child.lead for child in children}) > 1  # each town's own
    assert [each["kind"] for each in shown(desk, parent.id)["relations"]] == ["child"] * len(children)
    assert shown(desk, children[0].id)["relations"][0]["kind"] == "parent"
    assert shown(desk, children[0].id)["explanation"]["winner"] == shown(desk, parent.id)["explanation"]["winner"]
    assert desk.broken() == []


def test_a_warning_is_closed_after_the_cases_of_its_towns_and_says_which_are_open(desk: Desk, sign_in: Any) -> None:
    parent = desk.open(**FLOOD, location={"geometry": RIVER_TOWNS})
    first, *others = towns_of(desk, parent)
    assert desk.refused(parent.id, "merge", into=desk.open(**FLOOD).number).extra["open_cases"]
    for case in (parent, *others):
        for order in desk.orders(case.id):
            desk.answer(order.id, "completed")
        desk.act(case.id, "verify", passed=True)
    for case in others[1:]:
        desk.act(case.id, "close")
    waiting = [{"id": each.id, "number": each.number, "status": status} for each, status in
               ((first, "dispatched"), (others[0], "verified"))]  # fmt: skip
    for key, seen in ((ADMIN, waiting), (replace(ADMIN, divisions=frozenset({first.town})), waiting[:1])):
        with desk.here.store.read() as tx:
            (of_parent,) = open_parts(tx, [parent.id], key, desk.here.city).values()
        assert [each["number"] for each in of_parent if each["seen"]] == [each["number"] for each in seen]
        assert len(of_parent) == 2
    desk.key = ADMIN
    problem = desk.refused(parent.id, "close")
    assert (problem.status, problem.extra["open_cases"], "close" in problem.extra["legal"]) == (409, waiting, False)
    assert f"2 of its cases are still open, end them first: {first.number} (dispatched)" in problem.detail
    assert "close" not in shown(desk, parent.id)["actions"]
    item = {"id": parent.id, "version": desk.case(parent.id).version, "action": "close"}
    assert desk.act_on_many(item)["results"][0]["problem"]["open_cases"] == waiting
    _the_pages_lead_to_them(desk, parent, waiting, sign_in)
    desk.act(others[0].id, "close")
    desk.act(first.id, "return", reason="无此河段")
    desk.act(first.id, "void", reason="预警范围更正")
    assert "close" in shown(desk, parent.id)["actions"]
    assert desk.act(parent.id, "close")["status"] == "closed"
    assert desk.broken() == []


def _the_pages_lead_to_them(desk: Desk, parent: Row[Any], waiting: list[dict[str, Any]], sign_in: Any) -> None:
    """The page says beforehand what stands against it, and again to who tries, also from the list."""
    browser, version = sign_in("operator", "wang"), desk.case(parent.id).version
    links = [f'<a href="/cases/{each["id"]}">{each["number"]}</a>' for each in waiting]
    form = {"csrf": browser.headers["X-CSRF-Token"], "version": str(version), "into": desk.open(**FLOOD).number}
    before = browser.get(f"/cases/{parent.id}")
    refused = browser.post(f"/cases/{parent.id}/merge", data=form)
    bulk = form | {"action": "close", "item": f"{parent.id}:{version}"}
    listed = browser.post("/fragments/bulk", data=bulk)
    assert [each.status_code for each in (before, refused, listed)] == [200, 409, 200]
    said = "下辖案件还没有全部办结，本案件还不能结案或并入其他案件。请先办结："
    hint = "下辖案件还有 2 件未办结，之前不能结案或并入其他案件"
    for page, words in ((before, hint), (refused, said), (listed, said)):
        led_to = page.text.partition(words)[2].partition("</ul>")[0]
        assert [link in led_to for link in links] == [True, True]
    assert 'role="alert"' in refused.text
    browser.get("/appearance?language=en")
    assert "Close these first:</p><ul" in browser.post(f"/cases/{parent.id}/merge", data=form).text


def test_a_warning_for_a_county_is_one_for_each_of_its_towns(desk: Desk) -> None:
    parent = desk.open(**FLOOD, location={"division_code": "441402"})
    assert {child.town for child in towns_of(desk, parent)} == {
        each.code for each in desk.here.city.divisions.children("441402")
    }


def test_a_single_alarm_inside_a_warning_is_kept_and_linked_and_nobody_is_sent(desk: Desk) -> None:
    before = desk.open(**GAUGE, attributes={"device_id": "w0"}, location=POND)
    parent = desk.open(**FLOOD, location={"geometry": RIVER_TOWNS})
    alarm = desk.open(**GAUGE, attributes={"device_id": "w1"}, location=POND)
    town = next(child for child in towns_of(desk, parent) if child.town == alarm.town)
    assert before.status == "dispatched"
    assert alarm.inhibited_by in (parent.id, town.id)
    assert (alarm.status, alarm.lead, desk.orders(alarm.id), desk.told(alarm.id)) == ("filed", None, [], [])
    assert desk.event(desk.rows(events, events.c.case_id == alarm.id)[0].id).state == "cased"
    assert desk.story(alarm.id) == [("rules", "filed"), ("rules", "muted")]
    assert shown(desk, alarm.id)["muted"]["by"] == "warning"
    assert alarm.id in {each["id"] for each in shown(desk, alarm.inhibited_by)["relations"]}
    graver = desk.open(**GAUGE, grade=1, attributes={"device_id": "w2"}, location=POND)
    outside = desk.open(**GAUGE, attributes={"device_id": "w3"}, location={"division_code": "441424"})
    assert (graver.status, outside.status) == ("dispatched", "dispatched")
    desk.act(alarm.id, "dispatch", department="441402-sw")
    assert (desk.case(alarm.id).status, shown(desk, alarm.id)["muted"]) == ("dispatched", None)
    assert desk.broken() == []


def test_when_the_warning_has_ended_the_next_alarm_is_dispatched(desk: Desk) -> None:
    parent = desk.open(**FLOOD, location=POND)
    alarm = desk.open(**GAUGE, attributes={"device_id": "w1"}, location=POND)
    assert alarm.inhibited_by == parent.id
    for order in desk.orders(parent.id):
        desk.answer(order.id, "completed")
    desk.act(parent.id, "verify", passed=True)
    desk.act(parent.id, "close")
    again = desk.open(**GAUGE, attributes={"device_id": "w1"}, location=POND)
    assert (again.id, again.status, again.event_count) == (alarm.id, "dispatched", 2)
    assert [action for _, action in desk.story(alarm.id)] == ["filed", "muted", "unmuted", "dispatched", "merged"]
    assert desk.broken() == []


def test_what_a_warning_kept_waits_for_a_dispatcher_when_the_warning_has_ended(desk: Desk) -> None:
    parent = desk.open(**FLOOD, location=POND)
    kept = desk.open(**GAUGE, attributes={"device_id": "w1"}, location=POND)
    gone = desk.open(**GAUGE, attributes={"device_id": "w2"}, location=POND)
    desk.act(gone.id, "void", reason="误报")
    look(desk)
    assert desk.case(kept.id).version == kept.version
    desk.act(parent.id, "return", reason="无此汛情")
    desk.act(parent.id, "void", reason="预警撤销")
    look(desk)
    assert unmuted(desk, kept) == [{"reason": "warning_ended"}]
    assert (shown(desk, kept.id)["muted"], shown(desk, kept.id)["stage"]["name"]) == (None, "dispatch")
    assert unmuted(desk, gone) == []
    assert desk.broken() == []


# Silences


@pytest.mark.parametrize("early", [True, False])
def test_when_a_silence_ends_its_cases_wait_for_a_dispatcher_from_then_on(desk: Desk, early: bool) -> None:
    given = silence(desk, hours=0.5)
    devices = [{"attributes": SMOKE["attributes"] | {"device_id": f"d{number}"}} for number in range(3)]
    kept, suspended, dispatched = (desk.open(**SMOKE | device) for device in devices)
    desk.act(suspended.id, "suspend", until="2025-03-03T09:10:00+08:00", reason="等待演练结束")
    desk.act(dispatched.id, "dispatch", department="441402-xf")
    desk.pass_time(minutes=20)
    look(desk)
    assert [(each.status, each.stage_due_at) for each in map(desk.case, (kept.id, suspended.id))] == [
        ("filed", None)
    ] * 2
    if early:
        silence_api.end_silence(given["id"], desk.key, desk.here, silence_api.Ending(reason="演练提前结束"))
    else:
        desk.pass_time(minutes=10)
    look(desk)
    for case in (kept, suspended):
        assert unmuted(desk, case) == [{"reason": "silence_ended"}]
        assert desk.case(case.id).stage_due_at == desk.now + 15 * 60_000
    assert unmuted(desk, dispatched) == []
    assert list_cases(desk.key, desk.here, muted=True)["items"] == []
    assert silence_api.show_silence(given["id"], desk.key, desk.here)["cases"] == 3
    desk.pass_time(minutes=16)
    look(desk)
    assert [entry["reason"] for entry in desk.entries(kept.id, "supervised")] == ["dispatch_overdue"]
    again = desk.open(**SMOKE | devices[0])
    assert (again.id, again.status) == (kept.id, "dispatched")
    assert desk.broken() == []


def test_the_end_of_one_silence_is_not_the_end_of_another_that_overlaps_it(desk: Desk) -> None:
    first, second = silence(desk, devices=["d1"]), silence(desk, devices=["d1"], hours=5, reason="设备检修")
    case = desk.open(**SMOKE)
    silence_api.end_silence(first["id"], desk.key, desk.here, silence_api.Ending(reason="演练提前结束"))
    look(desk)
    assert (unmuted(desk, case), shown(desk, case.id)["muted"]["silence_id"]) == ([], second["id"])
    assert [entry["silence"] for entry in desk.entries(case.id, "muted")] == [first["id"], second["id"]]
    desk.pass_time(hours=5)
    look(desk)
    assert unmuted(desk, case) == [{"reason": "silence_ended"}]
    assert desk.broken() == []


def test_what_is_silenced_is_kept_and_visible_and_nobody_is_sent_until_it_ends_by_itself(desk: Desk) -> None:
    given = silence(desk, types=["fire.smoke_alarm"], devices=["d1"])
    case = desk.open(**SMOKE, type="fire.smoke_alarm")
    other = desk.open(domain="fire", type="fire.smoke_alarm", attributes={"device_id": "d9"})
    assert (case.status, case.silence_id, desk.told(case.id), other.status) == ("filed", given["id"], [], "dispatched")
    assert shown(desk, case.id)["muted"]["reason"] == "消防演练"
    listed = list_cases(desk.key, desk.here, muted=True)["items"]
    assert [each["id"] for each in listed] == [case.id]
    (kept,) = silence_api.list_silences(desk.key, desk.here)["items"]
    assert (kept["state"], kept["author"], kept["cases"], kept["events"]) == ("active", "liu", 1, 1)
    desk.pass_time(hours=2)
    again = desk.open(**SMOKE, type="fire.smoke_alarm")
    assert again.status == "dispatched"
    assert silence_api.show_silence(given["id"], desk.key, desk.here)["state"] == "ended"
    entry = desk.rows(ledger, ledger.c.chain == CITY)[-1]
    assert (entry.action, entry.actor, json.loads(entry.data)["reason"]) == ("silence.set", "liu", "消防演练")
    assert desk.broken() == []


def test_the_gravest_are_never_silenced_not_even_when_they_join_a_silenced_case(desk: Desk) -> None:
    silence(desk)
    assert desk.open(**SMOKE, grade=2).status == "dispatched"
    quiet = desk.open(domain="fire", attributes=SMOKE["attributes"] | {"device_id": "d2"})
    assert quiet.status == "filed"
    joined = desk.open(domain="fire", grade=2, attributes=SMOKE["attributes"] | {"device_id": "d2"})
    assert (joined.id, joined.status, joined.grade) == (quiet.id, "dispatched", 2)


def test_a_silence_is_ended_with_a_reason_and_only_once(desk: Desk) -> None:
    given = silence(desk, divisions=["441402"])
    ended = silence_api.end_silence(given["id"], desk.key, desk.here, silence_api.Ending(reason="演练提前结束"))
    assert (ended["state"], ended["ended_by"], ended["end_reason"]) == ("ended", "liu", "演练提前结束")
    assert desk.open(**SMOKE).status == "dispatched"
    with pytest.raises(Problem) as refused:
        silence_api.end_silence(given["id"], desk.key, desk.here, silence_api.Ending(reason="再来"))
    assert refused.value.status == 409


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"domain": "nothing"}, "domain"),
        ({"types": ["fire.nothing"]}, "types"),
        ({"divisions": ["999999"]}, "divisions"),
        ({"hours": -1}, "ends_at"),
        ({"hours": 32 * 24}, "ends_at"),
    ],
)
def test_a_silence_that_says_nothing_sensible_is_refused(desk: Desk, given: dict[str, Any], field: str) -> None:
    with pytest.raises(Problem) as refused:
        silence(desk, **given)
    assert (refused.value.status, refused.value.errors[0].field) == (422, field)


def test_a_silence_needs_an_end_and_a_reason() -> None:
    with pytest.raises(ValidationError) as refused:
        NewSilence.model_validate({"domain": "fire"})
    assert {each["loc"][0] for each in refused.value.errors()} == {"reason", "ends_at"}


def test_an_operator_silences_only_what_is_theirs(desk: Desk) -> None:
    meijiang = Key("wang", Role.OPERATOR, frozenset({"fire"}), frozenset({"441402"}), frozenset())
    for given in ({"domain": "water"}, {}, {"divisions": ["441403"]}):
        with pytest.raises(Problem):
            silence(desk, meijiang, **given)
    own = silence(desk, meijiang, divisions=["441402"])
    elsewhere = Key("chen", Role.OPERATOR, frozenset(), frozenset({"441481"}), frozenset())
    assert silence_api.list_silences(elsewhere, desk.here)["items"] == []
    with pytest.raises(Problem) as refused:
        silence_api.show_silence(own["id"], elsewhere, desk.here)
    assert refused.value.status == 404
