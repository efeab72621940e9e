"""Industry coverage: what is declared, what is earned, when it falls and what the answer says about why."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pytest
from desk import Desk
from fastapi.testclient import TestClient
from postgres import both_stores
from proven import DAY, MINUTE, Proven, moment
from sqlalchemy import delete, select, update

from citybrain.app import build
from citybrain.indicators.activity import note_changes
from citybrain.indicators.snapshots import differing, take_due
from citybrain.store.coverage_tables import coverage_snapshots, domain_activity
from citybrain.store.dispatch_tables import attempts
from citybrain.store.ledger_tables import ledger
from citybrain.store.tables import cases
from workers.patrol import sweep

pytestmark = both_stores

COUNTY, TOWN, VILLAGE = "441402", "441402004", "441402004003"
HERE = {"county": COUNTY, "town": TOWN, "village": VILLAGE}


@dataclass
class Office:
    """Where the indicator is read: a desk, a record written row by row, and its HTTP."""

    desk: Desk
    record: Proven
    http: TestClient
    admin: str

    def get(self, path: str, key: str | None = None, status: int = 200, **asked: Any) -> Any:
        answer = self.http.get(f"/api/v1{path}", params=asked, headers=_bearer(key or self.admin))
        assert answer.status_code == status, answer.text
        return answer.json()

    def post(self, path: str, body: Any, key: str | None = None, status: int = 201) -> Any:
        answer = self.http.post(f"/api/v1{path}", json=body, headers=_bearer(key or self.admin))
        assert answer.status_code == status, answer.text
        return answer.json()

    def coverage(self, **asked: Any) -> Any:
        return self.get("/indicators/coverage", **asked)

    def industry(self, code: str, **asked: Any) -> Any:
        return next(each for each in self.coverage(**asked)["industries"] if each["code"] == code)


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def office(desk: Desk) -> Iterator[Office]:
    record = Proven(desk.here.store)
    desk.now = moment("2026-12-20 12:00")
    admin = record.key("admin", "admin", now=moment("2026-11-23"))
    record.key("worker", "worker")
    record.endpoint()
    village = desk.here.city.divisions.get(VILLAGE)
    assert village is not None
    assert village.parent_code == TOWN
    return Office(desk, record, TestClient(build(desk.here)), admin)


def earned(answer: Any) -> Any:
    return answer["earned"]["covered"]


def codes(industry: Any) -> set[str]:
    return {each["code"] for each in industry["missing"]}


def test_one_whole_case_earns_its_industry_at_all_four_levels(office: Office) -> None:
    case = office.record.whole("fire", moment("2026-12-01 09:00"), **HERE)
    office.record.write()
    for level, division, total in (
        ("city", "441400", 11), ("county", COUNTY, 11), ("town", TOWN, 11), ("village", VILLAGE, 11),
    ):  # fmt: skip
        answer = office.coverage(level=level, division=division)
        assert (answer["level"], answer["division"], answer["total"]) == (level, division, total)
        assert answer["earned"] == {"covered": 1, "percent": 9.1}
        fire = next(each for each in answer["industries"] if each["code"] == "fire")
        assert fire["earned"] is True
        assert fire["evidence"]["case"]["id"] == case
        assert fire["evidence"]["delivery"]["endpoint"] == "ep"
        assert fire["evidence"]["demo"] is False
    assert office.coverage(level="city")["basis"] == {
        "code": "union", "name": "规划三处并集（11 项）", "name_en": "Union of the plan's three lists (11)",
        "source": office.coverage(level="city")["basis"]["source"], "industries": 11,
    }  # fmt: skip


def test_without_a_division_the_level_adds_up(office: Office) -> None:
    office.record.whole("fire", moment("2026-12-01"), **HERE)
    office.record.whole("grid", moment("2026-12-02"), county="441403", town="441403100", village=None)
    office.record.write()
    county = office.coverage(level="county")
    assert (county["total"], earned(county), county["division"]) == (88, 2, None)
    assert county["declared"] == {"covered": 40, "percent": 45.5}
    assert office.coverage(level="village")["total"] == 2269 * 11
    assert earned(office.coverage(level="village")) == 1
    assert earned(office.coverage(level="village", division=COUNTY)) == 1, "a division above the level: those inside"
    assert earned(office.coverage(level="village", division="441403")) == 0
    fire = office.industry("fire", level="county")
    assert (fire["declared"], fire["earned"], fire["evidence"]["division"]["code"]) == (8, 1, COUNTY)
    said = {"text": "窗口期内没有案件", "text_en": "No case within the window"}
    assert {"code": "no_case", **said, "divisions": 7} in fire["missing"]
    listed = office.get("/indicators/coverage/divisions", level="county")["items"]
    assert [row["earned"]["covered"] for row in listed] == [1, 1, 0, 0, 0, 0, 0, 0]


def test_a_village_also_needs_a_worker_who_verified(office: Office) -> None:
    at = moment("2026-12-01")
    case = office.record.case("water", at, **HERE)
    office.record.delivered(case, at + MINUTE)
    office.record.completed(case, at + 2 * MINUTE)
    office.record.key("op", "operator")
    office.record.verified(case, at + 3 * MINUTE, actor="op")
    office.record.write()
    assert office.industry("water", level="town", division=TOWN)["earned"] is True
    water = office.industry("water", level="village", division=VILLAGE)
    assert water["earned"] is False
    assert codes(water) == {"no_verification", "not_declared"}
    office.record.verified(case, at + DAY)
    office.record.write()
    water = office.industry("water", level="village", division=VILLAGE)
    assert water["earned"] is True
    assert water["evidence"]["verification"]["by"] == "worker"


def test_a_verification_leaves_the_window_like_the_rest(office: Office) -> None:
    """Verified on 1 December, worked once more on the 15th: the village falls first."""
    case = office.record.whole("water", moment("2026-12-01"), **HERE)
    office.record.delivered(case, moment("2026-12-15"))
    office.record.completed(case, moment("2026-12-15"))
    office.record.write()
    office.desk.now = moment("2027-01-20")
    for level, division, last in (("town", TOWN, "2027-01-13"), ("village", VILLAGE, "2026-12-30")):
        asked = {"level": level, "division": division, "from": "2026-12-25", "to": "2027-01-20"}
        items = office.get("/indicators/coverage/history", **asked)["items"]
        assert max(item["day"] for item in items if earned(item)) == last


def test_the_five_industries_without_a_domain_are_zeros_that_say_so(office: Office) -> None:
    answer = office.coverage(level="city")
    without = [each for each in answer["industries"] if not each["domains"]]
    assert len(without) == 5
    assert all(not each["declared"] and not each["earned"] and each["evidence"] == {} for each in without)
    assert all(codes(each) == {"no_domain", "not_declared"} for each in without)


def test_earned_falls_on_the_day_after_the_last_feedback_left_the_window(office: Office) -> None:
    """The feedback of 1 December, 9:30, holds until 31 December, 9:30."""
    case = office.record.case("fire", moment("2026-12-01 09:00"), **HERE)
    for day in range(60):
        office.record.delivered(case, moment("2026-12-01 09:01") + day * DAY)
    office.record.completed(case, moment("2026-12-01 09:30"))
    office.record.write()
    office.desk.now = moment("2027-01-20")
    for level, division in (("city", "441400"), ("county", COUNTY), ("town", TOWN)):
        asked = {"level": level, "division": division, "from": "2026-11-29", "to": "2027-01-02"}
        items = office.get("/indicators/coverage/history", **asked)["items"]
        assert [item["day"] for item in items if earned(item)] == [f"2026-12-{day:02}" for day in range(1, 31)]
        assert {item["declared"]["covered"] for item in items} == ({0} if level == "town" else {5})
        just = {"level": level, "division": division}
        assert earned(office.coverage(**just, at="2026-12-31T09:29:59.999+08:00")) == 1
        assert earned(office.coverage(**just, at="2026-12-31T09:30:00+08:00")) == 0
    fire = office.industry("fire", level="county", division=COUNTY, at="2027-01-02")
    assert fire["declared"] is True
    assert codes(fire) == {"no_feedback"}
    said = "窗口期（30 天）内没有办结反馈，最近一次在 2026-12-01，自 2026-12-31 起不再计入"
    assert fire["missing"][0]["text"] == said


def test_an_endpoint_that_fails_is_named_as_the_reason(office: Office) -> None:
    case = office.record.case("fire", moment("2026-12-01 09:00"), **HERE)
    first = office.record.delivered(case, moment("2026-12-01 09:01"))
    office.record.completed(case, moment("2026-12-20 09:30"))
    for day in range(2, 30):
        office.record.delivered(case, moment("2026-12-01 09:01") + day * DAY, status=503, again=first)
    office.record.write()
    office.desk.now = moment("2027-01-05")
    assert office.industry("fire", level="county", division=COUNTY, at="2026-12-30")["earned"] is True
    fire = office.industry("fire", level="county", division=COUNTY, at="2026-12-31")
    assert fire["earned"] is False
    assert fire["declared"] is True
    text = next(each["text"] for each in fire["missing"] if each["code"] == "no_delivery")
    assert "最近一次在 2026-12-01" in text
    assert "端点“ep”最近一次失败在 2026-12-30（timeout" in text


def test_a_replayed_delivery_proves_what_it_proved_before(office: Office) -> None:
    case = office.record.whole("fire", moment("2026-12-01"), **HERE)
    office.record.write()
    message = office.desk.row(attempts, attempts.c.at > 0).delivery_id
    office.record.delivered(case, moment("2026-12-19"), status=None, again=message)
    office.record.write()
    assert earned(office.coverage(level="village", division=VILLAGE, at="2026-12-10")) == 1


def test_a_domain_switched_off_falls_out_from_that_moment_on(office: Office) -> None:
    here = office.desk.here
    office.record.whole("fire", moment("2026-12-01"), **HERE)
    office.record.whole("grid", moment("2026-12-01"), **HERE)
    office.record.write()
    with here.store.write() as tx:
        note_changes(tx, here)
    office.desk.now = moment("2026-12-21 15:00")
    office.desk.here.domains = {code: domain for code, domain in here.domains.items() if code != "fire"}
    assert office.industry("fire", level="county", division=COUNTY)["earned"] is False, "at once, before it is noted"
    with here.store.write() as tx:
        note_changes(tx, here)
    office.desk.now += DAY
    history = office.get("/indicators/coverage/history", **{"level": "village", "from": "2026-12-18"})["items"]
    assert [earned(item) for item in history] == [2, 2, 2, 1, 1]
    fire = office.industry("fire", level="county", division=COUNTY)
    assert fire["declared"] is True
    said = {"text": "业务领域已停用（fire 自 2026-12-21）", "text_en": "The domain is off (fire since 2026-12-21)"}
    assert fire["missing"] == [{"code": "domain_off", **said, "divisions": 1}]
    assert ("patrol", "domain.deactivated") in office.desk.story("city")


def test_a_domain_that_comes_back_counts_again_from_then_on(office: Office) -> None:
    here, all_domains = office.desk.here, office.desk.here.domains
    office.record.whole("fire", moment("2026-12-01"), **HERE)
    office.record.write()
    for day, domains in ((20, all_domains), (22, {}), (24, all_domains)):
        office.desk.now, office.desk.here.domains = moment(f"2026-12-{day} 12:00"), domains
        with here.store.write() as tx:
            note_changes(tx, here)
            note_changes(tx, here)
    history = office.get("/indicators/coverage/history", **{"level": "town", "from": "2026-12-20"})["items"]
    assert [earned(item) for item in history] == [1, 1, 0, 0, 1]
    assert len(office.desk.rows(domain_activity, domain_activity.c.domain == "fire")) == 2


def test_demonstration_is_marked_and_counted_only_when_asked_for(office: Office) -> None:
    office.record.key("demo-worker", "worker", demo=True)
    office.record.whole("fire", moment("2026-12-01"), demo=True, **HERE)
    office.record.whole("water", moment("2026-12-01"), actor="demo-worker", **HERE)
    office.record.write()
    fire = office.industry("fire", level="county", division=COUNTY)
    assert fire["earned"] is False
    assert fire["evidence"]["demo"] is True
    assert codes(fire) == {"demo_only"}
    assert office.industry("water", level="county", division=COUNTY)["earned"] is True, "its case is real"
    assert office.industry("water", level="village", division=VILLAGE)["earned"] is False, "its verification is not"
    assert earned(office.coverage(level="village", division=VILLAGE, include_demo=1)) == 2


def test_what_came_too_late_or_from_another_case_proves_nothing(office: Office) -> None:
    at = moment("2026-12-10")
    late = office.record.case("fire", at, **HERE)
    office.record.delivered(late, at)
    office.record.completed(late, at, effect=False)
    sent, told = (office.record.case("grid", at, **HERE) for _ in range(2))
    office.record.delivered(sent, at)
    office.record.completed(told, at)
    nowhere = office.record.case("water", at)
    office.record.delivered(nowhere, at)
    office.record.completed(nowhere, at)
    office.record.write()
    assert earned(office.coverage(level="city")) == 0
    assert codes(office.industry("governance", level="city")) == {"not_one_case"}
    assert codes(office.industry("fire", level="city")) == {"no_feedback"}
    assert codes(office.industry("water", level="city")) == {"no_case"}, "outside the city is nowhere in it"


def test_a_case_counts_where_it_was_located_at_that_moment(office: Office) -> None:
    elsewhere = {"county": "441403", "town": None, "village": None}
    case = office.record.whole("fire", moment("2026-12-01"), **elsewhere)
    office.record.relocated(case, moment("2026-12-05"), HERE, elsewhere)
    office.record.write()
    assert earned(office.coverage(level="county", division=COUNTY, at="2026-12-04")) == 1
    assert earned(office.coverage(level="county", division="441403", at="2026-12-04")) == 0
    assert earned(office.coverage(level="county", division=COUNTY, at="2026-12-05")) == 0
    assert earned(office.coverage(level="county", division="441403", at="2026-12-05")) == 1


def test_bases_can_be_chosen_and_compared(office: Office) -> None:
    office.record.whole("grid", moment("2026-12-01"), **HERE)
    office.record.write()
    preamble = office.coverage(level="city", basis="preamble")
    assert (preamble["total"], earned(preamble), preamble["basis"]["code"]) == (6, 0, "preamble")
    assert [each["code"] for each in preamble["industries"]] == [
        "police", "housing", "emergency", "fire", "environment", "water",
    ]  # fmt: skip
    compared = {each["basis"]: (each["total"], earned(each)) for each in preamble["alternatives"]}
    assert compared == {"union": (11, 1), "topics": (6, 1), "preamble": (6, 0), "tasks": (9, 1)}
    wrong = office.coverage(level="city", basis="preambel", status=422)
    assert "did you mean preamble" in wrong["detail"]


def test_no_data_is_null_and_not_zero(office: Office) -> None:
    before_registry = office.coverage(level="city", at="2020-12-31")
    assert before_registry["total"] == 0
    assert before_registry["declared"] == before_registry["earned"] == {"covered": 0, "percent": None}
    before_record = office.coverage(level="city", at="2026-11-22")
    assert before_record["declared"] == {"covered": 5, "percent": 45.5}
    assert before_record["earned"] == {"covered": 0, "percent": None}
    assert office.coverage(level="city")["earned"] == {"covered": 0, "percent": 0.0}


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"level": "province"}, "level"),
        ({"level": "cell"}, "level"),
        ({"level": "county", "division": TOWN}, "level"),
        ({"at": "yesterday"}, "at"),
        ({"at": "2026-12-01T08:00:00"}, "at"),
        ({"at": "9999-12-31"}, "at"),
    ],
)
def test_a_question_that_means_nothing_is_refused_by_field(office: Office, asked: Any, field: str) -> None:
    assert office.coverage(**asked, status=422)["errors"][0]["field"] == field


def test_a_history_must_be_a_period(office: Office) -> None:
    for first, last in (("2026-12-02", "2026-12-01"), ("1900-01-01", "2026-12-01"), ("x", "2026-12-01")):
        office.get("/indicators/coverage/history", **{"level": "city", "from": first, "to": last}, status=422)


def test_an_operator_sees_only_its_divisions(office: Office) -> None:
    office.record.whole("fire", moment("2026-12-01"), **HERE)
    office.record.whole("fire", moment("2026-12-01"), county="441403", town="441403100", village=None)
    office.record.write()
    mine = office.record.key("op", "operator", divisions=[COUNTY])
    answer = office.coverage(level="county", key=mine)
    assert (answer["total"], earned(answer)) == (11, 1)
    office.coverage(level="county", division="441403", key=mine, status=404)
    office.coverage(level="city", division="441400", key=mine, status=404)
    assert office.coverage(level="city", key=mine)["declared"] == {"covered": 0, "percent": None}
    listed = office.get("/indicators/coverage/divisions", level="county", key=mine)
    assert [row["code"] for row in listed["items"]] == [COUNTY]


def test_evidence_of_another_domain_is_withheld(office: Office) -> None:
    office.record.whole("fire", moment("2026-12-01"), **HERE)
    office.record.write()
    key = office.record.key("water-op", "operator", domains=["water"])
    assert office.industry("fire", level="county", division=COUNTY, key=key)["evidence"].keys() == {"withheld"}


@pytest.mark.parametrize(
    ("role", "status"),
    [("source", 403), ("worker", 403), ("system", 403), ("operator", 200), ("auditor", 200), ("admin", 200)],
)
def test_who_may_read_the_indicator(office: Office, role: str, status: int) -> None:
    key = office.record.key("who", role)
    office.coverage(level="city", key=key, status=status)
    office.get("/indicators/coverage/history", level="city", key=key, status=status)
    assert len(office.get("/industries", key=key)["items"]) == 11
    body = {"level": "city", "divisions": "all", "from": "2026-12-20", "approver": "甲"}
    office.post("/industries/police/declarations", body, key=key, status=201 if role == "admin" else 403)


def test_a_declaration_counts_from_its_day_and_stands_in_the_ledger(office: Office) -> None:
    body = {"level": "town", "divisions": [TOWN], "from": "2026-12-22", "approver": "市政数局 局长"}
    made = office.post("/industries/market/declarations", body)
    assert (made["approver"], made["registered_in"], made["in_force"]) == ("市政数局 局长", "record", False)
    office.desk.now = moment("2026-12-28 10:00")
    ask = {"level": "town", "division": TOWN}
    assert not office.industry("market", **ask, at="2026-12-21")["declared"]
    assert office.industry("market", **ask, at="2026-12-22")["declared"]
    path = f"/industries/market/declarations/{made['id']}/end"
    office.post(path, {"reason": "x"}, status=422)
    office.post(path, {"reason": "x", "approver": "甲", "to": "2026-12-24"}, status=422)
    office.post(path, {"reason": "机构调整", "approver": "市政数局 局长"}, status=200)
    assert office.industry("market", **ask)["declared"], "its last day is today"
    assert not office.industry("market", **ask, at="2026-12-29")["declared"]
    assert office.coverage(**ask, at="2026-12-29")["projected"] is True
    actions = [row.action for row in office.desk.rows(ledger, ledger.c.chain == "city")]
    assert actions[-2:] == ["registry.declared", "registry.ended"]
    assert not office.desk.broken()


@pytest.mark.parametrize(
    ("changed", "status", "said"),
    [
        ({"approver": None}, 422, "approver"),
        ({"approver": " "}, 422, "approver"),
        ({"level": "cell"}, 422, "level"),
        ({"divisions": ["441499"], "level": "county"}, 422, "divisions of this city"),
        ({"divisions": [TOWN], "level": "county"}, 422, "is a town"),
        ({"divisions": []}, 422, "divisions"),
        ({"from": "2026-12-01"}, 422, "not declared afterwards"),
        ({"from": "2019-12-01"}, 422, "when the registry begins"),
        ({"to": "2026-12-01"}, 422, "not before"),
        ({"level": "city"}, 409, "already"),
    ],
)
def test_a_declaration_with_a_mistake_is_refused(office: Office, changed: Any, status: int, said: str) -> None:
    body = {"level": "town", "divisions": "all", "from": "2026-12-20", "approver": "甲"} | changed
    body = {name: value for name, value in body.items() if value is not None}
    assert said in office.post("/industries/fire/declarations", body, status=status)["detail"]
    office.post("/industries/fier/declarations", body, status=404)


def test_snapshots_are_taken_once_and_are_what_the_record_gives(office: Office) -> None:
    office.record.whole("fire", moment("2026-12-01"), **HERE)
    office.record.write()
    sweep(office.desk.here, office.desk.here.store)
    taken = office.desk.rows(coverage_snapshots)
    assert len({row.day for row in taken}) == 27
    assert max(row.day for row in taken) == "2026-12-19"
    assert len(taken) == 27 * 4 * 4
    assert take_due(office.desk.here) == 0
    history = office.get("/indicators/coverage/history", **{"level": "village", "from": "2026-11-30"})["items"]
    assert [item["source"] for item in history] == ["snapshot"] * 20 + ["record"]
    again = office.get("/indicators/coverage/history", **{"level": "village", "from": "2026-11-30", "recompute": 1})[
        "items"
    ]
    assert [item["earned"] for item in history] == [item["earned"] for item in again]
    assert not any(item.get("differs") for item in again)


def test_a_record_that_was_changed_afterwards_differs_from_its_snapshot(office: Office) -> None:
    case = office.record.whole("fire", moment("2026-12-01"), **HERE)
    office.record.write()
    take_due(office.desk.here)
    with office.desk.here.store.write() as tx:
        tx.execute(update(cases).where(cases.c.id == case).values(village=None))
    with office.desk.here.store.read() as tx:
        found = differing(tx, office.desk.here, date(2026, 12, 1), date(2026, 12, 2))
    bases = ("union", "topics", "preamble", "tasks")
    assert any("every snapshot of coverage" in line for line in office.desk.broken())
    assert found == [f"2026-12-0{day} village {basis}" for day in (1, 2) for basis in bases]


def test_a_day_is_settled_before_its_snapshot_is_taken(office: Office) -> None:
    office.desk.now = moment("2026-11-24 00:05")
    assert take_due(office.desk.here) == 0
    office.desk.now = moment("2026-11-24 00:10")
    assert take_due(office.desk.here) == 1


def test_the_registry_that_was_loaded_is_in_the_ledger_once(office: Office) -> None:
    here = office.desk.here
    for _ in range(2):
        sweep(here, here.store)
    registry = here.city.registry
    others = {code: each.model_copy(update={"declared": []}) for code, each in registry.industries.items()}
    here.city = replace(here.city, registry=replace(registry, industries=others))
    sweep(here, here.store)
    with here.store.read() as tx:
        loaded = tx.execute(select(ledger.c.data).where(ledger.c.action == "registry.loaded")).scalars().all()
    assert len(loaded) == 2


def test_without_a_note_of_activity_the_installed_domains_were_always_active(office: Office) -> None:
    office.record.whole("fire", moment("2026-12-01"), **HERE)
    office.record.write()
    before = earned(office.coverage(level="town", division=TOWN, at="2026-12-05"))
    sweep(office.desk.here, office.desk.here.store)
    assert before == earned(office.coverage(level="town", division=TOWN, at="2026-12-05")) == 1
    with office.desk.here.store.write() as tx:
        tx.execute(delete(domain_activity))
