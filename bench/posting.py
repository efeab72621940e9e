"""Posts reports: as fast as they are taken over a number of connections, or at a steady rate.

A client of its own, since any client library would take more of the two cores than the service that is measured.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import urlsplit

import httptools
import numpy as np

TAKEN = (200, 202)


class Refused(Exception):
    """An answer that is no acknowledgement."""


class Connection(asyncio.Protocol):
    """One connection that is kept; one request at a time."""

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._answer: asyncio.Future[None] | None = None
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpResponseParser(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(Refused(f"the connection was closed: {error}"))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        status, body = self._parser.get_status_code(), b"".join(self._body)
        self._body = []
        self._parser = httptools.HttpResponseParser(self)
        if self._answer is None or self._answer.done():
            return
        whole = not body.startswith(b'{"accepted"') or b'"rejected":0' in body
        if status not in TAKEN or not whole:
            self._answer.set_exception(Refused(f"{status} {body[:300]!r}"))
        else:
            self._answer.set_result(None)

    async def post(self, body: bytes) -> float:
        """When it was acknowledged (time.monotonic)."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(b"%bContent-Length: %d\r\n\r\n%b" % (self._head, len(body), body))
        await self._answer
        return time.monotonic()

    def close(self) -> None:
        self._transport.close()


@asynccontextmanager
async def connected(url: str, headers: dict[str, str], number: int) -> Any:
    """`number` connections to one address."""
    parts = urlsplit(url)
    lines = [f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}", *(f"{name}: {v}" for name, v in headers.items())]
    head = ("\r\n".join(lines) + "\r\n").encode()
    loop, host, port = asyncio.get_running_loop(), parts.hostname or "", parts.port or 80
    made = [await loop.create_connection(lambda: Connection(head), host, port) for _ in range(number)]
    try:
        yield [connection for _, connection in made]
    finally:
        for _, connection in made:
            connection.close()


class Posted:
    """When each body was sent (or should have been) and acknowledged, by its index; seconds of time.monotonic."""

    def __init__(self, number: int) -> None:
        self.sent, self.acknowledged = np.zeros(number), np.zeros(number)

    @property
    def waits(self) -> Any:
        return self.acknowledged - self.sent


async def flood(connections: Sequence[Connection], bodies: Sequence[bytes]) -> Posted:
    """Each connection posts the next body as soon as its last one is acknowledged."""
    posted = Posted(len(bodies))
    waiting = iter(enumerate(bodies))

    async def keep_posting(connection: Connection) -> None:
        for index, body in waiting:
            posted.sent[index] = time.monotonic()
            posted.acknowledged[index] = await connection.post(body)

    await asyncio.gather(*map(keep_posting, connections))
    return posted


async def pace(connections: Sequence[Connection], bodies: Sequence[bytes], a_second: float) -> Posted:
    """At a steady rate, whatever the answers do: a body that waits for a connection is late, and its wait counts."""
    posted = Posted(len(bodies))
    begins = time.monotonic() + 0.01
    waiting: Iterator[tuple[int, bytes]] = iter(enumerate(bodies))

    async def keep_posting(connection: Connection) -> None:
        for index, body in waiting:
            due = begins + index / a_second
            if (early := due - time.monotonic()) > 0:
                await asyncio.sleep(early)
            posted.sent[index] = max(due, 0)
            posted.acknowledged[index] = await connection.post(body)

    await asyncio.gather(*map(keep_posting, connections))
    return posted
