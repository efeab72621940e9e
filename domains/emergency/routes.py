"""POST /cap: an alert in CAP 1.2 ends in the same intake as every report. docs/formats.md says what becomes of what."""

from typing import Any

import orjson
from fastapi import APIRouter
from sqlalchemy import func, select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from citybrain.access import Asker, Here
from citybrain.installation import Installation
from citybrain.intake.api import Intake, accepted, tell
from citybrain.intake.body import read_body
from citybrain.intake.foreign_id import foreign_id
from citybrain.keys import Key
from citybrain.store.tables import cases, events, receipts
from domains.emergency.alerting import DOMAIN, THREAD, Earlier, event_of, refused
from domains.emergency.cap import Alert, XmlError, decode

REFERENCES = 200  # of one alert that are looked up

routes = APIRouter(tags=["events 事件"])
_XML = {"application/cap+xml": {"schema": {"type": "string", "description": "a CAP 1.2 alert"}}}


@routes.post("/cap", openapi_extra={"requestBody": {"required": True, "content": _XML}}, status_code=202)
async def post_alert(request: Request, key: Asker, here: Here) -> Response:
    """Takes an alert 预警消息: 202, or 200 for one that is known. An update or cancellation joins the case of what it
    refers to; what is no actual alert is recorded, and dispatched to nobody."""
    intake: Intake = request.app.state.intake
    intake.admit(key)
    body = await read_body(request)
    raw, alert = await run_in_threadpool(_event, body, key, here)
    receipt = await intake.file_foreign(raw, key, alert.as_dict())
    tell(request, receipt)
    told = accepted(receipt) | {
        "cap": {name: raw["attributes"][f"cap_{name}"] for name in ("status", "message", "thread")}
    }
    return Response(orjson.dumps(told), 202 if receipt.outcome == "new" else 200, media_type="application/json")


def _event(body: bytes, key: Key, here: Installation) -> tuple[dict[str, Any], Alert]:
    try:
        alert = decode(body)
    except XmlError as error:
        raise refused(error.message, error.offset, error.line or 1) from None
    return event_of(alert, earlier_of(alert, key, here), here.domains[DOMAIN].catalogue.settings, here.city), alert


def earlier_of(alert: Alert, key: Key, here: Installation) -> Earlier | None:
    """The newest alert from the same source that this one refers to."""
    ids = [foreign_id(each.sender, each.identifier) for each in alert.references[-REFERENCES:]]
    if not ids:
        return None
    named = (receipts.c.source == key.name) & receipts.c.source_event_id.in_(ids)
    type_ = func.coalesce(cases.c.type, events.c.type).label("decided")
    columns = (events.c.source_event_id, events.c.title, events.c.location, events.c.attributes, type_)
    query = (
        select(*columns)
        .join(receipts, receipts.c.event_id == events.c.id)
        .join(cases, cases.c.id == events.c.case_id, isouter=True)
        .where(named)
        .order_by(events.c.id.desc())
        .limit(1)
    )
    with here.store.read() as tx:
        row = tx.execute(query).first()
    if row is None:
        return None
    kind = here.type_of(DOMAIN, row.decided)
    joins = kind is not None and any(THREAD in rule.attributes for rule in kind.row.merge)
    thread = row.attributes.get(THREAD, row.source_event_id)
    return Earlier(thread, row.decided if joins else None, row.title, row.location)
