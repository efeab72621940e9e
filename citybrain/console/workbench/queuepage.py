"""Every queue 队列 with its counts and ages: each domain with each place, zeros included."""

from typing import Any

from fastapi import Request, Response

from citybrain.access import Here
from citybrain.casework import reading
from citybrain.console.choices import Option, domains_of, place_name, queue_places
from citybrain.console.door import Visitor, page_routes
from citybrain.console.rendering import render
from citybrain.console.texts import table
from citybrain.console.workbench.filters import counted
from citybrain.installation import Installation
from citybrain.keys import UNLOCATED, Key, May

COUNTS = tuple(table()["count"])

routes = page_routes()


@routes.get("/queues")
def queues_page(request: Request, key: Visitor, here: Here) -> Response:
    key.require(May.QUEUES)
    with here.store.read() as tx:
        queues = reading.queues(tx, key, here)
    return render(request, "queues.html", queues=by_domain(queues, key, here), counted=counted)


def by_domain(queues: list[dict[str, Any]], key: Key, here: Installation) -> list[dict[str, Any]]:
    found = {(queue["domain"], queue["division"] or UNLOCATED): queue for queue in queues}
    blank: dict[str, Any] = dict.fromkeys(COUNTS, 0) | {"oldest_seconds": None}
    places = _places(queues, key, here)
    groups = []
    for domain in domains_of(key, here):
        rows = [(found.get((domain.code, code)) or blank) | {"division": code, "name": name} for code, name in places]
        total = {name: sum(row[name] for row in rows) for name in COUNTS}
        ages = [row["oldest_seconds"] for row in rows if row["oldest_seconds"] is not None]
        total["oldest_seconds"] = max(ages, default=None)
        groups.append({"code": domain.code, "name": domain.name, "total": total, "rows": rows})
    return groups


def _places(queues: list[dict[str, Any]], key: Key, here: Installation) -> list[Option]:
    """Those that queues are told by, and whatever else has a queue with something in it."""
    places = queue_places(here.city, key)
    used = {queue["division"] or UNLOCATED for queue in queues if queue["oldest_seconds"] is not None}
    more = sorted(used - {place.code for place in places})
    return places + [Option(code, place_name(here.city, code)) for code in more]
