"""`/metrics` for Prometheus: how this process does, what stands in the record, what has passed since the last look."""

import time
from collections.abc import Iterator
from threading import Lock
from typing import Any

import redis
from fastapi import APIRouter, Request
from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import text
from starlette.responses import Response

from citybrain.access import Here, asker
from citybrain.installation import Installation, software
from citybrain.keys import Role
from citybrain.operations.flow import Flow
from citybrain.operations.standing import gauge, gauges, standing
from citybrain.problem import Problem
from citybrain.redis_url import client
from citybrain.store.database import StoreUnavailable

routes = APIRouter(tags=["operations 运行"])
LOOPBACK = ("127.0.0.1", "::1")
KEPT_SECONDS = 2.0  # one look at the record serves all who ask meanwhile
ACKNOWLEDGED = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


@routes.get("/metrics")
def metrics(request: Request, here: Here) -> Response:
    """For an admin's or auditor's key, or from this machine. Without the store, what is known without it."""
    if request.client is None or request.client.host not in LOOPBACK:
        key = asker(request)
        if key.role not in (Role.ADMIN, Role.AUDITOR):
            raise Problem(403, f"the role {key.role} may not read metrics")
    return Response(request.app.state.figures.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)


class Figures(Collector):
    """All figures of one API process. `acknowledged` takes how long an answer of an intake door took, `turned_away` who
    was not let in beside them."""

    def __init__(self, here: Installation, kept_seconds: float = KEPT_SECONDS) -> None:
        self._here, self._kept_seconds = here, kept_seconds
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.acknowledged = Histogram(
            "citybrain_acknowledge_seconds", "From the first byte of a report or batch to its answer, by its status.",
            ["door", "status"], buckets=ACKNOWLEDGED, registry=self._registry,
        )  # fmt: skip
        self.turned_away = Counter(
            "citybrain_turned_away", "Requests that found no place in time, events not among them, by who sent them.",
            ["line"], registry=self._registry,
        )  # fmt: skip
        self._registry.register(self)  # before the flow, which it looks at
        self._flow = Flow(self._registry)
        self._broker: Any = None
        self._lock = Lock()
        self._text, self._made_at = b"", -kept_seconds

    def text(self) -> bytes:
        with self._lock:
            if time.monotonic() - self._made_at >= self._kept_seconds:
                self._text = generate_latest(self._registry)
                self._made_at = time.monotonic()
            return self._text

    def describe(self) -> list[Metric]:
        return []  # so that registering asks nothing of the record

    def collect(self) -> Iterator[Metric]:
        about = ((software().partition(" ")[0], self._here.city.file.city.code), 1.0)
        yield gauges("citybrain_info", "The version, and the city.", ("version", "city"), [about])
        yield gauge(
            "citybrain_broker_up", "Whether the broker answers; events wait in the store meanwhile.", self._rings()
        )
        began = time.perf_counter()
        found: list[Metric] = []
        try:
            with self._here.store.read() as tx:
                tx.execute(text("SELECT 1"))
                took = time.perf_counter() - began
                found += standing(tx, self._here)
                self._flow.look(tx, self._here.clock())
        except StoreUnavailable:
            yield gauge("citybrain_store_up", "Whether the store answers.", 0)
            return
        yield gauge("citybrain_store_up", "Whether the store answers.", 1)
        yield gauge("citybrain_store_read_seconds", "How long the shortest question took it just now.", took)
        looked = "How long all questions of this page took it."
        yield gauge("citybrain_store_looked_seconds", looked, time.perf_counter() - began)
        yield from found

    def _rings(self) -> bool:
        self._broker = self._broker or client(self._here.broker_url)
        try:
            return bool(self._broker.ping())
        except (redis.RedisError, OSError):
            return False
