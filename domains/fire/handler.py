"""Fire 消防: a panel under test is no fire, and people trapped or hurt make a fire graver; the rules in domain.toml
decide."""

from collections.abc import Sequence
from typing import Any

from citybrain.routing.casualties import casualties
from citybrain.routing.context import Context
from citybrain.routing.decision import Decision
from citybrain.routing.report import Filed
from citybrain.routing.route import route


def decide(events: Sequence[Filed], context: Context) -> list[Decision]:
    return route(events, context, [facts(event) for event in events])


def facts(event: Filed) -> dict[str, Any]:
    """`testing` when the panel says it is not in its running state (GB 26875.3, state bit 0)."""
    found: dict[str, Any] = dict(casualties(event))
    if event.attributes.get("running") is False:
        found["testing"] = True
    return found
