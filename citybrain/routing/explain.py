"""Why an event would go where it would go: a decision's explanation with every rule and type that was tried.

A dry run for `citybrain explain`; nothing is recorded.
"""

from collections.abc import Callable, Sequence
from typing import Any

from citybrain.routing.condition import holds, shown
from citybrain.routing.context import Context
from citybrain.routing.decision import LOST, Decision
from citybrain.routing.reading import read
from citybrain.routing.report import Filed
from citybrain.routing.rules import rule_words, why_not

SHOWN = 200  # rules listed; terms are listed only where they occur, there are thousands

Decide = Callable[[Sequence[Filed], Context], list[Decision]]


def explain(event: Filed, context: Context, decide: Decide) -> dict[str, Any]:
    """The decision as JSON, with `tried`: each rule of the domain, whether it holds and what its tests saw."""
    decision = decide([event], context)[0]
    attributes = {**event.attributes, **decision.explanation.get("derived", {})}
    reading = read(event, context.catalogue)
    tried: list[dict[str, Any]] = []
    for rule in context.catalogue.rules[:SHOWN]:
        tests = [shown(test, attributes) | {"holds": holds(test, attributes)} for test in rule.row.when]
        entry = {"rule": rule.row.code, "type": rule.row.type, "priority": rule.row.priority, "when": tests}
        if rule.terms:
            entry["terms_found"] = rule_words(rule, reading)
        tried.append(entry | {"holds": why_not(rule, attributes, reading) is None})
    matched = [
        entry | {"why": LOST[entry["lost"]]._asdict()} if "lost" in entry else entry
        for entry in decision.explanation["type"]["matched"]
    ]
    return {
        "event": event.id,
        "decision": {
            "type": decision.type,
            "grade": decision.grade,
            "lead": decision.lead,
            "assist": list(decision.assist),
            "triage": decision.triage,
            "merge_key": decision.merge_key,
        },
        "explanation": decision.explanation | {"type": decision.explanation["type"] | {"matched": matched}},
        "tried": {
            "rules": tried,
            "rules_left_off": max(0, len(context.catalogue.rules) - SHOWN),
            "terms_found": sorted({match.words for match in reading.matches.values()}),
            "types": len(context.catalogue.types),
        },
    }
