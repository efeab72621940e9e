"""Evaluation: every rate as numerator and denominator, equal to what a clerk finds who reads the whole ledger."""

import csv
import html
import io
import itertools
import random
import zipfile
from typing import Any, get_args

import pytest
from desk import Desk
from independent.evaluation_by_hand import evaluate
from postgres import both_stores

from citybrain.casework.amendment import load
from citybrain.casework.writing import write
from citybrain.indicators.days import begin_of, end_of, read_day
from citybrain.indicators.performance_api import Kind, Part, RateCode, show_behind, show_performance
from citybrain.keys import Key, Role, create_key
from citybrain.problem import Problem
from citybrain.store.ledger_tables import ledger
from citybrain.store.tables import events, work_orders

pytestmark = both_stores

FIRE = {"domain": "fire", "type": "fire.building_fire"}
KINDS, PARTS, RATE_CODES = get_args(Kind), get_args(Part), get_args(RateCode)
SECOND = {"lng": 116.31, "lat": 23.99, "datum": "wgs84"}


def asked(desk: Desk, by: Any = "domain", **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"from_": "2025-03-01", "to": "2025-04-30"} | more
    answer = show_performance(desk.key, desk.here, by, **given)
    assert isinstance(answer, dict)
    return answer


def judge(desk: Desk, order_id: str, against: str, outcome: str = "upheld") -> None:
    """What the judgement of an appeal leaves in the ledger."""
    order = desk.row(work_orders, work_orders.c.id == order_id)
    with desk.here.store.write() as tx:
        amendment = load(tx, order.case_id, "zhao", desk.now)
        told = {"department": order.department, "against": against, "outcome": outcome, "reason": "属实"}
        amendment.note("judged", work_order=order_id, **told)
        write(tx, [amendment], desk.here.city)


def figure(told: dict[str, Any], rate: str) -> tuple[Any, ...]:
    return tuple(told[rate][name] for name in ("numerator", "denominator", "percent"))


def test_a_fortnight_as_its_story_says(desk: Desk) -> None:
    in_time, late, never, ruined = desk.open(), desk.open(), desk.open(), desk.open()
    waiting = desk.open(description="嗯")
    desk.act(desk.open(description="嗯嗯").id, "void", reason="重复上报")
    for case in (in_time, ruined):
        desk.answer(desk.lead(case.id).id, "completed")
    desk.act(ruined.id, "verify", passed=False, reason="没有修好")
    desk.act(in_time.id, "verify", passed=True)
    desk.act(in_time.id, "close")
    desk.pass_time(days=10)
    late_order = desk.lead(late.id).id
    desk.answer(late_order, "completed")
    assert waiting.status == "triage"
    assert never.status == "dispatched"

    raw = asked(desk)["total"]["raw"]
    assert figure(raw, "filing") == (4, 6, 66.7)
    assert figure(raw, "handling") == (3, 5, 60.0)  # never and the rework are overdue
    assert figure(raw, "handling_in_time") == (2, 5, 40.0)
    assert figure(raw, "rework") == (1, 3, 33.3)
    assert figure(raw, "closing") == (1, 4, 25.0)
    assert figure(raw, "closing_in_time") == (1, 4, 25.0)

    judge(desk, late_order, "overdue")
    told = asked(desk)["total"]
    assert told["raw"] == raw  # the fact stays
    assert figure(told["after_appeals"], "handling") == (2, 4, 50.0)
    assert figure(told["after_appeals"], "handling_in_time") == (2, 4, 50.0)
    assert figure(told["after_appeals"], "closing") == (1, 3, 33.3)
    judge(desk, desk.orders(ruined.id)[0].id, "rework", "rejected")
    assert figure(asked(desk)["total"]["after_appeals"], "rework") == (1, 3, 33.3)
    judge(desk, desk.orders(ruined.id)[0].id, "rework")
    assert figure(asked(desk)["total"]["after_appeals"], "rework") == (0, 3, 0.0)


