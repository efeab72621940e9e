"""Open311 GeoReport v2 (wiki.open311.org/GeoReport_v2) at /open311/v2: other software reports to the grid and asks what
became of it. A service request is an event, filed by the same intake; whether it is open is its case's to say."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime
from sqlalchemy import ColumnElement, Row, Select, func, or_, select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from citybrain.access import COOKIE, Here, asking, keyring_of
from citybrain.casework.case import ENDED
from citybrain.clock import rfc3339, to_ms
from citybrain.installation import Installation
from citybrain.intake.api import Intake, media_type, tell
from citybrain.intake.body import read_body
from citybrain.intake.reading import SKEW_MS
from citybrain.keys import Key, May, events_visible
from citybrain.listing import LOOKED
from citybrain.problem import Problem, not_found
from citybrain.store.ids import earliest_id
from citybrain.store.tables import cases, events, receipts
from domains.grid.open311_answer import Open311Route, answer, answer_one, refused
from domains.grid.open311_form import Form, event_of, one, public, read_form, repetition_id, services

BASE = "/open311/v2"
SPECIFICATION = "http://wiki.open311.org/GeoReport_v2"
DAYS_MS = 90 * 24 * 3600 * 1000  # as far as one question may reach
MOST = 1_000
WINDOW_MS = 10 * 60 * 1000  # a client that got no answer has sent again by then
KEYWORDS = 10
FINEST = ("cell", "village", "town", "county")
SHOWN = ("id", "type", "title", "description", "state", "received_at", "place", "location", "attributes")
SHOWN_OF_CASE = ("status", "type", "lead", "due_at", "closed_at", "updated_at")
FORM = "application/x-www-form-urlencoded"

Format = Literal["xml", "json"]
Words = Annotated[list[str] | None, Query(description="several separated by commas, or given several times")]
routes = APIRouter(prefix=BASE, tags=["Open311 GeoReport v2"], route_class=Open311Route)
forms = {BASE: refused}  # of what goes wrong outside the routes


async def _asker(request: Request, given: str | None) -> Key:
    """By the Authorization header, else by `api_key`; the protocol knows nothing else."""
    if given is None or "authorization" in request.headers:
        return await asking(request)
    return await keyring_of(request).checked(given)


async def _reader(request: Request, api_key: Annotated[str | None, Query(max_length=200)] = None) -> Key:
    key = await _asker(request, api_key)
    key.require(May.READ_EVENTS)
    return key


Reader = Annotated[Key, Depends(_reader)]


@routes.get("/discovery.{form}")
def discovery(form: Format, request: Request, here: Here) -> Response:
    """Where this city's service requests are taken; needs no key."""
    changed = rfc3339(here.opened_at, here.city.zone)
    endpoint = {
        "specification": SPECIFICATION,
        "url": f"{here.city.public_url}{BASE}",
        "changeset": changed,
        "type": "production",
        "formats": ["text/xml", "application/json"],
    }
    head = here.city.file.city
    contact = f"{head.name} {head.name_en}"
    keys = "citybrain keys create source NAME"
    shown = {"changeset": changed, "contact": contact, "key_service": keys, "endpoints": [endpoint]}
    return answer_one(request, "discovery", shown)


@routes.get("/services.{form}")
def list_services(form: Format, request: Request, here: Here) -> Response:
    """What may be reported; needs no key."""
    found = []
    for code, (_, kind) in services(here).items():
        row = kind.row
        words = [term for term in [*row.things, *row.terms] if not {"&", "/"} & set(term)]
        found.append(
            {
                "service_code": code,
                "service_name": row.name,
                "description": row.filing or row.name_en,
                "metadata": False,
                "type": "realtime",
                "keywords": ", ".join([row.name_en, *words][:KEYWORDS]),
                "group": row.class_,
            }
        )
    return answer(request, "services", "service", found)


@routes.get("/services/{code}.{form}")
def show_service(code: str, form: Format, request: Request, here: Here) -> Response:
    """No service asks for attributes; any may be sent."""
    if code not in services(here):
        raise Problem(404, f"service_code {code[:64]!r} was not found: see services.{form}")
    return answer_one(request, "service_definition", {"service_code": code, "attributes": []})


