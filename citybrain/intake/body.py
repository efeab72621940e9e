"""Reads a request's body no further than it may be long: the cap holds while it streams, whatever its headers say."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import cast

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from citybrain.problem import NOT_ACKNOWLEDGED, Problem, invalid, refusal

MIB = 1024 * 1024
DISCARDED = 64 * MIB
SMALL = 64 * 1024
NO_ROOM = Problem(503, NOT_ACKNOWLEDGED.format("too much is being sent at once"), retry_after=2)


class Room:
    """How many bytes of bodies one process may have in memory at once; what was parsed of them is some ten times that.
    Small bodies take none, so that a feedback or a single report gets through whatever else is sent."""

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, size: int) -> bool:
        if size > self._left:
            return False
        self._left -= size
        return True

    def give(self, size: int) -> None:
        self._left += size


class Capped:
    """Around the whole application, because a framework reads a body before it asks who sends it. `larger` has the
    paths that may be sent more than `limit` bytes, `*` for what differs; what is sent to those of `on_disk` is written
    into a file as it comes. (Starlette's own cap answers in plain text.)"""

    def __init__(
        self,
        app: ASGIApp,
        limit: int,
        larger: Mapping[str, int],
        room: Room,
        on_disk: Collection[str] = (),
    ) -> None:
        self._app, self._limit, self._larger, self._room = app, limit, larger, room
        self._on_disk = frozenset(on_disk)
        self._differing = [(path, *path.split("*")) for path in larger if "*" in path]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = self._named(scope["path"])
        body = _Body(receive, self._larger.get(path, self._limit), None if path in self._on_disk else self._room)

        async def unless_refused(message: Message) -> None:
            if body.refused is None:
                await send(message)

        try:
            body.expect(_declared(scope))
            await self._app(scope, body.receive, unless_refused)
        except Problem:
            if body.refused is None:
                raise
        finally:
            body.end()
        if body.refused is not None:
            if body.more:
                await _discard(receive)
            await refusal(scope, body.refused)(scope, receive, send)

    def _named(self, path: str) -> str:
        """The path as `larger` has it."""
        found = (name for name, begin, end in self._differing if path.startswith(begin) and path.endswith(end))
        return next(found, path)


class _Body:
    """One body as it streams in, and why no more of it is taken."""

    def __init__(self, receive: Receive, limit: int, room: Room | None) -> None:
        self._receive, self._limit, self._room = receive, limit, room
        self._size, self._held = 0, 0
        self.more, self.refused = True, cast("Problem | None", None)

    def expect(self, size: int) -> None:
        """Raises Problem for what is too large for anybody, or for now."""
        if size > self._limit:
            self.refused = _too_large(self._limit)
        elif self._room and size > max(SMALL, self._held):
            if self._room.take(size - self._held):
                self._held = size
            else:
                self.refused = NO_ROOM
        if self.refused is not None:
            raise self.refused

    async def receive(self) -> Message:
        message = await self._receive()
        self._size += len(message.get("body", b""))
        self.more = message.get("more_body", False)
        self.expect(self._size)
        return message

    def end(self) -> None:
        if self._room:
            self._room.give(self._held)


async def _discard(receive: Receive) -> None:
    """Whoever is still sending when the connection closes never reads the answer."""
    left = DISCARDED
    while left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        if not message.get("more_body"):
            return


async def read_body(request: Request, limit: int = MIB) -> bytes:
    chunks, size = [], 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            chunks.append(chunk)
    except ClientDisconnect:
        raise Problem(400, "the connection ended before the body did") from None
    return b"".join(chunks)


@asynccontextmanager
async def read_form(request: Request, files: int, fields: int) -> AsyncIterator[FormData]:
    """A form with files, which lie on disk until it is left. Raises Problem 422 for what cannot be read as one."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise invalid("body", "no multipart/form-data", "send files as a form does")
    try:
        form = await request.form(max_files=files, max_fields=fields)
    except HTTPException as error:
        raise Problem(422, f"the form cannot be read: {error.detail}") from None
    try:
        yield form
    finally:
        await form.close()


def _too_large(limit: int) -> Problem:
    return Problem(413, f"the body is larger than {limit // MIB} MiB: send less at once, photos elsewhere")


def _declared(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0
