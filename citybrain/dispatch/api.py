"""Endpoints for the administrator, deliveries for whoever has to know what was sent and what was not."""

from typing import Any, TypeVar

from fastapi import APIRouter, Response
from pydantic import BaseModel, ValidationError
from sqlalchemy import ColumnElement, Row, select, true

from citybrain.access import Asker, Here, JsonBody, described
from citybrain.clock import rfc3339
from citybrain.dispatch import again, switching
from citybrain.dispatch import endpoint as endpoint_
from citybrain.dispatch.again import Replay, Retries
from citybrain.dispatch.attempts import with_attempts
from citybrain.dispatch.health import counted, health, in_state, lately
from citybrain.dispatch.queues import Stuck, stuck
from citybrain.installation import Installation
from citybrain.keys import Key, May, any_of, narrowed, within
from citybrain.listing import LOOKED, Cursor, Limit, Word, page
from citybrain.problem import FieldError, Problem, field_errors, not_found
from citybrain.queue import DISPATCH
from citybrain.store.dispatch_tables import STILL_PENDING, UNSENT, deliveries, endpoints

routes = APIRouter(prefix="/api/v1", tags=["dispatch 推送"])
SWITCHING_SECONDS = 2.0  # that a request goes on with it; the rest is for patrol
Asked = TypeVar("Asked", bound=BaseModel)


@routes.post("/endpoints", status_code=201, openapi_extra=described(endpoint_.EndpointChange))
def create_endpoint(key: Asker, here: Here, body: JsonBody) -> dict[str, Any]:
    """The answer carries the signing `secret`, this once."""
    key.require(May.MANAGE)
    change = endpoint_.parse_change(body, here)
    with here.store.write() as tx:
        endpoint_id = endpoint_.create(tx, change, here.city, key.name, here.clock(), demo=key.demo)
        row = endpoint_.find(tx, endpoint_id)
    here.ringer.ring(DISPATCH)
    return _shown(row, here) | {"secret": row.secrets[0]["secret"]}


@routes.get("/endpoints")
def list_endpoints(
    key: Asker, here: Here, state: Word = None, cursor: Cursor = None, limit: Limit = 50
) -> dict[str, Any]:
    """`state`: well, failing, unreachable, disabled, untried."""
    key.require(May.READ_DISPATCH)
    query = select(endpoints).where(endpoints.c.deleted_at.is_(None), visible_endpoints(key, here))
    if state:
        query = query.where(in_state(state))
    with here.store.read() as tx:
        order = [(endpoints.c.name, False), (endpoints.c.id, False)]
        found = page(tx, query, order, cursor, limit, lambda row: {"row": row})
        rows = [item["row"] for item in found["items"]]
        waiting = counted(tx, [row.id for row in rows])
        return found | {"items": [_shown(row, here, waiting[row.id]) for row in rows]}


@routes.get("/endpoints/{endpoint_id}")
def show_endpoint(endpoint_id: str, key: Asker, here: Here) -> dict[str, Any]:
    key.require(May.READ_DISPATCH)
    with here.store.read() as tx:
        visible = select(endpoints.c.id).where(endpoints.c.id == endpoint_id, visible_endpoints(key, here))
        if tx.execute(visible).first() is None:
            raise not_found("endpoint")
        return _shown(endpoint_.find(tx, endpoint_id), here, counted(tx, [endpoint_id])[endpoint_id])


@routes.get("/endpoints/{endpoint_id}/health")
def endpoint_health(endpoint_id: str, key: Asker, here: Here) -> dict[str, Any]:
    """What the endpoint itself shows, with how long its last attempts took and since when the oldest waits."""
    told: dict[str, Any] = show_endpoint(endpoint_id, key, here)["health"]
    with here.store.read() as tx:
        return told | lately(tx, endpoint_id, here.city)


@routes.patch("/endpoints/{endpoint_id}", openapi_extra=described(endpoint_.EndpointChange))
def patch_endpoint(endpoint_id: str, key: Asker, here: Here, body: JsonBody) -> dict[str, Any]:
    key.require(May.MANAGE)
    change = endpoint_.parse_change(body, here)
    with here.store.write() as tx:
        endpoint_.change_endpoint(tx, endpoint_id, change, here.city, key.name, here.clock())
        row = endpoint_.find(tx, endpoint_id)
    here.ringer.ring(DISPATCH)
    return _shown(row, here)


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
    """The one before signs too for a day, and so does each before that for its day; five at once at most, then 409."""
    return rotate_as_seen(endpoint_id, key, here, None)


def rotate_as_seen(endpoint_id: str, key: Key, here: Installation, seen: int | None) -> dict[str, Any]:
    key.require(May.MANAGE)
    with here.store.write() as tx:
        return {"secret": endpoint_.rotate_secret(tx, endpoint_id, key.name, here.clock(), seen)}


@routes.post("/endpoints/{endpoint_id}/enable")
def enable(endpoint_id: str, key: Asker, here: Here) -> dict[str, Any]:
    return _switch(endpoint_id, True, key, here)


