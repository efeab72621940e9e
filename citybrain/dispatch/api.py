"""Endpoints for the administrator, deliveries for whoever has to know what was sent and what was not."""

from typing import Any

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel, ValidationError
from sqlalchemy import ColumnElement, Connection, select, true, update

from citybrain.access import Asker, Here, JsonBody, described
from citybrain.clock import to_ms
from citybrain.dispatch import endpoint as endpoint_
from citybrain.dispatch.attempts import with_attempts
from citybrain.dispatch.outbox import hold_back, lane_at
from citybrain.installation import Installation
from citybrain.keys import Key, May, narrowed, within
from citybrain.listing import LOOKED, Cursor, Limit, Word, page
from citybrain.problem import Problem, field_errors, not_found
from citybrain.queue import DISPATCH
from citybrain.store.dispatch_tables import STILL_PENDING, UNSENT, deliveries, endpoints
from citybrain.store.ledger import Entry, append_to_city
from citybrain.store.locks import Lock, take

routes = APIRouter(prefix="/api/v1", tags=["dispatch 推送"])


class Since(BaseModel):
    since: AwareDatetime


@routes.post("/endpoints", status_code=201, openapi_extra=described(endpoint_.EndpointChange))
def create_endpoint(key: Asker, here: Here, body: JsonBody) -> dict[str, Any]:
    """The answer carries the signing `secret`, this once."""
    key.require(May.MANAGE)
    change = endpoint_.parse_change(body, here)
    with here.store.write() as tx:
        endpoint_id = endpoint_.create(tx, change, here.city, key.name, here.clock(), demo=key.demo)
        row = endpoint_.find(tx, endpoint_id)
    here.ringer.ring(DISPATCH)
    return endpoint_.as_dict(row, here.city) | {"secret": row.secrets[0]["secret"]}


@routes.get("/endpoints")
def list_endpoints(key: Asker, here: Here, cursor: Cursor = None, limit: Limit = 50) -> dict[str, Any]:
    key.require(May.READ_DISPATCH)
    query = select(endpoints).where(endpoints.c.deleted_at.is_(None), _visible_endpoints(key, here))
    with here.store.read() as tx:
        order = [(endpoints.c.name, False), (endpoints.c.id, False)]
        return page(tx, query, order, cursor, limit, lambda row: endpoint_.as_dict(row, here.city))


@routes.get("/endpoints/{endpoint_id}")
def show_endpoint(endpoint_id: str, key: Asker, here: Here) -> dict[str, Any]:
    key.require(May.READ_DISPATCH)
    with here.store.read() as tx:
        visible = select(endpoints.c.id).where(endpoints.c.id == endpoint_id, _visible_endpoints(key, here))
        if tx.execute(visible).first() is None:
            raise not_found("endpoint")
        return endpoint_.as_dict(endpoint_.find(tx, endpoint_id), here.city)


@routes.patch("/endpoints/{endpoint_id}", openapi_extra=described(endpoint_.EndpointChange))
def patch_endpoint(endpoint_id: str, key: Asker, here: Here, body: JsonBody) -> dict[str, Any]:
    key.require(May.MANAGE)
    change = endpoint_.parse_change(body, here)
    with here.store.write() as tx:
        endpoint_.change_endpoint(tx, endpoint_id, change, here.city, key.name, here.clock())
        row = endpoint_.find(tx, endpoint_id)
    here.ringer.ring(DISPATCH)
    return endpoint_.as_dict(row, here.city)


@routes.delete("/endpoints/{endpoint_id}", status_code=204)
def delete_endpoint(endpoint_id: str, key: Asker, here: Here) -> Response:
    """What it had not received waits for the department's next endpoint."""
    key.require(May.MANAGE)
    with here.store.write() as tx:
        endpoint_.delete(tx, endpoint_id, key.name, here.clock())
    return Response(status_code=204)


@routes.post("/endpoints/{endpoint_id}/test", status_code=202)
def test_endpoint(endpoint_id: str, key: Asker, here: Here) -> dict[str, Any]:
    key.require(May.MANAGE)
    with here.store.write() as tx:
        delivery_id = endpoint_.send_test(tx, endpoint_id, here.city, key.name, here.clock())
    here.ringer.ring(DISPATCH)
    return {"delivery_id": delivery_id}


@routes.post("/endpoints/{endpoint_id}/rotate-secret")
def rotate(endpoint_id: str, key: Asker, here: Here) -> dict[str, Any]:
    """Both secrets sign for a day."""
    key.require(May.MANAGE)
    with here.store.write() as tx:
        return {"secret": endpoint_.rotate_secret(tx, endpoint_id, key.name, here.clock())}


