"""Who is served next: so many requests are worked on at a time, the others wait a moment or are told to come again.

Without it, more requests than are answered within their senders' patience would all be worked on, and none of them in
time: each is sent again, and the process does nothing for anybody any more. Comes after the doors for events, which
have a queue of their own; what is streamed, once it has begun to be answered, holds nobody up.
"""

import asyncio
import re
from collections.abc import Collection
from fnmatch import translate

from prometheus_client import Counter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from citybrain.problem import Problem, refusal

PLACES = 8  # of systems, and as many of people: together fewer than a process may have connections to PostgreSQL
WAITING = 2_000  # of each; more is refused at once
WAIT_SECONDS = 3.0  # shorter than anybody's patience: whoever is let in gets an answer in time
OF_SYSTEMS = ("/api/", "/open311/")
BUSY = Problem(503, "too much is asked at once; nothing was done: send it again", retry_after=2)
GONE = Problem(400, "the connection ended before the body did")


class Admission:
    """Around all routes. People, who look at pages, and systems, which come with a key, wait in lines of their own, so
    that nobody at a screen stands behind a thousand answers of a department. `free` are paths, `*` for what differs,
    that are never held up: whether the process lives, and large uploads."""

    def __init__(
        self,
        app: ASGIApp,
        turned_away: Counter,
        free: Collection[str] = (),
        places: int = PLACES,
        waiting: int = WAITING,
        seconds: float = WAIT_SECONDS,
    ) -> None:
        self._app, self._free = app, re.compile("|".join(map(translate, free)) or r"\Z.")
        self._people, self._systems = (
            _Line(places, waiting, seconds, turned_away.labels(name)) for name in ("people", "systems")
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._free.match(scope["path"]):
            await self._app(scope, receive, send)
            return
        body = await _whole(receive)  # before: whoever sends it slowly would hold a place meanwhile
        if body is None:
            await refusal(scope, GONE)(scope, receive, send)
            return
        line = self._systems if _is_of_system(scope) else self._people
        if not await line.enter():
            line.turned_away.inc()
            await refusal(scope, BUSY)(scope, receive, send)
            return
        place = _Place(line)

        async def again() -> Message:
            nonlocal body
            if body is None:
                return await receive()
            message, body = {"type": "http.request", "body": body, "more_body": False}, None
            return message

        async def begun(message: Message) -> None:
            place.leave()
            await send(message)

        try:
            await self._app(scope, again, begun)
        finally:
            place.leave()


def _is_of_system(scope: Scope) -> bool:
    """By what it comes with; without anything, by what it asks for."""
    names = {name for name, _ in scope["headers"]}
    return b"authorization" in names or (b"cookie" not in names and scope["path"].startswith(OF_SYSTEMS))


class _Line:
    """First come, first served."""

    def __init__(self, places: int, waiting: int, seconds: float, turned_away: Counter) -> None:
        self._places, self._waiting, self._seconds = asyncio.Semaphore(places), waiting, seconds
        self.turned_away = turned_away

    async def enter(self) -> bool:
        """Whether there was a place in time."""
        if self._places.locked() and not self._waiting:
            return False
        self._waiting -= 1
        try:
            async with asyncio.timeout(self._seconds):
                await self._places.acquire()
        except TimeoutError:
            return False
        finally:
            self._waiting += 1
        return True

    def leave(self) -> None:
        self._places.release()


class _Place:
    """Left once."""

    def __init__(self, line: _Line) -> None:
        self._line: _Line | None = line

    def leave(self) -> None:
        if self._line:
            self._line.leave()
            self._line = None


async def _whole(receive: Receive) -> bytes | None:
    """The body, as far as it may be long; None when its sender has gone."""
    chunks = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)
