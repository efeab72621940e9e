"""Grid 网格: posted with the national digits alone, a report that names a component by its own number is a component
case 部件, else a matter 事项."""

from collections.abc import Sequence
from dataclasses import replace

from citybrain.routing.catalogue import Catalogue
from citybrain.routing.context import Context
from citybrain.routing.decision import Decision
from citybrain.routing.report import Filed
from citybrain.routing.route import route

DIGITS = 5  # of a national code


def decide(events: Sequence[Filed], context: Context) -> list[Decision]:
    return route([_with_letter(event, context.catalogue) for event in events], context)


def _with_letter(event: Filed, catalogue: Catalogue) -> Filed:
    """The national five digits alone stand for a component and a matter; a component's own number settles which."""
    code = event.type
    if code is None or len(code) != DIGITS or not code.isdigit():
        return event
    letters = "cm" if event.attributes.get("component_id") else "mc"
    known = next((letter + code for letter in letters if letter + code in catalogue.types), None)
    return replace(event, type=known) if known else event
