"""事件分拨台: the queue on the left, the map in the middle, the case on the right; without script it is the list alone.

What changes is fetched again as fragments of the same page: the cards, the rows that somebody has before them, the next
rows, and how many cases are newer.
"""

from typing import Annotated

from fastapi import Query, Request, Response
from sqlalchemy import Connection, func, select

from citybrain.access import Here
from citybrain.casework import reading
from citybrain.casework.hindrance import may
from citybrain.console.choices import Option, domains_of, place_name, queue_places
from citybrain.console.door import Visitor, page_routes, see
from citybrain.console.maps.groundmap import view_of
from citybrain.console.rendering import render
from citybrain.console.workbench.bulkpage import ACTIONS
from citybrain.console.workbench.cards import cards_of
from citybrain.console.workbench.filters import Filters, asked, counted, filters_of, href, title
from citybrain.console.workbench.views import views_of
from citybrain.installation import Installation
from citybrain.intake.reading import SKEW_MS
from citybrain.keys import Key, May, cases_visible
from citybrain.listing import Cursor
from citybrain.store.ids import earliest_id
from citybrain.store.tables import cases

PAGE = 50
COMMIT_MS = 1_000  # a case is opened a little before others can read it

Ids = Annotated[str, Query(max_length=10_000)]

routes = page_routes()


@routes.get("/")
def front(request: Request, key: Visitor, here: Here) -> Response:
    if not key.may(May.READ_CASES) or (key.may(May.POST) and not key.may(May.QUEUES)):
        return see("/report")
    return _desk(request, key, here)


@routes.get("/cases")
def case_list(request: Request, key: Visitor, here: Here) -> Response:
    key.require(May.READ_CASES)
    return _desk(request, key, here)


def _desk(request: Request, key: Key, here: Installation) -> Response:
    filters = filters_of(request)
    cursor = request.query_params.get("cursor")
    with here.store.read() as tx:
        rows = reading.list_cases(tx, key, here, asked(filters) | {"cursor": cursor, "limit": PAGE})
        cards = cards_of(tx, key, here)
        saved = views_of(tx, key)
    return render(
        request,
        "desk.html",
        cases=rows,
        cards=cards,
        newer=0,
        asked_at=here.clock(),
        filters=filters,
        href=lambda **changes: href(filters, changes),
        counted=counted,
        views=saved,
        here_is=href(filters, {}),
        export=lambda ending: href(filters, {}, f"/exports/cases.{ending}"),
        divisions=_divisions(filters, key, here),
        own_domains=domains_of(key, here),
        titled=title(filters, here),
        view=view_of(here),
        bulk_actions={name: needs for name, needs in ACTIONS.items() if may(key, name, here.city.practice)},
    )


@routes.get("/fragments/desk")
def fragment(
    request: Request, key: Visitor, here: Here, since: int = 0, shown: Ids = "", known: Ids = "", cards: bool = False
) -> Response:
    """The rows that are named wherever they are now, how many cases came since that are not known, and the cards."""
    key.require(May.READ_CASES)
    filters = filters_of(request)
    ids = [each for each in shown.split(",") if each]
    now = here.clock()
    with here.store.read() as tx:
        mine = cases.c.id.in_(ids) & cases_visible(key, here.city)
        rows = [reading.short(row, here.city, now) for row in tx.execute(select(cases).where(mine))] if ids else []
        newer = _newer(tx, key, here, filters, since, known.split(",")) if since else 0
        numbers = cards_of(tx, key, here) if cards else {}
    found = {"items": rows, "next": None}
    return render(
        request, "_desk.html", cases=found, cards=numbers, newer=newer, asked_at=now, filters=filters, counted=counted,
        titled=title(filters, here), view=view_of(here),
    )  # fmt: skip


@routes.get("/fragments/cases")
def further(request: Request, key: Visitor, here: Here, cursor: Cursor = None) -> Response:
    """The list from here on."""
    key.require(May.READ_CASES)
    filters, now = filters_of(request), here.clock()
    with here.store.read() as tx:
        rows = reading.list_cases(tx, key, here, asked(filters) | {"cursor": cursor, "limit": PAGE})
    return render(
        request, "_cases.html", cases=rows, newer=0, asked_at=now, titled=title(filters, here),
        href=lambda **changes: href(filters, changes),
    )  # fmt: skip


def _newer(tx: Connection, key: Key, here: Installation, filters: Filters, since: int, known: list[str]) -> int:
    opened = (cases.c.opened_at > since - COMMIT_MS) & cases.c.id.not_in(known)
    opened &= cases.c.id >= earliest_id(since - SKEW_MS)
    query = select(cases.c.id).where(cases_visible(key, here.city), opened)
    query = reading.filtered(query, here.city, asked(filters), here.clock())
    return tx.execute(select(func.count()).select_from(query.subquery())).scalar_one()


def _divisions(filters: Filters, key: Key, here: Installation) -> list[Option]:
    """What the filter offers: the places of the queues, and the one that is asked for."""
    places = queue_places(here.city, key)
    code = filters.get("division")
    if code and code not in {each.code for each in places}:
        places = [*places, Option(code, place_name(here.city, code))]
    return places
