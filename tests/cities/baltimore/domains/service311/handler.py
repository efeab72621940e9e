"""311 service requests: the service name a request comes with decides, by the rules of domain.toml alone."""

from collections.abc import Sequence

from citybrain.routing.context import Context
from citybrain.routing.decision import Decision
from citybrain.routing.report import Filed
from citybrain.routing.route import route


def decide(events: Sequence[Filed], context: Context) -> list[Decision]:
    return route(events, context)
