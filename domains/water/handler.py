"""Water 水务: a level against the warning, guarantee and design levels gives the flood colour; no value is no level."""

from collections.abc import Mapping, Sequence
from typing import Any

from citybrain.routing.casualties import casualties
from citybrain.routing.condition import number
from citybrain.routing.context import Context
from citybrain.routing.decision import Decision
from citybrain.routing.report import Filed
from citybrain.routing.route import route

# A flood of so many years' return period counts as if the level had been reached.
ORANGE_YEARS, RED_YEARS = 20, 50
NO_LEVEL_ABOVE = 9000.0  # metres: all-ones fields of a station decode to such figures, no river lies there


def decide(events: Sequence[Filed], context: Context) -> list[Decision]:
    near = float(number(context.catalogue.settings.get("near_guarantee_m")) or 0.0)
    return route(events, context, [facts(event, near) for event in events])


def facts(event: Filed, near_guarantee_m: float) -> dict[str, Any]:
    """`flood_colour`, `over_warning_m` (metres, negative below), `no_value` where a station sent none."""
    found: dict[str, Any] = dict(casualties(event))
    attributes = event.attributes
    level = metres(attributes.get("water_level"))
    if level is None and "water_level" in attributes:
        found["no_value"] = True
    warning = metres(attributes.get("warning_level"))
    if level is not None and warning is not None:
        found["over_warning_m"] = round(level - warning, 3)
    if colour := flood_colour(level, attributes, near_guarantee_m):
        found["flood_colour"] = colour
    return found


def flood_colour(level: float | None, attributes: Mapping[str, Any], near_guarantee_m: float) -> str | None:
    warning, guarantee = metres(attributes.get("warning_level")), metres(attributes.get("guarantee_level"))
    highest = [metres(attributes.get(name)) for name in ("design_level", "crest_level")]
    tops = [top for top in highest if top is not None]
    years = number(attributes.get("return_period_years")) or 0.0
    if (level is not None and tops and level >= min(tops)) or years >= RED_YEARS:
        return "red"
    if (level is not None and guarantee is not None and level >= guarantee) or years >= ORANGE_YEARS:
        return "orange"
    if level is None:
        return None
    if guarantee is not None and level >= guarantee - near_guarantee_m:
        return "yellow"
    return "blue" if warning is not None and level >= warning else None


def metres(value: object) -> float | None:
    """A level in metres; None for what is missing, no number, or a field of all ones (`FF…`)."""
    if isinstance(value, str) and set(value.strip().casefold()) <= {"f"}:
        return None
    found = number(value)
    return None if found is None or abs(found) > NO_LEVEL_ABOVE else found