_PARAMETERS = (
    "api_key", "jurisdiction_id", "service_code", "lat", "long", "address_string", "address_id", "email", "device_id",
    "account_id", "first_name", "last_name", "phone", "description", "media_url", "attribute[CODE]",
)  # fmt: skip
_SCHEMA = {"type": "object", "required": ["service_code"], "properties": {n: {"type": "string"} for n in _PARAMETERS}}
_BODY = {"requestBody": {"required": True, "content": {FORM: {"schema": _SCHEMA}}}}


@routes.post("/requests.{form}", openapi_extra=_BODY)
async def post_request(form: Format, request: Request, here: Here) -> Response:
    """Files a service request. The same form again within ten minutes is the same request; an `Idempotency-Key`
    header says for longer that it is."""
    if media_type(request) not in (FORM, ""):
        raise Problem(415, f"send the request as {FORM}")
    fields = read_form(await read_body(request), request.url.query)
    key = await _asker(request, one(fields, "api_key"))
    intake: Intake = request.app.state.intake
    intake.admit(key)
    now, said = here.clock(), public(fields)
    under = request.headers.get("idempotency-key", "").strip() or await run_in_threadpool(
        id_of, said, _secret(request, fields), key, here, now
    )
    raw = event_of(fields, key, here, now) | {"source_event_id": under}
    receipt = await intake.file_foreign(raw, key, said)
    tell(request, receipt)
    made = {"service_request_id": receipt.id, "service_notice": None, "account_id": None}
    return answer(request, "service_requests", "request", [made], 201 if receipt.outcome == "new" else 200)


def _secret(request: Request, fields: Form) -> str:
    return request.headers.get("authorization") or one(fields, "api_key") or request.cookies.get(COOKIE, "")


def id_of(said: Form, secret: str, key: Key, here: Installation, now: int) -> str:
    """That of the window before, where the same form came in it: a repetition may come across the turn."""
    window = now // WINDOW_MS
    before = repetition_id(said, secret, window - 1)
    known = (receipts.c.source == key.name) & (receipts.c.source_event_id == before)
    with here.store.read() as tx:
        found = tx.execute(select(receipts.c.event_id).where(known)).first()
    return before if found else repetition_id(said, secret, window)


@routes.get("/tokens/{token}.{form}")
def show_token(token: str, form: Format, request: Request, key: Reader, here: Here) -> Response:
    """Ids are given at once, so that a token is the id itself."""
    if not requests_of(key, here, [events.c.id == token]):
        raise not_found("token")
    return answer(request, "service_requests", "request", [{"service_request_id": token, "token": token}])


@routes.get("/requests/{id_}.{form}")
def show_request(id_: str, form: Format, request: Request, key: Reader, here: Here) -> Response:
    """One service request, in a list."""
    rows = requests_of(key, here, [events.c.id == id_])
    if not rows:
        raise not_found("service request")
    return _requests(request, rows, here)


@routes.get("/requests.{form}")
def list_requests(
    form: Format,
    request: Request,
    key: Reader,
    here: Here,
    service_request_id: Words = None,
    service_code: Words = None,
    start_date: AwareDatetime | None = None,
    end_date: AwareDatetime | None = None,
    status: Words = None,
) -> Response:
    """The newest first, 1,000 at most, of 90 days at most: the last ones unless dates are given."""
    if service_request_id:
        wanted = _words(service_request_id)
        if len(wanted) > MOST:
            raise Problem(400, f"service_request_id: {len(wanted)} of them; ask for {MOST} at once at most")
        return _requests(request, requests_of(key, here, [events.c.id.in_(wanted)]), here)
    chosen = chosen_of(service_code, status)
    return _requests(request, requests_of(key, here, lasting(start_date, end_date, here.clock()), chosen), here)


def lasting(start_date: datetime | None, end_date: datetime | None, now: int) -> list[ColumnElement[bool]]:
    """Ids begin with their time: they lead to the rows, and when each was received decides."""
    start, end = _span(start_date, end_date, now)
    found = [events.c.received_at.between(start, end), events.c.id >= earliest_id(start - SKEW_MS)]
    return [*found, events.c.id < earliest_id(end + SKEW_MS)] if end_date else found


