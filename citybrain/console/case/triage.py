"""What no rule decided: who would be responsible where somebody points, for the type that somebody chooses, and why.
The panel that asks for both is part of the case's page."""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from fastapi import Query, Request, Response

from citybrain.access import Here
from citybrain.casework.hindrance import may
from citybrain.casework.reading import visible_case
from citybrain.console import choices
from citybrain.console.case import why
from citybrain.console.door import Form, Visitor, one, page_routes
from citybrain.console.maps.groundmap import view_of
from citybrain.console.problem_words import in_words
from citybrain.console.rendering import render
from citybrain.installation import Installation
from citybrain.intake.placing import place_of
from citybrain.keys import Key, May
from citybrain.problem import Problem, invalid

LEVELS = ("county", "town", "village", "cell")
LIKELY = 6  # types that are offered first

routes = page_routes()


class Suggestion(NamedTuple):
    """The place that was chosen, and who leads there for the type that was chosen, each as far as it is known."""

    place: Mapping[str, Any] | None
    department: str | None
    lines: list[str]
    said: list[str]


class Likely(NamedTuple):
    code: str
    name: str
    score: int | None


@routes.get("/fragments/triage")
def answer(request: Request, key: Visitor, here: Here, case: Annotated[str, Query(max_length=64)]) -> Response:
    """The suggestion for what stands in the panel of a case so far."""
    key.require(May.ACT)
    fields = {name: [text] for name, text in request.query_params.items() if text.strip() and "\x00" not in text}
    with here.store.read() as tx:
        row = visible_case(tx, case, key, here.city)
    return render(request, "_suggestion.html", suggestion=suggested(here, row.domain, fields, row.place))


def suggested(here: Installation, domain: str, fields: Form, present: Mapping[str, Any] | None) -> Suggestion:
    """`present` is the place that the case has now, where the panel names no other."""
    place, said = present, []
    try:
        if location := location_of(fields):
            place = place_of(location, here)
    except Problem as problem:
        place, said = None, in_words(problem)
    codes = {level: ((place or {}).get(level) or {}).get("code") for level in LEVELS}
    kind = here.type_of(domain, one(fields, "type"))
    if kind is None or not any(codes.values()):
        return Suggestion(place, None, [], said)
    found = here.responsibility.assign(kind.duty, kind.row.assist, domain, kind.row.level, codes)
    return Suggestion(place, found.lead, why.tried_departments(found.explanation, here), said)


def location_of(fields: Form) -> dict[str, Any]:
    """What a form says of a place; empty where it says nothing. A datum alone is nothing."""
    location: dict[str, Any] = {}
    for name, unit in _NUMBERS.items():
        if text := one(fields, name):
            try:
                location[name] = float(text)
            except ValueError:
                raise invalid(f"location.{name}", "must be a number", unit) from None
    if address := one(fields, "address"):
        location["address"] = address
    if codes := choices.chosen(fields):
        location["division_codes"] = codes
    if location and (datum := one(fields, "datum")):
        location["datum"] = datum
    return location


_NUMBERS = {"lng": "degrees", "lat": "degrees", "accuracy_m": "metres"}


def panel(here: Installation, key: Key, case: Mapping[str, Any], actions: list[str], fields: Form) -> dict[str, Any]:
    """For a case in triage: what it may be, where the map stands, and the suggestion so far. Empty for others."""
    action = next((each for each in ("dispatch", "file") if each in actions), None)
    if case["status"] != "triage" or action is None:
        return {}
    typed = fields or ({"type": [case["type"]]} if case["type"] else {})
    return {
        "deciding": action,
        "may_place": may(key, "relocate", here.city.practice),
        "likely": likely(case, here),
        "view": view_of(here),
        "suggestion": suggested(here, case["domain"], typed, case["place"]),
    }


def likely(case: Mapping[str, Any], here: Installation) -> list[Likely]:
    """The types that were thought of, the likeliest first, with what their words scored."""
    found = (case["explanation"] or {}).get("type") or {}
    scores: dict[str, int | None] = dict.fromkeys(found.get("guesses") or [])
    for each in found.get("matched") or []:
        if each.get("type") and (each.get("total") or each["type"] in scores):
            scores[each["type"]] = max(scores.get(each["type"]) or 0, each.get("total") or 0) or None
    kinds = [(here.type_of(case["domain"], code), score) for code, score in scores.items()]
    ranked = sorted((pair for pair in kinds if pair[0]), key=lambda pair: -(pair[1] or 0))
    return [Likely(kind.code, why.type_words(kind), score) for kind, score in ranked[:LIKELY] if kind]