def live(desk: Desk, chance: random.Random, steps: int) -> None:
    """Departments and operators at work, as it comes."""
    open_cases: list[str] = []
    for _ in range(steps):
        desk.pass_time(hours=chance.choice((1, 5, 30)))
        given = chance.choice(({}, FIRE, {"location": SECOND}))
        open_cases.append(desk.open(**given).id)
        case = desk.case(chance.choice(open_cases))
        orders = [order for order in desk.orders(case.id) if order.status in ("sent", "accepted")]
        if orders and chance.random() < 0.7:
            for order in orders:
                desk.answer(order.id, "completed" if chance.random() < 0.9 else "returned")
        elif case.status == "completed":
            desk.act(case.id, "verify", passed=chance.random() < 0.5, reason="没有修好")
        elif case.status == "verified":
            desk.act(case.id, "close")
        elif case.status == "closed" and chance.random() < 0.5:
            desk.act(case.id, "reopen", reason="又坏了")
        elif case.status == "returned":
            desk.act(case.id, "dispatch", department="441402-zj")
        done = [order for order in desk.orders(case.id) if order.status == "completed"]
        if done and chance.random() < 0.2:
            judge(
                desk,
                chance.choice(done).id,
                chance.choice(("overdue", "rework")),
                chance.choice(("upheld", "rejected")),
            )


def test_it_is_what_a_clerk_finds_who_reads_the_whole_ledger(desk: Desk) -> None:
    live(desk, random.Random(7), 25)
    entries, reported = desk.rows(ledger), desk.rows(events)
    assert {"reworked", "judged", "closed"} <= {entry.action for entry in entries}
    whole = asked(desk)["total"]
    assert whole["raw"] != whole["after_appeals"]
    for first, last in (("2025-03-01", "2025-04-30"), ("2025-03-05", "2025-03-08"), ("2025-03-12", "2025-03-12")):
        told = asked(desk, from_=first, to=last)["total"]
        zone = desk.here.city.zone
        since, until = begin_of(read_day("from", first), zone), end_of(read_day("to", last), zone) + 1
        for kind in ("raw", "after_appeals"):
            by_hand = evaluate(entries, reported, since, min(until, desk.now + 1), kind == "after_appeals")
            assert {rate: figure(told[kind], rate)[:2] for rate in by_hand} == by_hand, (first, kind)


def test_every_division_of_the_total_adds_up_to_it(desk: Desk) -> None:
    live(desk, random.Random(8), 12)
    whole = asked(desk)["total"]
    for by in ("domain", "division", "department"):
        told = asked(desk, by)
        assert len(told["items"]) > 1
        for kind in ("raw", "after_appeals"):
            for rate, counts in whole[kind].items():
                if (by, rate) == ("department", "filing"):
                    continue
                summed = [
                    sum(item[kind][rate][name] for item in told["items"]) for name in ("numerator", "denominator")
                ]
                assert summed == [counts["numerator"], counts["denominator"]], (by, kind, rate)
    months = asked(desk, "month")["items"]
    assert [item["code"] for item in months] == ["2025-03", "2025-04"]
    towns = {item["code"] for item in asked(desk, "division", level="town")["items"]}
    assert towns == {row.town for row in desk.rows(events)}


def test_a_workers_figures_are_those_of_what_the_worker_reported(desk: Desk) -> None:
    with desk.here.store.write() as tx:
        for role, name in (("worker", "li"), ("source", "gateway")):
            create_key(tx, name, role, desk.now, "test")
    operator = desk.key
    for role, name in ((Role.WORKER, "li"), (Role.SOURCE, "gateway")):
        desk.key = Key(name, role, frozenset(), frozenset(), frozenset())
        case = desk.open()
        desk.key = operator
        desk.answer(desk.lead(case.id).id, "completed")
    (item,) = asked(desk, "worker")["items"]
    assert (item["code"], figure(item["raw"], "filing"), figure(item["raw"], "handling")) == (
        "li", (1, 1, 100.0), (1, 1, 100.0)
    )  # fmt: skip


def test_no_data_is_null_and_no_zero(desk: Desk) -> None:
    told = asked(desk)
    assert told["items"] == []
    assert {rate["percent"] for rate in told["total"]["raw"].values()} == {None}
    desk.open()
    assert figure(asked(desk)["total"]["raw"], "handling") == (0, 0, None)  # nothing is due yet
    assert {rate["code"] for rate in told["rates"]} == set(told["total"]["raw"])
    assert all(rate["formula"] and rate["formula_en"] for rate in told["rates"])
    assert "报告完成" in told["clock_end"]["zh"]


