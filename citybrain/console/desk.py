"""事件分拨台: every queue with its counts and ages, and the cases of one of them; kept fresh by fragments of itself."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Query, Request, Response
from sqlalchemy import Connection, func, select

from citybrain.access import Here
from citybrain.casework import reading
from citybrain.casework.case import Status
from citybrain.console import words
from citybrain.console.choices import Option, domains_of, place_name, queue_places
from citybrain.console.door import Visitor, page_routes, see
from citybrain.console.rendering import render
from citybrain.installation import Installation
from citybrain.intake.reading import SKEW_MS
from citybrain.keys import UNLOCATED, Key, May, cases_visible, within
from citybrain.store.dispatch_tables import UNSENT, deliveries
from citybrain.store.ids import earliest_id
from citybrain.store.tables import cases

PAGE = 50
ASKED = ("domain", "division", "department", "status", "overdue", "q", "sort")
COUNTS = tuple(words.COUNT)
COMMIT_MS = 1_000  # a case is opened a little before others can read it

Text = Annotated[str | None, Query(max_length=100)]
Filters = dict[str, str]

routes = page_routes()


@routes.get("/")
def front(request: Request, key: Visitor, here: Here) -> Response:
    if not key.may(May.READ_CASES) or (key.may(May.POST) and not key.may(May.QUEUES)):
        return see("/report")
    return _desk(request, key, here, "desk.html")


@routes.get("/cases")
def case_list(request: Request, key: Visitor, here: Here) -> Response:
    key.require(May.READ_CASES)
    return _desk(request, key, here, "desk.html")


@routes.get("/fragments/desk")
def fragment(
    request: Request, key: Visitor, here: Here, since: int = 0, shown: Annotated[str, Query(max_length=4000)] = ""
) -> Response:
    """The same tables once more: counts and queues, the rows that are shown, and how many cases are newer."""
    key.require(May.READ_CASES)
    return _desk(request, key, here, "_desk.html", since, [each for each in shown.split(",") if each][:PAGE])


def _desk(
    request: Request, key: Key, here: Installation, template: str, since: int = 0, shown: list[str] | None = None
) -> Response:
    asked_at = here.clock()
    filters = {name: text for name in ASKED if (text := request.query_params.get(name, "").strip()[:100])}
    with here.store.read() as tx:
        rows = _cases(tx, key, here, filters, request.query_params.get("cursor"), shown)
        queues = reading.queues(tx, key, here) if key.may(May.QUEUES) else []
        unsent = _unsent(tx, key, here) if key.may(May.READ_DISPATCH) else 0
        newer = _newer(tx, key, here, filters, since, shown or []) if since else 0
    return render(
        request,
        template,
        cases=rows,
        queues=_by_domain(queues, key, here),
        totals={name: sum(queue[name] for queue in queues) for name in COUNTS},
        unsent=unsent,
        newer=newer,
        asked_at=asked_at,
        filters=filters,
        href=lambda **changes: _href(filters, changes),
        queue_href=_queue_href,
        divisions=_places(queues, key, here),
        place_name=lambda code: place_name(here.city, code),
        own_domains=domains_of(key, here),
        titled=_title(filters, here),
    )


def _asked(filters: Filters) -> dict[str, Any]:
    asked: dict[str, Any] = {"sort": "due", "status": "open", **filters}
    asked["overdue"] = {"1": True, "true": True, "0": False, "false": False}.get(filters.get("overdue", ""))
    return asked


def _cases(
    tx: Connection, key: Key, here: Installation, filters: Filters, cursor: str | None, shown: list[str] | None
) -> dict[str, Any]:
    """A page of the queue; or, for a fragment, the cases that the reader has before them, wherever they are now."""
    if not shown:
        return reading.list_cases(tx, key, here, _asked(filters) | {"cursor": cursor, "limit": PAGE})
    mine = cases.c.id.in_(shown) & cases_visible(key, here.city)
    now = here.clock()
    rows = {row.id: reading.short(row, here.city, now) for row in tx.execute(select(cases).where(mine))}
    return {"items": [rows[each] for each in shown if each in rows], "next": None}


def _newer(tx: Connection, key: Key, here: Installation, filters: Filters, since: int, shown: list[str]) -> int:
    opened = (cases.c.opened_at > since - COMMIT_MS) & cases.c.id.not_in(shown)
    opened &= cases.c.id >= earliest_id(since - SKEW_MS)
    query = select(cases.c.id).where(cases_visible(key, here.city), opened)
    query = reading.filtered(query, here.city, _asked(filters), here.clock())
    return tx.execute(select(func.count()).select_from(query.subquery())).scalar_one()


def _unsent(tx: Connection, key: Key, here: Installation) -> int:
    wanted = UNSENT & within(key, here.city, deliveries)
    return tx.execute(select(func.count()).select_from(deliveries).where(wanted)).scalar_one()


def _by_domain(queues: list[dict[str, Any]], key: Key, here: Installation) -> list[dict[str, Any]]:
    """Every domain with every place, zeros included."""
    found = {(queue["domain"], queue["division"] or UNLOCATED): queue for queue in queues}
    blank: dict[str, Any] = dict.fromkeys(COUNTS, 0) | {"oldest_seconds": None}
    places = _places(queues, key, here)
    groups = []
    for domain in domains_of(key, here) if queues else []:
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


def _queue_href(count: str, domain: str = "", division: str = "") -> str:
    """Where a number leads: to exactly what it counts."""
    where = {name: code for name, code in (("domain", domain), ("division", division)) if code}
    if count in ("waiting", "quarantined"):
        return "/events?" + urlencode({"state": "received" if count == "waiting" else count, **where})
    chosen = {
        "triage": {"status": "triage"},
        "overdue": {"overdue": "1"},
        "working": {"status": ",".join(WORKING)},
    }.get(count, {})
    return "/cases?" + urlencode({**where, **chosen})


WORKING = [each.value for each in Status if each not in (Status.TRIAGE, Status.CLOSED, Status.VOID)]


def _href(filters: Filters, changes: dict[str, str | None]) -> str:
    """The same list with some filters changed; None takes one away."""
    kept = {name: text for name, text in (filters | changes).items() if text}
    return "/cases" + (f"?{urlencode(kept)}" if kept else "")


def _title(filters: Filters, here: Installation) -> str:
    parts = []
    if domain := here.domains.get(filters.get("domain", "")):
        parts.append(domain.manifest.domain.name)
    if division := filters.get("division"):
        parts.append(place_name(here.city, division))
    status = filters.get("status", "")
    if status in words.STATUS:
        parts.append(words.STATUS[status])
    if filters.get("overdue") in ("1", "true"):
        parts.append("超时")
    return " · ".join(parts) or "全部在办案件"
