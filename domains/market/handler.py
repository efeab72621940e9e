"""Market supervision 市场监管: what was weighed short and whose inspection is overdue is worked out here, the rules in
domain.toml decide."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from citybrain.routing.casualties import casualties
from citybrain.routing.condition import number
from citybrain.routing.context import Context
from citybrain.routing.decision import Decision
from citybrain.routing.report import Filed
from citybrain.routing.route import route


def decide(events: Sequence[Filed], context: Context) -> list[Decision]:
    return route(events, context, [facts(event) for event in events])


def facts(event: Filed) -> dict[str, Any]:
    """`short_percent` of the weight that was paid for; `inspection_overdue_days` on the day of the event."""
    found: dict[str, Any] = dict(casualties(event))
    short = short_percent(event.attributes)
    if short is not None:
        found["short_percent"] = short
    due = _day(event.attributes.get("inspection_due"))
    if due is not None:
        found["inspection_overdue_days"] = (event.occurred_at.date() - due).days
    return found


def short_percent(attributes: Mapping[str, Any]) -> float | None:
    """Negative where more was given than was paid for; None where it was not weighed."""
    claimed, measured = (number(attributes.get(name)) for name in ("weight_claimed_g", "weight_measured_g"))
    if claimed is None or measured is None or claimed <= 0 or measured < 0:
        return None
    return round(100 * (claimed - measured) / claimed, 1)


def _day(value: object) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