@routes.post("/endpoints/{endpoint_id}/enable")
def enable(endpoint_id: str, key: Asker, here: Here) -> dict[str, Any]:
    return _switch(endpoint_id, True, key, here)


@routes.post("/endpoints/{endpoint_id}/disable")
def disable(endpoint_id: str, key: Asker, here: Here) -> dict[str, Any]:
    return _switch(endpoint_id, False, key, here)


@routes.post("/endpoints/{endpoint_id}/replay", openapi_extra=described(Since))
def replay(endpoint_id: str, key: Asker, here: Here, body: JsonBody) -> dict[str, Any]:
    key.require(May.MANAGE)
    try:
        since = Since.model_validate(body).since
    except ValidationError as error:
        raise Problem(422, "since: from when on", errors=field_errors(error.errors(), here.remedies)) from None
    with here.store.write() as tx:
        number = endpoint_.replay(tx, endpoint_id, to_ms(since), key.name, here.clock())
    here.ringer.ring(DISPATCH)
    return {"replayed": number}


@routes.get("/deliveries")
def list_deliveries(
    key: Asker,
    here: Here,
    endpoint: Word = None,
    status: Word = None,
    case: Word = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """The newest first, each with its attempts; `status`: pending, delivered, failed, held."""
    key.require(May.READ_DISPATCH)
    query = select(deliveries).where(_visible(key, here))
    asked = ((deliveries.c.endpoint_id, endpoint), (deliveries.c.status, status), (deliveries.c.case_id, case))
    for column, value in asked:
        if value:
            query = query.where(column == value)
    waiting = {"held": UNSENT, "failed": UNSENT, "pending": STILL_PENDING}.get(status or "")
    if waiting is not None:
        query = query.where(waiting)
    looked = LOOKED if narrowed(key) and waiting is None and not case else None
    with here.store.read() as tx:
        found = page(
            tx,
            query,
            [(deliveries.c.id, True)],
            cursor,
            limit,
            lambda row: {"row": row},
            looked=looked,
        )
        return found | {"items": with_attempts(tx, [item["row"] for item in found["items"]], here.city)}


@routes.post("/deliveries/{delivery_id}/retry")
def retry_delivery(delivery_id: str, key: Asker, here: Here) -> dict[str, Any]:
    """Due at once, with its whole schedule before it again."""
    key.require(May.RETRY)
    with here.store.write() as tx:
        shown = _retry(tx, delivery_id, key, here)
    here.ringer.ring(DISPATCH)
    return shown


def _retry(tx: Connection, delivery_id: str, key: Key, here: Installation) -> dict[str, Any]:
    mine = (deliveries.c.id == delivery_id) & _visible(key, here)
    take(tx, Lock.ENDPOINTS, shared=True)
    row = tx.execute(select(deliveries).where(mine).with_for_update()).first()
    if row is None:
        raise not_found("delivery")
    if row.status not in ("failed", "pending"):
        raise Problem(409, f"only failed and pending deliveries are retried; this one is {row.status}")
    now = here.clock()
    again = {"status": "pending", "due_at": now, "tries": 0, "lane": lane_at(deliveries.c.endpoint_id)}
    tx.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(**again))
    hold_back(tx, [delivery_id])
    append_to_city(tx, Entry("delivery.retried", key.name, {"delivery": delivery_id}), now)
    shown = tx.execute(select(deliveries).where(deliveries.c.id == delivery_id)).all()
    return with_attempts(tx, shown, here.city)[0]


def _switch(endpoint_id: str, enabled: bool, key: Key, here: Installation) -> dict[str, Any]:
    key.require(May.MANAGE)
    with here.store.write() as tx:
        endpoint_.set_enabled(tx, endpoint_id, enabled, key.name, here.clock())
        row = endpoint_.find(tx, endpoint_id)
    here.ringer.ring(DISPATCH)
    return endpoint_.as_dict(row, here.city)


def _visible(key: Key, here: Installation) -> ColumnElement[bool]:
    """Test messages belong to no domain: only who sees every domain and division sees them."""
    return within(key, here.city, deliveries)


def _visible_endpoints(key: Key, here: Installation) -> ColumnElement[bool]:
    """Those that received, or could receive, something in the key's scope."""
    if not key.domains and not key.divisions:
        return true()
    scope = within(key, here.city, deliveries)
    return endpoints.c.id.in_(select(deliveries.c.endpoint_id).where(scope))
