"""Reads a request's body no further than it may be long: the cap holds while it streams, whatever its headers say."""

from collections.abc import Mapping

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from citybrain.problem import Problem

MIB = 1024 * 1024
DISCARDED = 64 * MIB


class Capped:
    """Around the whole application, because a framework reads a body before it asks who sends it. `larger` has how
    the paths end that may be sent more than `limit` bytes. (Starlette's own cap answers in plain text.)"""

    def __init__(self, app: ASGIApp, limit: int, larger: Mapping[str, int]) -> None:
        self._app, self._limit, self._larger = app, limit, larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = next((size for end, size in self._larger.items() if scope["path"].endswith(end)), self._limit)
        if _declared(scope) > limit:
            await _discard(receive)
            await _too_large(limit).response()(scope, receive, send)
            return
        size, more = 0, False

        async def counted() -> Message:
            nonlocal size, more
            message = await receive()
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
            if size > limit:
                raise _too_large(limit)
            return message

        async def unless_too_large(message: Message) -> None:
            if size <= limit:
                await send(message)

        await self._app(scope, counted, unless_too_large)
        if size > limit:
            if more:
                await _discard(receive)
            await _too_large(limit).response()(scope, receive, send)


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


def _too_large(limit: int) -> Problem:
    return Problem(413, f"the body is larger than {limit // MIB} MiB: send less at once, photos elsewhere")


def _declared(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0
