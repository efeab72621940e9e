"""What the map shows on its ground: where the cases of a queue are, the most pressing first; and of any point its cell,
the divisions above it and who is responsible there for what."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import orjson
from fastapi import Query, Request, Response
from sqlalchemy import Connection, Row, select

from citybrain.access import Here
from citybrain.casework import reading
from citybrain.casework.case import Status
from citybrain.console.choices import domains_of
from citybrain.console.door import Visitor, page_routes
from citybrain.console.maps.groundmap import Box, box_of
from citybrain.console.rendering import HEADERS, render
from citybrain.console.workbench.filters import Filters, asked, filters_of
from citybrain.installation import Installation
from citybrain.intake.placing import place_of
from citybrain.keys import Key, May, cases_visible
from citybrain.store.tables import PRESSING, cases

MOST = 2_000  # points at once: more would be a carpet
TYPES_NAMED = 6

Degrees = Annotated[float, Query(allow_inf_nan=False)]

routes = page_routes()


@routes.get("/fragments/points")
def points(request: Request, key: Visitor, here: Here, box: Annotated[str, Query(max_length=100)]) -> Response:
    """`{"points": [[id, lng, lat, level]], "more"}` of the queue that is asked for, inside west,south,east,north."""
    key.require(May.READ_CASES)
    with here.store.read() as tx:
        rows = nearby(tx, key, here, filters_of(request), box_of(box))
    now = here.clock()
    told = [[row.id, row.lng, row.lat, _level(row, now)] for row in rows[:MOST]]
    return Response(orjson.dumps({"points": told, "more": len(rows) > MOST}), headers=HEADERS, media_type=_JSON)


def nearby(tx: Connection, key: Key, here: Installation, filters: Filters, box: Box) -> Sequence[Row[Any]]:
    """The most pressing cases in a box, one more than is shown where there are more."""
    west, south, east, north = box
    columns = [cases.c[name] for name in ("id", "lng", "lat", "status", "due_at", "supervision")]
    inside = cases.c.lng.between(west, east) & cases.c.lat.between(south, north) & cases_visible(key, here.city)
    wanted = reading.filtered(select(*columns).where(inside), here.city, asked(filters), here.clock())
    return tx.execute(wanted.order_by(PRESSING, cases.c.id).limit(MOST + 1)).all()


_JSON = "application/json"


def _level(row: Row[Any], now: int) -> str:
    """As `countdown` names it."""
    if row.status == Status.TRIAGE:
        return "triage"
    if row.status == Status.SUSPENDED:
        return "paused"
    if row.status not in reading.TICKING or row.due_at is None:
        return "stopped"
    if row.due_at < now:
        return "overdue"
    return "soon" if row.supervision else "running"


class Answerable(NamedTuple):
    """A department and what it leads at a place."""

    name: str
    number: int
    types: list[str]


@routes.get("/fragments/place")
def place(request: Request, key: Visitor, here: Here, lng: Degrees, lat: Degrees) -> Response:
    """What lies at a point that somebody clicked."""
    key.require(May.READ_CASES)
    found = place_of({"lng": lng, "lat": lat, "datum": "wgs84"}, here)
    codes = {level: (found.get(level) or {}).get("code") for level in ("county", "town", "village", "cell")}
    somewhere = any(codes.values())
    answerable = _answerable(codes, key, here) if somewhere else {}
    return render(request, "_place.html", place=found, lng=lng, lat=lat, answerable=answerable)


def _answerable(codes: dict[str, str | None], key: Key, here: Installation) -> dict[str, list[Answerable]]:
    """By domain, who leads the most types there first; what nobody leads under an empty name."""
    told = {}
    for domain in domains_of(key, here):
        named: dict[str, list[str]] = {}
        for type_ in here.domains[domain.code].catalogue.types.values():
            lead = here.responsible(domain.code, type_.code, codes)
            named.setdefault(here.city.departments[lead].name if lead else "", []).append(type_.row.name)
        counts = Counter({name: len(types) for name, types in named.items()})
        told[domain.name] = [
            Answerable(name, number, list(dict.fromkeys(named[name]))[:TYPES_NAMED])
            for name, number in counts.most_common()
        ]
    return told
