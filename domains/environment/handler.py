"""Environment 生态环境: only a value flagged N (normal) may raise an event; how far it is over its limit is worked out
here, the rules in domain.toml decide."""

from collections.abc import Mapping, Sequence
from typing import Any

from citybrain.routing.condition import number
from citybrain.routing.context import Context
from citybrain.routing.decision import Decision
from citybrain.routing.report import Filed
from citybrain.routing.route import route

NORMAL = "N"
FAULTS = frozenset("DTB")  # device fault, over range, link fault; M, C, F and S mean that somebody is at the device


def decide(events: Sequence[Filed], context: Context) -> list[Decision]:
    return route(events, context, [facts(event) for event in events])


def facts(event: Filed) -> dict[str, Any]:
    """`exceedance` = value / limit of the worst normal reading, its `exceeded` pollutant and `medium`;
    `invalid` is `fault` or `service` where no reading is normal."""
    readings = _readings(event.attributes)
    if not readings:
        return {}
    normal = [reading for reading in readings if _flag(reading) == NORMAL]
    if not normal:
        return {"invalid": "fault" if any(_flag(reading) in FAULTS for reading in readings) else "service"}
    found: dict[str, Any] = {"invalid": "none"}
    ratio, worst = max(((exceedance(reading), reading) for reading in normal), key=lambda pair: pair[0])
    if ratio > 1:
        found |= {"exceedance": round(ratio, 3), "exceeded": str(worst.get("pollutant", ""))}
    return found


def exceedance(reading: Mapping[str, Any]) -> float:
    """Value over limit; where only a lower limit is broken (pH, dissolved oxygen), limit over value; 0 without both."""
    value, upper, lower = (number(reading.get(name)) for name in ("value", "limit", "limit_low"))
    if value is None:
        return 0.0
    over = value / upper if upper is not None and upper > 0 else 0.0
    if lower is not None and 0 < value < lower:
        return max(over, lower / value)
    return over


def _readings(attributes: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The readings of a frame, or the one whose fields are the attributes themselves."""
    listed = attributes.get("readings")
    if isinstance(listed, list):
        return [reading for reading in listed if isinstance(reading, Mapping)]
    return [attributes] if "flag" in attributes or "value" in attributes else []


def _flag(reading: Mapping[str, Any]) -> str:
    """Without a flag a value is not known to be normal."""
    return str(reading.get("flag", "")).strip().upper()
