"""The grid worker's page: one report with one thumb, what became of the last ones, and cases to verify on site.

A report goes through the same intake as the API's; its number is made with the form, so that a double tap is one event.
"""

import re
import uuid
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query, Request, Response
from sqlalchemy import select

from citybrain.access import Here
from citybrain.casework import verifying
from citybrain.clock import rfc3339
from citybrain.console import choices
from citybrain.console.case.casepage import local_time
from citybrain.console.case.triage import location_of
from citybrain.console.door import Form, Posted, Visitor, one, page_routes, see
from citybrain.console.problem_words import in_words
from citybrain.console.rendering import render
from citybrain.installation import Installation
from citybrain.intake.api import Intake
from citybrain.keys import Key, May, events_visible
from citybrain.problem import Problem, invalid
from citybrain.store.tables import cases, events

LAST = 20
TO_VERIFY = 50
POSITIONS = "wgs84"  # what a browser says, where the key has no datum: an app shell may give another
CODE = re.compile(r"[（(]([^（()）]+)[)）]\s*$")  # a chosen type ends with its code

routes = page_routes()


@routes.get("/report")
def blank(request: Request, key: Visitor, here: Here, done: Annotated[str, Query(max_length=64)] = "") -> Response:
    if not key.may(May.POST):
        return see("/")
    return _page(request, key, here, {}, done=done)


@routes.get("/fragments/report")
def fragment(request: Request, key: Visitor, here: Here, done: Annotated[str, Query(max_length=64)] = "") -> Response:
    """What became of the last ones, of `done` in full, and what is to be verified now."""
    key.require(May.POST)
    return render(request, "_report_fragment.html", said=[], **_lists(key, here, done))


@routes.post("/report")
async def report(request: Request, key: Visitor, here: Here, fields: Posted) -> Response:
    key.require(May.POST)
    intake: Intake = request.app.state.intake
    try:
        filing = intake.check(_raw(fields, here), key)
        receipt = (await intake.commit([filing]))[0]
        if receipt.outcome == "conflict":
            raise Problem(409, "another event was posted under this source_event_id", id=receipt.id)
    except Problem as problem:
        if problem.status not in (409, 422, 503):
            raise
        fields = {name: texts for name, texts in fields.items() if problem.status != 409 or name != "source_event_id"}
        known = str(problem.extra.get("id", ""))
        return _page(request, key, here, fields, problem.status, in_words(problem), known)
    return see(f"/report?done={receipt.id}")


def _raw(fields: Form, here: Installation) -> dict[str, Any]:
    """The form as the API's event."""
    raw: dict[str, Any] = {"location": location_of(fields)}
    raw |= {name: text for name in ("source_event_id", "domain", "title", "description") if (text := one(fields, name))}
    raw["occurred_at"] = local_time(one(fields, "occurred_at") or "", "occurred_at", here.city)
    if chosen := one(fields, "type"):
        raw["type"] = _type(chosen, raw.get("domain", ""), here)
    if person := {name: text for name in ("name", "phone") if (text := one(fields, name))}:
        raw["reporter"] = person
    if not (raw.get("title") or raw.get("description")):
        raise invalid("title", "requires it", "say what it is about")
    return raw


def _type(chosen: str, domain: str, here: Installation) -> str:
    """The code of what was picked from the list, or typed as a name that only one type has."""
    if found := CODE.search(chosen):
        return found[1]
    known = here.domains.get(domain)
    named = (
        [kind.code for kind in known.catalogue.types.values() if chosen in (kind.row.name, kind.row.name_en)]
        if known
        else []
    )
    return named[0] if len(named) == 1 else chosen


def _page(
    request: Request,
    key: Key,
    here: Installation,
    fields: Form,
    status: int = 200,
    said: list[str] | None = None,
    done: str = "",
) -> Response:
    return form_page(request, key, here, "report.html", status, fields, said, **_lists(key, here, done))


def form_page(
    request: Request,
    key: Key,
    here: Installation,
    template: str,
    status: int = 200,
    fields: Form | None = None,
    said: list[str] | None = None,
    **lists: Any,
) -> Response:
    own, fields, now = choices.domains_of(key, here), fields or {}, here.clock()
    return render(
        request,
        template,
        status,
        fields={name: texts[0] for name, texts in fields.items()},
        said=said or [],
        own_domains=own,
        types={domain.code: choices.types(here, domain.code) for domain in own},
        regions=choices.regions(here.city),
        source_event_id=one(fields, "source_event_id") or f"web-{uuid.uuid4()}",
        local_now=datetime.fromtimestamp(now // 1000, here.city.zone).strftime("%Y-%m-%dT%H:%M"),
        datum=key.datum or POSITIONS,
        owner=key.name,
        **lists,
    )


def _lists(key: Key, here: Installation, done: str) -> dict[str, Any]:
    with here.store.read() as tx:
        mine = events_visible(key, here.city) & (events.c.source == key.name)
        columns = (events, cases.c.number, cases.c.status.label("case_status"), cases.c.lead)
        query = select(*columns).join(cases, cases.c.id == events.c.case_id, isouter=True).where(mine)
        last = [_told(row, here) for row in tx.execute(query.order_by(events.c.id.desc()).limit(LAST))]
        found = tx.execute(query.where(events.c.id == done)).first() if done else None
        to_verify: list[dict[str, Any]] = []
        if key.may(May.VERIFY):
            asked = {"division": None, "domain": None, "cursor": None, "limit": TO_VERIFY}
            to_verify = verifying.waiting(tx, key, here, asked)["items"]
    return {"answer": _told(found, here) if found else None, "last": last, "to_verify": to_verify}


def _told(row: Any, here: Installation) -> dict[str, Any]:
    department = here.city.departments.get(row.lead or "")
    return {
        "id": row.id,
        "title": row.title or row.description[:40],
        "domain": row.domain,
        "state": row.state,
        "place": row.place,
        "received_at": rfc3339(row.received_at, here.city.zone),
        "number": row.number,
        "case_id": row.case_id,
        "case_status": row.case_status,
        "department": department.name if department else None,
        "demo": row.demo,
    }
