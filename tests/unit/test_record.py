"""An explanation is kept short and comes back whole."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from citybrain.config import BUILTIN_CITY
from citybrain.domain import Domain, load_domains
from citybrain.routing.context import Context
from citybrain.routing.departments import load_departments
from citybrain.routing.record import Stamp, lengthen, shorten
from citybrain.routing.report import Filed
from citybrain.routing.responsibility import Responsibility
from geo.divisions import read_divisions

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
DOMAINS = load_domains({})
PLACES: list[dict[str, str | None]] = [
    {"county": "441402", "town": "441402004", "village": None, "cell": None},
    {"county": "441422", "town": None, "village": None, "cell": None},
    {"county": None, "town": None, "village": None, "cell": None},
]
EXAMPLES = [
    (domain.code, example)
    for domain in DOMAINS.values()
    for kind in domain.catalogue.types.values()
    for example in kind.row.examples
]
STAMP = Stamp(1_763_900_000_000, {"rules": "1.1 0123456789ab"}).as_dict()


@pytest.fixture(scope="module")
def responsibility() -> Responsibility:
    divisions = read_divisions(Path(BUILTIN_CITY) / "divisions.csv")
    return Responsibility(load_departments(Path(BUILTIN_CITY) / "departments.toml", divisions).values())


def kept(domain: Domain, event: Filed, responsibility: Responsibility) -> tuple[dict[str, Any], dict[str, Any]]:
    """The whole explanation of a decision, and what the record would keep."""
    decision = domain.decide([event], Context(domain.catalogue, responsibility, NOW))[0]
    stamp = STAMP | {"basis": {"rules": domain.rules}}
    return decision.explanation, json.loads(json.dumps(shorten(decision.explanation, event) | stamp))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    example=st.sampled_from(EXAMPLES),
    more=st.sampled_from(["", "，有人受伤", "，3人被困", "，路灯也不亮", "，已经处理好了"]),
    posted=st.booleans(),
    grade=st.sampled_from([None, 1, 2, 3, 4]),
    codes=st.sampled_from(PLACES),
)
def test_what_is_kept_gives_the_whole_explanation_back(
    responsibility: Responsibility,
    example: Any,
    more: str,
    posted: bool,
    grade: int | None,
    codes: dict[str, str | None],
) -> None:
    code, said = example
    domain = DOMAINS[code]
    event = Filed(
        id="1", domain=domain.code, occurred_at=NOW, title=said.title + more, description=said.description,
        attributes=dict(said.attributes), type=said.posted if posted else None, grade=grade, codes=codes,
        method="contains" if any(codes.values()) else "outside",
    )  # fmt: skip
    whole, short = kept(domain, event, responsibility)
    assert lengthen(short, event, domain.catalogue) == whole
    assert len(json.dumps(short)) < len(json.dumps(whole)) + len(json.dumps(STAMP))


def test_nothing_is_kept_that_stands_beside_it_or_in_the_pack_by_code(responsibility: Responsibility) -> None:
    event = Filed(id="1", domain="fire", occurred_at=NOW, title="居民楼三楼起火了", codes=PLACES[0], method="contains")
    _, short = kept(DOMAINS["fire"], event, responsibility)
    assert short["grade"] == {"value": 2}
    assert short["limit"] == {"amount": 15.0, "unit": "minutes"}
    assert short["department"]["tried"] == [{"level": "county", "department": "441402-xf"}]
    assert not {"domain", "version", "winner", "triage", "merge"} & short.keys()


def test_a_rule_that_was_tried_and_did_not_hold_is_kept_with_the_test_that_failed(
    responsibility: Responsibility,
) -> None:
    event = Filed(
        id="1", domain="fire", occurred_at=NOW, codes=PLACES[0], method="contains",
        attributes={"device_id": "d1", "states": ["fire"], "component_type": 40, "running": True},
    )  # fmt: skip
    _, short = kept(DOMAINS["fire"], event, responsibility)
    assert short["type"]["rule"] == "smoke_detector"
    tests = {rule.row.code: rule.row.when for rule in DOMAINS["fire"].catalogue.rules}
    failed = {code: int(why.partition(":")[2]) for code, why in short["type"]["unfired"].items()}
    assert failed
    assert all(1 <= number <= len(tests[code]) for code, number in failed.items())


def test_what_was_kept_whole_before_comes_back_as_it_was() -> None:
    old = {"winner": "posted", "domain": "grid", "version": "1.0", "type": {"by": "posted", "winner": "c01039"}}
    event = Filed(id="1", domain="grid", occurred_at=NOW)
    assert lengthen(old, event, None) == old


def test_a_condition_that_the_pack_no_longer_has_is_told_by_its_code() -> None:
    event = Filed(id="1", domain="grid", occurred_at=NOW)
    told = lengthen({"conditions": ["gone"]} | STAMP, event, None)
    assert told["conditions"] == [{"condition": "gone", "name": "gone"}]
