"""What patrol keeps of the latest evidence answers as the record itself does, at any moment of a record that grows."""

import json
import random
from typing import Any

import pytest
from desk import Desk
from postgres import both_stores
from proven import DAY, MINUTE, Proven, moment
from sqlalchemy import delete, insert, update
from test_coverage_by_hand import FIRST, LAST, a_record

from citybrain.indicators import latest
from citybrain.indicators.coverage import coverage
from citybrain.indicators.latest import Latest
from citybrain.indicators.scope import Scope, levels_of
from citybrain.store.coverage_tables import latest_evidence
from citybrain.store.database import Store
from citybrain.store.dispatch_tables import attempts
from citybrain.store.tables import cases, metadata

pytestmark = both_stores

HERE = {"county": "441402", "town": "441402004", "village": "441402004003"}
ELSEWHERE = {"county": "441403", "town": "441403100", "village": None}
TIME = {"cases": "opened_at", "work_orders": "created_at", "deliveries": "created_at", "feedbacks": "received_at"}


class Growing(Proven):
    """Written as time goes by; a case lies where it was before it was moved, until it is."""

    def write(self) -> None:
        opened = {row["id"]: row["opened_at"] for row in self.rows["cases"]}
        for row in self.rows["deliveries"]:
            row["created_at"] = opened[row["case_id"]]
        self.later = {name: sorted(rows, key=lambda row: _time(name, row)) for name, rows in self.rows.items()}
        first = {}
        for row in reversed([row for row in self.later["ledger"] if row["action"] == "relocated"]):
            first[row["chain"]] = json.loads(row["data"])["before"]
        self.places = [{level: row[level] for level in HERE} for row in self.later["cases"]]
        for row in self.later["cases"]:
            row.update(first.get(row["id"], {}), updated_at=row["opened_at"])

    def until(self, at: int) -> None:
        with self.store.write() as tx:
            for table in metadata.sorted_tables:
                rows = self.later.get(table.name, [])
                due = [row for row in rows if _time(table.name, row) <= at]
                self.later[table.name] = rows[len(due) :]
                for row in due:
                    tx.execute(insert(table), row)
                    if row.get("action") == "relocated":
                        place = json.loads(row["data"])["place"]
                        codes = {level: code and code["code"] for level, code in place.items()}
                        tx.execute(
                            update(cases).where(cases.c.id == row["chain"]).values(**codes, updated_at=row["at"])
                        )


def _time(table: str, row: dict[str, Any]) -> int:
    return int(row.get(TIME.get(table, "at"), 0)) + int(row.get("duration_ms", 0))


def _answers(desk: Desk, scope: Scope, demo: bool) -> Any:
    with desk.here.store.read() as tx:
        told = coverage(tx, desk.here, scope, desk.now, demo)
    for industry in told["industries"]:
        shown = industry.pop("evidence")
        industry["proof"] = {name: shown.get(name) for name in ("until", "demo")}  # several may hold as long
        industry["missing"] = sorted(industry["missing"], key=lambda each: each["code"])
    return told


@pytest.fixture
def compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute is as long as half a day, so that there is something new between two of patrol's rounds."""
    for name in ("SETTLED_MS", "LATE_MS", "STALE_MS"):
        monkeypatch.setattr(latest, name, getattr(latest, name) * 720)
    monkeypatch.setattr(latest, "SLICE_MS", 5 * DAY)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.usefixtures("compressed")
