"""The indicator at any moment is what a slow script computes on its own from an export; and it is fast."""

import random
import shutil
import time
from datetime import date
from pathlib import Path

import pytest
from desk import Desk
from fastapi.testclient import TestClient
from independent.coverage_by_hand import ByHand, export
from proven import DAY, MINUTE, Proven, moment

from citybrain.app import build
from citybrain.clock import rfc3339
from citybrain.indicators.scope import Scope
from citybrain.indicators.snapshots import history
from citybrain.installation import Installation
from citybrain.store.coverage_tables import domain_activity
from citybrain.store.tables import cases

FIRST, LAST = moment("2026-09-01"), moment("2027-03-01")
ASKED = 50
DOMAINS = ("grid", "fire", "emergency", "water", "environment")


def a_record(record: Proven, here: Installation, chance: random.Random) -> None:
    """Half a year of cases, most of them in twelve villages so that their evidence meets, none of them tidy."""
    villages = chance.sample(here.city.divisions.level("village"), 12)
    record.endpoint()
    record.endpoint("demo-ep", demo=True)
    for name, role, demo in (
        ("worker", "worker", False), ("demo-worker", "worker", True), ("op", "operator", False),
        ("dept", "system", False), ("demo-dept", "system", True),
    ):  # fmt: skip
        record.key(name, role, demo=demo, now=FIRST)
    for _ in range(900):
        place = _place(here, chance.choice(villages).code, chance)
        at = chance.randrange(FIRST, LAST)
        case = record.case(chance.choice(DOMAINS), at, chance.random() < 0.1, **place)

        def soon(at: int = at) -> int:
            return at + round(chance.expovariate(1 / 12) * DAY) + chance.randrange(30 * MINUTE)

        for _ in range(chance.choice((0, 1, 1, 2))):
            endpoint = chance.choice(("ep", "ep", "demo-ep"))
            message = record.delivered(case, soon(), endpoint, chance.choice((204, 204, 503, None)))
            if chance.random() < 0.2:
                record.delivered(case, soon(), endpoint, chance.choice((204, 503)), again=message)
        for _ in range(chance.choice((0, 1, 1, 2))):
            status = chance.choice(("completed", "completed", "completed", "accepted"))
            actor = chance.choice(("dept", "dept", "demo-dept", "gone"))
            record.completed(case, soon(), actor, status, effect=chance.random() < 0.9)
        for _ in range(chance.choice((0, 1, 1))):
            record.verified(case, soon(), chance.choice(("worker", "worker", "demo-worker", "op")))
        for _ in range(chance.choice((0, 0, 0, 0, 1, 2))):
            before, place = place, _place(here, chance.choice(villages).code, chance)
            moved = record.rows["cases"][-1]["updated_at"] + chance.randrange(20 * DAY)
            record.relocated(case, moved, before, place)
            record.rows["cases"][-1].update(place, updated_at=moved)
    for domain in DOMAINS:
        stop = chance.randrange(FIRST, LAST) if domain in ("fire", "grid") else None
        record.add(domain_activity, domain=domain, from_at=0, until_at=stop)
        if stop:
            record.add(domain_activity, domain=domain, from_at=stop + chance.randrange(40 * DAY), until_at=None)
    record.write()


def _place(here: Installation, village: str, chance: random.Random) -> dict[str, str | None]:
    path = here.city.divisions.path(village)
    depth = chance.choice((0, 1, 2, 3, 3, 3, 3))
    return {level: path[level] if index < depth else None for index, level in enumerate(("county", "town", "village"))}


def test_fifty_questions_answered_by_hand(desk: Desk, tmp_path: Path) -> None:
    chance = random.Random(20261123)
    here, record = desk.here, Proven(desk.here.store)
    desk.now = moment("2026-10-01")
    key = record.key("admin", "admin", now=FIRST - 1)
    a_record(record, here, chance)
    http = TestClient(build(here), headers={"Authorization": f"Bearer {key}"})
    _declare(http, chance)
    desk.now = LAST
    export(tmp_path / "citybrain.db", tmp_path / "export")
    by_hand = ByHand(tmp_path / "export", here.city.pack)
    seen = set()
    for number in range(ASKED):
        level = ("city", "county", "town", "village")[number % 4]
        division = chance.choice([None, _somewhere(here, chance, level)])
        at, demo = chance.randrange(FIRST, LAST), chance.random() < 0.3
        basis = chance.choice(["union", "topics", "preamble", "tasks"])
        asked = {"level": level, "at": rfc3339(at, here.city.zone), "include_demo": int(demo), "basis": basis}
        answer = http.get("/api/v1/indicators/coverage", params=asked | ({"division": division} if division else {}))
        assert answer.status_code == 200, answer.text
        got = answer.json()
        figures = (got["total"], got["declared"]["covered"], got["earned"]["covered"])
        assert figures == by_hand.figures(level, division, at, basis, demo), (asked, division)
        seen.add(figures)
        shown = [(each["declared"], each["earned"]) for each in got["industries"]]
        assert [sum(map(int, column)) for column in zip(*shown, strict=True)] == list(figures[1:])
    assert len(seen) > ASKED // 4, "the questions have different answers"
    assert sum(figures[2] > 0 for figures in seen) > 5


def _declare(http: TestClient, chance: random.Random) -> None:
    for code in ("police", "market", "justice"):
        body = {"level": "county", "divisions": ["441402", "441422"], "from": "2026-10-15", "approver": "甲"}
        body |= {"to": "2027-01-15"} if chance.random() < 0.5 else {"divisions": "all"}
        assert http.post(f"/api/v1/industries/{code}/declarations", json=body).status_code == 201


def _somewhere(here: Installation, chance: random.Random, level: str) -> str:
    """A division of the level that some case lies in, or any above it."""
    with here.store.read() as tx:
        codes = tx.execute(cases.select().with_only_columns(cases.c.village).distinct()).scalars().all()
    path = here.city.divisions.path(chance.choice(sorted(code for code in codes if code)))
    return path[chance.choice([each for each in path if each == level] * 3 + ["city"])]


@pytest.mark.long
def test_a_year_of_every_village_is_computed_in_seconds(desk: Desk) -> None:
    """2,269 villages x 11 industries x 365 days, each village with evidence every month in all five domains."""
    here, record = desk.here, Proven(desk.here.store)
    first, days = moment("2026-12-01"), 365
    record.key("worker", "worker", now=first)
    record.endpoint()
    for number, village in enumerate(here.city.divisions.level("village")):
        codes = {level: code for level, code in here.city.divisions.path(village.code).items() if level != "city"}
        for month in range(12):
            for domain in DOMAINS:
                record.whole(domain, first + (month * 30 + number % 28) * DAY, **codes)
    record.write()
    desk.now = first + days * DAY - 1
    scope = Scope(here.city, "village", None, here.city.divisions.level("village"), here.city.registry.bases["union"])
    with here.store.read() as tx:
        began = time.perf_counter()
        items = history(tx, here, scope, date(2026, 12, 1), date(2027, 11, 30), include_demo=False, recompute=True)
        took = time.perf_counter() - began
    print(f"{len(items)} days of {scope.total} units, {2269 * 12 * 5} cases: {took:.1f} s")
    assert len(items) == days
    assert items[100]["earned"]["covered"] == 2269 * 5


def test_the_script_reads_an_export_and_no_line_of_the_service(tmp_path: Path) -> None:
    source = (Path(__file__).parent.parent / "independent" / "coverage_by_hand.py").read_text()
    assert "import citybrain" not in source
    assert "from citybrain" not in source
    shutil.rmtree(tmp_path)
