"""Whether the service lives and can work, and its figures for Prometheus."""

from typing import Any

import redis
from fastapi import APIRouter, Request
from sqlalchemy import func, select, text
from starlette.responses import JSONResponse, PlainTextResponse, Response

from citybrain.access import Here, asker
from citybrain.keys import Role
from citybrain.problem import Problem
from citybrain.redis_url import client
from citybrain.store.database import StoreUnavailable, now_ms
from citybrain.store.dispatch_tables import deliveries
from citybrain.store.tables import cases, events, leases

routes = APIRouter(tags=["operations 运行"])
LOOPBACK = ("127.0.0.1", "::1")


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


@routes.get("/metrics")
def metrics(request: Request, here: Here) -> Response:
    """Rows by state, from the record at this moment."""
    if request.client is None or request.client.host not in LOOPBACK:
        key = asker(request)
        if key.role not in (Role.ADMIN, Role.AUDITOR):
            raise Problem(403, f"the role {key.role} may not read metrics")
    counts: list[tuple[str, Any, Any]] = [
        ("citybrain_events", (events.c.domain, events.c.state), events),
        ("citybrain_cases", (cases.c.domain, cases.c.status), cases),
        ("citybrain_deliveries", (deliveries.c.status,), deliveries),
    ]
    lines = []
    with here.store.read() as tx:
        for name, columns, table in counts:
            lines.append(f"# TYPE {name} gauge")
            for row in tx.execute(select(*columns, func.count()).select_from(table).group_by(*columns)):
                labels = ",".join(f'{c.name}="{value}"' for c, value in zip(columns, row[:-1], strict=True))
                lines.append(f"{name}{{{labels}}} {row[-1]}")
        acting = tx.execute(select(func.count()).where(leases.c.lease_until > now_ms())).scalar_one()
        lines += ["# TYPE citybrain_patrols_acting gauge", f"citybrain_patrols_acting {acting}"]
    return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")


def _broker_answers(state: Any) -> bool:
    connection = getattr(state, "broker", None) or client(state.installation.broker_url)
    state.broker = connection
    try:
        return bool(connection.ping())
    except (redis.RedisError, OSError):
        return False