def test_what_is_kept_answers_as_the_record_does(desk: Desk, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chance = random.Random(seed)
    record = Growing(desk.here.store)
    a_record(record, desk.here, chance)
    asked_with_it, figures = 0, set()
    desk.now = FIRST
    while desk.now < LAST:
        _pass_time(desk, record, chance.randrange(4 * DAY))
        if chance.random() < 0.75:
            late = chance.choice((latest.LATE_MS, latest.LATER_MS))
            latest.keep(desk.here.store, desk.now, late, patience=chance.choice((0, 60, 60)))
        _pass_time(desk, record, chance.randrange(2 * DAY))
        scope, demo = _some_scope(desk, record, chance), chance.random() < 0.5
        with desk.here.store.read() as tx:
            asked_with_it += Latest.at(tx, desk.now, desk.now) is not None
        got = _answers(desk, scope, demo)
        with monkeypatch.context() as record_only:
            record_only.setattr(Latest, "at", lambda *_: None)
            said = _answers(desk, scope, demo)
        for mine, theirs in zip(got["industries"], said["industries"], strict=True):
            assert mine == theirs
        assert got == said
        figures.add((scope.level, got["earned"]["covered"]))
    assert asked_with_it > 25
    assert len(figures) > 15


def _pass_time(desk: Desk, record: Growing, span: int) -> None:
    desk.now += span
    record.until(desk.now)


def _some_scope(desk: Desk, record: Growing, chance: random.Random) -> Scope:
    city, level = desk.here.city, chance.choice(levels_of(desk.here.city))
    every, basis = city.divisions.level(level), city.registry.bases["union"]
    place = chance.choice(record.places)
    own = city.divisions.get(chance.choice([place["county"], place["town"], place["village"]]) or "")
    inside = tuple(each for each in every if own and city.divisions.covers(own.code, each.code))
    if not inside or chance.random() < 0.5:
        return Scope(city, level, None, every, basis)
    return Scope(city, level, own, inside, basis)


@pytest.fixture
def fire(desk: Desk) -> Proven:
    record = Proven(desk.here.store)
    desk.now = moment("2026-12-20")
    record.key("worker", "worker", now=moment("2026-11-23"))
    record.endpoint()
    return record


def _earned(desk: Desk, level: str = "county") -> int:
    scope = Scope(
        desk.here.city, level, None, desk.here.city.divisions.level(level), desk.here.city.registry.bases["union"]
    )
    return int(_answers(desk, scope, demo=False)["earned"]["covered"])


def test_what_was_committed_late_is_found_in_the_next_round_or_at_the_next_sweep(desk: Desk, fire: Proven) -> None:
    fire.write()
    latest.keep(desk.here.store, desk.now, patience=60)
    for late, place in ((latest.LATE_MS, HERE), (latest.LATER_MS, ELSEWHERE)):
        case = fire.case("fire", desk.now - late - 10 * MINUTE, **place)
        fire.delivered(case, desk.now - late - 9 * MINUTE)
        fire.completed(case, desk.now - late - 4_000)
        seen = _earned(desk)
        fire.write()
        assert _earned(desk) == seen, "nobody looks there until patrol has"
        desk.pass_time(seconds=10)
        latest.keep(desk.here.store, desk.now, late)
        assert _earned(desk) == seen + 1


def test_what_takes_long_is_gone_on_with_and_the_record_is_asked_meanwhile(desk: Desk, fire: Proven) -> None:
    for day, place in ((1, HERE), (2, ELSEWHERE)):
        fire.whole("fire", desk.now - day * DAY, **place)
    fire.write()
    rounds = 0
    while not latest.keep(desk.here.store, desk.now, patience=0):
        rounds += 1
        assert _earned(desk) == 2
        with desk.here.store.read() as tx:
            assert Latest.at(tx, desk.now, desk.now) is None
    assert rounds > 24
    with desk.here.store.read() as tx:
        assert Latest.at(tx, desk.now, desk.now) is not None
    opened = {row.county for row in desk.rows(latest_evidence, latest_evidence.c.kind == "opened")}
    assert opened == {HERE["county"], ELSEWHERE["county"]}
    assert _earned(desk) == 2


def test_nobody_keeps_it_and_the_answer_is_the_same(desk: Desk, fire: Proven) -> None:
    fire.whole("fire", moment("2026-12-19"), **HERE)
    fire.write()
    assert (desk.rows(latest_evidence), _earned(desk)) == ([], 1)
    latest.keep(desk.here.store, desk.now, patience=60)
    with desk.here.store.write() as tx:
        tx.execute(delete(attempts))
    assert _earned(desk) == 0, "the record decides, whatever is kept"
    desk.pass_time(minutes=11)
    with desk.here.store.read() as tx:
        assert Latest.at(tx, desk.now, desk.now) is None


def test_a_moment_of_the_past_is_not_answered_from_what_is_the_latest_now(desk: Desk, fire: Proven) -> None:
    for day in (10, 1):
        fire.whole("fire", desk.now - day * DAY, **HERE)
    fire.write()
    latest.keep(desk.here.store, desk.now, patience=60)
    county = desk.here.city.divisions.level("county")
    scope = Scope(desk.here.city, "county", None, county, desk.here.city.registry.bases["union"])
    with desk.here.store.read() as tx:
        told = coverage(tx, desk.here, scope, desk.now - 5 * DAY, include_demo=False)
    assert told["earned"]["covered"] == 1


def test_who_was_overtaken_while_it_looked_keeps_nothing(
    desk: Desk, fire: Proven, monkeypatch: pytest.MonkeyPatch
) -> None:
    fire.whole("fire", desk.now - DAY, **HERE)
    fire.write()
    latest.keep(desk.here.store, desk.now, patience=60)
    touched = latest._touched

    def emptied_meanwhile(tx: Any, *span: int) -> Any:
        with Store(desk.here.store.url).write() as other:
            other.execute(delete(latest_evidence))
        return touched(tx, *span)

    desk.pass_time(minutes=1)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(latest, "_touched", emptied_meanwhile)
        assert latest.keep(desk.here.store, desk.now) is False
    assert desk.rows(latest_evidence) == []
    assert latest.keep(desk.here.store, desk.now, patience=60) is True
    assert _earned(desk) == 1
