"""Whether the service lives and can work; `operations.metrics` has its figures."""

from typing import Any

import redis
from fastapi import APIRouter, Request
from sqlalchemy import text
from starlette.responses import JSONResponse, Response

from citybrain.access import Here
from citybrain.redis_url import client
from citybrain.store.database import StoreUnavailable

routes = APIRouter(tags=["operations 运行"])


@routes.get("/healthz")
def lives() -> dict[str, str]:
    return {"status": "ok"}


@routes.get("/readyz")
def ready(here: Here, request: Request) -> Response:
    """503 only when the store fails; without the broker events are taken and wait, which is `degraded`."""
    try:
        with here.store.read() as tx:
            tx.execute(text("SELECT 1"))
    except StoreUnavailable:
        return JSONResponse({"status": "failed", "store": "failed"}, 503)
    broker = "ok" if _broker_answers(request.app.state) else "failed"
    return JSONResponse({"status": "ok" if broker == "ok" else "degraded", "store": "ok", "broker": broker})


def _broker_answers(state: Any) -> bool:
    connection = getattr(state, "broker", None) or client(state.installation.broker_url)
    state.broker = connection
    try:
        return bool(connection.ping())
    except (redis.RedisError, OSError):
        return False