def chosen_of(service_code: list[str] | None, status: list[str] | None) -> list[ColumnElement[bool]]:
    chosen: list[ColumnElement[bool]] = []
    if service_code:
        chosen.append(func.coalesce(cases.c.type, events.c.type).in_(_words(service_code)))
    if status:
        chosen.append(or_(*map(_of_status, _words(status))))
    return chosen


def _words(given: list[str]) -> list[str]:
    return [word for text in given for each in text.split(",") if (word := each.strip())]


def _of_status(word: str) -> ColumnElement[bool]:
    if word not in ("open", "closed"):
        raise Problem(400, f"status: {word[:40]!r} is neither open nor closed")
    if word == "closed":
        return cases.c.status.in_(sorted(ENDED))
    return or_(cases.c.status.is_(None), cases.c.status.not_in(sorted(ENDED)))


def _span(start_date: datetime | None, end_date: datetime | None, now: int) -> tuple[int, int]:
    start = to_ms(start_date) if start_date else (to_ms(end_date) if end_date else now) - DAYS_MS
    end = to_ms(end_date) if end_date else min(start + DAYS_MS, now)
    if end - start > DAYS_MS:
        raise Problem(400, "start_date and end_date may not span more than 90 days")
    return max(start, 0), max(end, 0)


def requests_of(
    key: Key, here: Installation, of: Sequence[ColumnElement[bool]], chosen: Sequence[ColumnElement[bool]] = ()
) -> Sequence[Row[Any]]:
    """What the key may see of what the public may report; of what may be rare, no more rows are looked at than a page
    of any list looks at."""
    domains = sorted({domain for domain, _ in services(here).values()})
    mine = (events_visible(key, here.city), events.c.domain.in_(domains), *of)
    columns: list[ColumnElement[Any]] = [events.c[name] for name in SHOWN]
    columns += [cases.c[name].label(f"case_{name}") for name in SHOWN_OF_CASE]
    recent = select(events.c.id).where(*mine).order_by(events.c.id.desc()).limit(LOOKED).subquery()
    query: Select[Any] = (
        select(*columns)
        .join(recent, recent.c.id == events.c.id)
        .join(cases, cases.c.id == events.c.case_id, isouter=True)
        .where(*chosen)
        .order_by(events.c.id.desc())
        .limit(MOST)
    )
    with here.store.read() as tx:
        return tx.execute(query).all()


def _requests(request: Request, rows: Sequence[Row[Any]], here: Installation) -> Response:
    known = services(here)
    return answer(request, "service_requests", "request", [_shown(row, known, here) for row in rows])


def _shown(row: Row[Any], known: dict[str, Any], here: Installation) -> dict[str, Any]:
    """Nothing of who reported it."""
    zone, place = here.city.zone, row.place
    code = row.case_type or row.type
    kind = known[code][1] if code in known else None
    department = here.city.departments.get(row.case_lead or "")
    units = [place[level] for level in FINEST if place.get(level)]
    point = place.get("wgs84") or {}
    closed = row.case_status in ENDED
    changed = row.case_closed_at if closed and row.case_closed_at else row.case_updated_at
    return {
        "service_request_id": row.id,
        "status": "closed" if closed else "open",
        "status_notes": row.case_status or row.state,
        "service_name": kind.row.name if kind else None,
        "service_code": code,
        "description": row.description or row.title,
        "agency_responsible": department.name if department else None,
        "service_notice": None,
        "requested_datetime": rfc3339(row.received_at, zone),
        "updated_datetime": rfc3339(changed or row.received_at, zone),
        "expected_datetime": rfc3339(row.case_due_at, zone),
        "address": row.location.get("address") or ", ".join(unit["name"] for unit in units) or None,
        "address_id": units[0]["code"] if units else None,
        "zipcode": None,
        "lat": point.get("lat"),
        "long": point.get("lng"),
        "media_url": row.attributes.get("media_url"),
    }
