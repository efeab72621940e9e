"""How long the doors for events take to answer, around everything else that is done with a request."""

import time
from collections.abc import Mapping

from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Timed:
    """`doors`: by path, the word under which its answers are counted in `took`, each by its status."""

    def __init__(self, app: ASGIApp, doors: Mapping[str, str], took: Histogram) -> None:
        self._app, self._doors, self._took = app, doors, took
        self._counted: dict[tuple[str, int], Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        door = self._doors.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if door is None:
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._count(door, message["status"], time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, watched)

    def _count(self, door: str, status: int, seconds: float) -> None:
        counted = self._counted.get((door, status))
        if counted is None:
            counted = self._counted[door, status] = self._took.labels(door, str(status))
        counted.observe(seconds)