def test_a_key_gets_the_figures_of_its_divisions_and_the_demonstration_counts_only_when_asked(desk: Desk) -> None:
    desk.open()
    desk.open(location=SECOND)
    desk.key = Key("wang", Role.OPERATOR, frozenset(), frozenset({"441402"}), frozenset())
    assert figure(asked(desk)["total"]["raw"], "filing") == (1, 1, 100.0)
    desk.set(events, events.c.id.isnot(None), demo=True)
    assert figure(asked(desk)["total"]["raw"], "filing") == (0, 0, None)
    assert figure(asked(desk, include_demo=True)["total"]["raw"], "filing") == (1, 1, 100.0)
    desk.key = Key("dev", Role.SOURCE, frozenset(), frozenset(), frozenset())
    with pytest.raises(Problem):
        asked(desk)


@pytest.mark.parametrize("wrong", [{"from_": "2025-05-01"}, {"from_": "soon"}, {"level": "ward"}])
def test_what_is_no_period_or_level_is_told(desk: Desk, wrong: dict[str, Any]) -> None:
    with pytest.raises(Problem) as refused:
        asked(desk, "division", **wrong)
    assert refused.value.status == 422


def test_csv_and_workbook_say_the_same_as_json(desk: Desk) -> None:
    desk.answer(desk.lead(desk.open().id).id, "completed")
    desk.open(description="嗯")
    told = asked(desk)
    given: dict[str, Any] = {"from_": "2025-03-01", "to": "2025-04-30"}
    answer: Any = show_performance(desk.key, desk.here, "domain", format="csv", **given)
    assert answer.body.startswith("﻿".encode())
    head, *rows = csv.reader(io.StringIO(answer.body.decode("utf-8-sig")))
    assert len(head) == 2 + 2 * 6 * 3
    assert [row[0] for row in rows] == [*(item["code"] for item in told["items"]), "total"]
    assert dict(zip(head, rows[0], strict=True))["立案率 原始 %"] == "50.0"
    assert dict(zip(head, rows[0], strict=True))["结案率 原始 %"] == ""
    answer = show_performance(desk.key, desk.here, "domain", format="xlsx", **given)
    book = zipfile.ZipFile(io.BytesIO(answer.body))
    texts = book.read("xl/sharedStrings.xml").decode()
    assert "立案率 原始 %" in texts
    assert html.escape(told["rates"][1]["formula"]) in texts
    assert "attachment" in answer.headers["content-disposition"]


def test_behind_every_number_stand_the_very_rows_that_it_counts(desk: Desk) -> None:
    live(desk, random.Random(9), 12)
    period = {"from_": "2025-03-01", "to": "2025-04-30"}
    for by in ("domain", "department"):
        told = asked(desk, by)
        for item, of in [(told["total"], None), *((each, each["code"] or "none") for each in told["items"][:1])]:
            for kind, rate, part in itertools.product(KINDS, RATE_CODES, PARTS):
                given = {"by": by, "rate": rate, "part": part, "kind": kind, "of": of, "limit": 500, **period}
                found = show_behind(desk.key, desk.here, **given)["items"]
                if (by, rate) == ("department", "filing"):
                    assert found == []
                    continue
                assert sum(each["times"] for each in found) == item[kind][rate][part], given
    other = Key("other", Role.OPERATOR, frozenset({"water"}), frozenset(), frozenset())
    assert show_behind(other, desk.here, "handling", limit=500, **period)["items"] == []


def test_behind_a_number_comes_page_by_page(desk: Desk) -> None:
    for _ in range(5):
        desk.open()
    period = {"from_": "2025-03-01", "to": "2025-04-30"}
    first = show_behind(desk.key, desk.here, "filing", limit=3, **period)
    rest = show_behind(desk.key, desk.here, "filing", limit=3, cursor=first["next"], **period)
    ids = [each["event"]["id"] for each in first["items"] + rest["items"]]
    assert (len(set(ids)), len(ids), rest["next"]) == (5, 5, None)
    assert first["items"][0]["case"]["number"]
    months = show_behind(desk.key, desk.here, "filing", by="month", of="2025-03", **period)["items"]
    assert {each["event"]["id"] for each in months} == set(ids)
    assert show_behind(desk.key, desk.here, "filing", by="month", of="2025-04", **period)["items"] == []
