"""大屏: the city at a glance on a large screen that nobody touches, for whoever may read the queues. What it shows is
counted by the same functions as the desk, the queues and the indicators; personal data and titles stay away from it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from fastapi import Request, Response
from sqlalchemy import Connection, Row, select

from citybrain.access import Here
from citybrain.casework import reading
from citybrain.clock import rfc3339
from citybrain.console.door import Visitor, page_routes
from citybrain.console.indicators.coverage_ladder import home
from citybrain.console.maps.groundmap import view_of
from citybrain.console.rendering import render, static_version
from citybrain.console.workbench.cards import cards_of
from citybrain.console.workbench.queuepage import by_domain
from citybrain.indicators.coverage import figures
from citybrain.indicators.days import begin_of, day_of
from citybrain.indicators.performance import RATES, Asked, performance, rates_of, total
from citybrain.indicators.scope import scope_of
from citybrain.installation import Installation
from citybrain.keys import Key, May, events_visible, narrowed
from citybrain.listing import LOOKED, page
from citybrain.store.tables import cases, events

NEWEST = 6
DOMAINS, PLACES = 8, 18  # that fit; the last line adds up the rest

routes = page_routes()


class Place(NamedTuple):
    """A division of the first level, and whatever lies in none."""

    name: str
    working: int  # open cases, those of triage included
    overdue: int


@routes.get("/wall")
def wall(request: Request, key: Visitor, here: Here) -> Response:
    key.require(May.QUEUES)
    shown = _state(key, here) | _figures(key, here)
    return render(request, "wall.html", version=static_version(), **shown)


@routes.get("/fragments/wall")
def state(request: Request, key: Visitor, here: Here) -> Response:
    """What changes by the second."""
    key.require(May.QUEUES)
    return render(request, "_wall.html", version=static_version(), **_state(key, here))


@routes.get("/fragments/wall/figures")
def indicators(request: Request, key: Visitor, here: Here) -> Response:
    """What changes by the hour, and costs more."""
    key.require(May.QUEUES)
    return render(request, "_wall_figures.html", **_figures(key, here))


def _state(key: Key, here: Installation) -> dict[str, Any]:
    with here.store.read() as tx:
        cards, queues = cards_of(tx, key, here), reading.queues(tx, key, here)
        newest = _newest(tx, key, here) if key.may(May.READ_EVENTS) else []
    groups = by_domain(queues, key, here)
    return {
        "cards": cards,
        "queues": groups[:DOMAINS],
        "queues_left": len(groups) - DOMAINS,
        "places": _places(groups),
        "newest": newest,
        "view": view_of(here),
        "as_of": rfc3339(here.clock(), here.city.zone),
    }


def _places(groups: list[dict[str, Any]]) -> list[Place]:
    """Each place over all domains, in the order of the queues; what does not fit is added up under an empty name."""
    found: dict[str, Place] = {}
    for row in (row for group in groups for row in group["rows"]):
        before = found.get(row["division"], Place(row["name"], 0, 0))
        open_ = before.working + row["working"] + row["triage"]
        found[row["division"]] = Place(row["name"], open_, before.overdue + row["overdue"])
    told, rest = list(found.values())[:PLACES], list(found.values())[PLACES:]
    return [*told, Place("", sum(each.working for each in rest), sum(each.overdue for each in rest))] if rest else told


def _newest(tx: Connection, key: Key, here: Installation) -> Sequence[dict[str, Any]]:
    columns = [events.c[name] for name in ("id", "domain", "type", "place", "received_at", "case_id", "demo")]
    query = select(*columns).where(events_visible(key, here.city))
    looked = LOOKED if narrowed(key) else None
    rows = page(tx, query, [(events.c.id, True)], None, NEWEST, Row._asdict, looked=looked)["items"]
    decided = select(cases.c.id, cases.c.type).where(cases.c.id.in_([row["case_id"] for row in rows if row["case_id"]]))
    types = {row.id: row.type for row in tx.execute(decided)}
    return [
        row | {"type": types.get(row["case_id"]) or row["type"], "at": rfc3339(row["received_at"], here.city.zone)}
        for row in rows
    ]


def _figures(key: Key, here: Installation) -> dict[str, Any]:
    """Coverage at this moment, and the rates of this day; nothing of the demonstration counts."""
    if not key.may(May.INDICATORS):
        return {"coverage": None}
    city, now = here.city, here.clock()
    scope = scope_of(city, key, None, home(key, city), None)
    today = Asked("domain", begin_of(day_of(now, city.zone), city.zone), now + 1, city.first_level, key, city)
    with here.store.read() as tx:
        found, _ = figures(tx, here, scope, [now], include_demo=False)
        counts = total(performance(tx, today).values())
    rates = rates_of(counts, after=False)
    return {
        "coverage": found.at(0),
        "coverage_of": scope.division.name if scope.division and scope.division.level != "city" else "",
        "rates": [(rate, rates[rate.code]) for rate in RATES],
    }