@routes.post("/endpoints/{endpoint_id}/disable")
def disable(endpoint_id: str, key: Asker, here: Here) -> dict[str, Any]:
    return _switch(endpoint_id, False, key, here)


@routes.post("/endpoints/{endpoint_id}/replay", openapi_extra=described(Replay))
def replay(endpoint_id: str, key: Asker, here: Here, body: JsonBody) -> dict[str, Any]:
    """Sends again, with the same ids, what is delivered or failed and fits; with `dry_run` it only counts."""
    key.require(May.MANAGE)
    asked = _asked(Replay, body, "replay", here)
    with here.store.write() as tx:
        number = again.replay(tx, endpoint_id, asked, key.name, here.clock())
    if asked.dry_run:
        return {"would_replay": number}
    here.ringer.ring(DISPATCH)
    return {"replayed": number}


@routes.get("/deliveries/queues")
def delivery_queues(key: Asker, here: Here) -> dict[str, Any]:
    """What waits for an endpoint and does not move by itself, each with who must do something and by when."""
    key.require(May.READ_DISPATCH)
    now = here.clock()
    with here.store.read() as tx:
        found = stuck(tx, here.city.file.webhooks.patience, visible(key, here))
    return {"items": [_stuck(each, now, here) for each in found], "next": None}


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
    query = select(deliveries).where(visible(key, here))
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


@routes.post("/deliveries/retry", openapi_extra=described(Retries))
def retry_many(key: Asker, here: Here, body: JsonBody) -> dict[str, Any]:
    """Up to 500; each is told apart: `retried`, `not_retried` because of what it is, `not_found`."""
    key.require(May.RETRY)
    ids = list(dict.fromkeys(_asked(Retries, body, "retry", here).ids))
    with here.store.write() as tx:
        was = again.retry(tx, ids, visible(key, here), key.name, here.clock())
    here.ringer.ring(DISPATCH)
    outcome = {None: "not_found", "failed": "retried", "pending": "retried"}
    return {"results": [{"id": id_, "outcome": outcome.get(was.get(id_), "not_retried")} for id_ in ids]}


@routes.post("/deliveries/{delivery_id}/retry")
def retry_delivery(delivery_id: str, key: Asker, here: Here) -> dict[str, Any]:
    """Due at once, with its whole schedule before it again."""
    key.require(May.RETRY)
    with here.store.write() as tx:
        was = again.retry(tx, [delivery_id], visible(key, here), key.name, here.clock())
        if delivery_id not in was:
            raise not_found("delivery")
        if was[delivery_id] not in ("failed", "pending"):
            raise again.not_retried(was[delivery_id])
        shown = tx.execute(select(deliveries).where(deliveries.c.id == delivery_id)).all()
        answer = with_attempts(tx, shown, here.city)[0]
    here.ringer.ring(DISPATCH)
    return answer


def _asked(model: type[Asked], body: Any, what: str, here: Installation) -> Asked:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        errors = field_errors(error.errors(), here.remedies)
        if model is Replay and errors[0].field == "body" and isinstance(body, dict):
            errors = [FieldError("since", "it is required where no case is named", "from when on, with an offset")]
        raise Problem(422, f"{what}: {errors[0].field}: {errors[0].message}", errors=errors) from None


def _shown(row: Row[Any], here: Installation, waiting: int = 0) -> dict[str, Any]:
    return endpoint_.as_dict(row, here.city, health(row, waiting, here.clock(), here.city))


def _stuck(each: Stuck, now: int, here: Installation) -> dict[str, Any]:
    zone = here.city.zone
    return {
        "queue": each.queue,
        "department": each.department,
        "endpoint": {"id": each.endpoint_id, "name": each.endpoint} if each.endpoint_id else None,
        "waiting": each.waiting,
        "gravest": each.gravest,
        "since": rfc3339(each.since, zone),
        "due_at": rfc3339(each.due_at, zone),
        "overdue": each.due_at <= now,
    }


def _switch(endpoint_id: str, enabled: bool, key: Key, here: Installation) -> dict[str, Any]:
    key.require(May.MANAGE)
    with here.store.write() as tx:
        endpoint_.set_enabled(tx, endpoint_id, enabled, key.name, here.clock())
        row = endpoint_.find(tx, endpoint_id)
    switching.finish(here.store, SWITCHING_SECONDS, endpoint_id)
    here.ringer.ring(DISPATCH)
    return _shown(row, here)


def visible(key: Key, here: Installation) -> ColumnElement[bool]:
    """Test messages belong to no domain: only who sees every domain and division sees them."""
    return within(key, here.city, deliveries)


def visible_endpoints(key: Key, here: Installation) -> ColumnElement[bool]:
    """Those that received, or could receive, something in the key's scope."""
    if not key.domains and not key.divisions:
        return true()
    scope = within(key, here.city, deliveries)
    return any_of(deliveries, deliveries.c.endpoint_id == endpoints.c.id, scope)
