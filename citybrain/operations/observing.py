"""Around everything that is done with a request: its id, how long its answer took, a line in the log, and an answer to
whatever nobody else has answered: 503 where repeating helps, 500 with a trace in the log where somebody has to look."""

import asyncio
import logging
import re
import time
from collections.abc import Mapping
from typing import Any

from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from citybrain.logs import ACCESS, request_id
from citybrain.problem import NOT_ACKNOWLEDGED, STORE_AWAY, Problem, refusal
from citybrain.store.database import StoreUnavailable
from citybrain.store.ids import new_id

log = logging.getLogger(ACCESS)

HEADER = b"x-request-id"
WELL_FORMED = re.compile(rb"[A-Za-z0-9._:/+=-]{1,100}")
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
PLAIN = re.compile(r"[A-Za-z0-9/._-]{1,200}")  # what a person writes into an address is not told
UNFORESEEN = Problem(500, "an unforeseen error; it is in the log, nothing was changed by half")
STOPPING = Problem(503, NOT_ACKNOWLEDGED.format("this process is being stopped"), retry_after=2)
WARNING_SECONDS = 1.0  # an outage ends thousands of requests for one reason
NAMES = {"event_id": "event", "case_id": "case", "delivery_id": "delivery", "endpoint_id": "endpoint"}


class Observed:
    """`doors`: by path, the word under which its answers are counted in `took`, each by its status. An X-Request-ID
    that is well formed is kept, so that a proxy's log and ours can be laid side by side; every answer has one."""

    def __init__(self, app: ASGIApp, doors: Mapping[str, str], took: Histogram) -> None:
        self._app, self._doors, self._took = app, doors, took
        self._counted: dict[tuple[str, int], Histogram] = {}
        self._warned_at = -WARNING_SECONDS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, begun = time.perf_counter(), 500, False
        id_ = _given(scope) or new_id()
        under = request_id.set(id_)

        async def watched(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                message["headers"] = [*message["headers"], (HEADER, id_.encode())]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except (Exception, asyncio.CancelledError) as error:
            problem = self._told(error)
            if not begun:
                await refusal(scope, problem)(scope, receive, watched)
        finally:
            self._tell(scope, status, time.perf_counter() - began)
            request_id.reset(under)

    def _told(self, error: BaseException) -> Problem:
        if isinstance(error, asyncio.CancelledError):  # by the server, whose time to end what it has begun is over
            return STOPPING
        if not isinstance(error, StoreUnavailable):
            log.exception("an unforeseen error")
            return UNFORESEEN
        if time.monotonic() - self._warned_at >= WARNING_SECONDS:
            self._warned_at = time.monotonic()
            log.warning("the store cannot answer: %s", error)
        return STORE_AWAY

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        path = scope["path"]
        if scope["method"] == "POST" and (door := self._doors.get(path)):
            counted = self._counted.get((door, status))
            if counted is None:
                counted = self._counted[door, status] = self._took.labels(door, str(status))
            counted.observe(seconds)
        if path not in PROBES and log.isEnabledFor(logging.INFO):
            about = _fields(scope, status, seconds)
            log.info("%s %s %d", scope["method"], about["path"], status, extra=about)


def _given(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == HEADER:
            return value.decode() if WELL_FORMED.fullmatch(value) else None
    return None


def _shown(path: str) -> str:
    return path if PLAIN.fullmatch(path) else "…"


def _fields(scope: Scope, status: int, seconds: float) -> dict[str, Any]:
    found = {"method": scope["method"], "path": _shown(scope["path"]), "status": status, "ms": round(1000 * seconds, 1)}
    given = scope.get("path_params") or {}
    found |= {name: _shown(str(given[param])) for param, name in NAMES.items() if param in given}
    return {**found, **scope.get("told", {})}
