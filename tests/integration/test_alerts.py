"""The alert rules are PromQL over figures that /metrics really has, and say in two languages what to do."""

import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from desk import Desk
from posting import OK, claim, end, in_the_present
from prometheus_client.parser import text_string_to_metric_families

from citybrain.operations.metrics import Figures
from citybrain.store.dispatch_tables import deliveries
from citybrain.store.stream import number_committed
from citybrain.store.tables import events

RULES = yaml.safe_load((Path(__file__).parents[2] / "deploy/prometheus/alerts.yaml").read_text(encoding="utf-8"))
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
OURS_TO_ASK = {"up": {"job"}}  # Prometheus' own
CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture
def exported(desk: Desk) -> dict[str, set[str]]:
    """The labels of every figure, where something of each kind has happened."""
    in_the_present(desk)
    desk.here.broker_url = "redis://127.0.0.1:1"
    figures = Figures(desk.here, kept_seconds=0)
    figures.acknowledged.labels("single", "202").observe(0.01)
    figures.turned_away.labels("systems").inc()
    figures.text()
    desk.open(domain="fire", type="fire.building_fire")  # whose departments have no endpoint
    desk.endpoint("platform", domains=["grid"])
    for _ in range(3):
        desk.open()
    end(desk, claim(desk, limit=1), OK)
    failed = desk.rows(deliveries, deliveries.c.status == "pending")[0].id
    desk.set(deliveries, deliveries.c.id == failed, status="failed")
    waiting = desk.report({"domain": "water"}, {"domain": "fire"})
    desk.set(events, events.c.id == waiting[0], state="quarantined")
    desk.pass_time(minutes=2)
    with desk.here.store.write() as tx:
        number_committed(tx)
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(figures.text().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {"job", "instance"}).update(sample.labels)
    return found | OURS_TO_ASK


def test_every_alert_asks_for_figures_and_labels_that_there_are(exported: dict[str, set[str]]) -> None:
    for rule in ALERTS:
        asked: dict[str, set[str]] = {}
        grouped: set[str] = set()

        def visit(node: Any, asked: Any = asked, grouped: Any = grouped) -> None:
            if isinstance(node, promql_parser.VectorSelector):
                asked.setdefault(node.name, set()).update(matcher.name for matcher in node.matchers.matchers)
            elif isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
                grouped.update(node.modifier.labels)

        promql_parser.walk(promql_parser.parse(rule["expr"]), visit)
        assert asked, rule
        for name, labels in asked.items():
            assert name in exported, f"{rule['alert']}: /metrics has no {name}"
            assert labels <= exported[name], f"{rule['alert']}: {name} has {exported[name]}"
        assert grouped <= set().union(*(exported[name] for name in asked)), rule["alert"]
        shown = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        assert shown <= grouped, f"{rule['alert']} shows labels that its expression has not"


@pytest.mark.parametrize("rule", ALERTS, ids=[rule["alert"] for rule in ALERTS])
def test_every_alert_says_in_two_languages_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert set(rule["annotations"]) == {"summary", "summary_zh", "action", "action_zh"}
    for name, text in rule["annotations"].items():
        assert bool(CHINESE.search(text)) == name.endswith("_zh"), (name, text)


def test_no_alert_has_the_name_of_another() -> None:
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS)
