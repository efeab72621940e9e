"""The departments' systems: receivers that note every webhook before they answer it, and can be made to misbehave.

Each serves two of the six domains under a port of its own, so that one that is ill leaves the others' work alone.
"""

import asyncio
import re
import socket
import struct
from collections.abc import Callable
from typing import Literal

from bench.reports import NUMBER
from faults.ledgers import Ledger

Manner = Literal["204", "500", "429", "302", "hang", "drip", "reset-before", "reset-after", "closed"]
EVENT = re.compile(rb'"%s": ?(\d+)' % NUMBER.encode())
ORDER = re.compile(rb'"work_order": ?{"id": ?"([0-9a-f]+)"')
TYPE = re.compile(rb'"type": ?"([a-z_.]+)"')
ANSWERS = {
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "500": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops",
    "429": b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n",
    "302": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
    "reset-after": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf",
}
WELL: Manner = "204"
TAKEN: tuple[Manner, ...] = (WELL, "reset-after")  # the receiver has said 2xx, whether or not its sender has heard it
DRIP_SECONDS = 0.5


class Receiver:
    """`heard` is told the event's number and the work order of each message that is taken."""

    def __init__(self, name: str, ledger: Ledger, heard: Callable[[int, str], None]) -> None:
        self.name, self._ledger, self._heard = name, ledger, heard
        self.manner: Manner = WELL
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def behave(self, manner: Manner) -> None:
        """From now on; what hangs or drips by another manner is let go."""
        self.manner = manner
        for task in list(self._connections):
            task.cancel()
        if manner == "closed" and self._server is not None:
            self._server.close()
            self._server = None
        elif manner != "closed" and self._server is None:
            await self.start()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while await self._take(reader, writer):
                pass
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One message; whether the connection is worth keeping."""
        head = await reader.readuntil(b"\r\n\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
        body = await reader.readexactly(int(headers[b"content-length"]))
        manner = self.manner
        number, order = EVENT.search(body), ORDER.search(body)
        type_ = TYPE.search(body)
        words = [found[1].decode() if found else "-" for found in (type_, order, number)]
        id_, timestamp = headers[b"webhook-id"].decode(), headers[b"webhook-timestamp"].decode()
        self._ledger.add(self.name, id_, *words, timestamp, manner)
        self._ledger.flush()
        if manner in TAKEN and number and order:
            self._heard(int(number[1]), order[1].decode())
        return await self._answer(manner, writer)

    async def _answer(self, manner: Manner, writer: asyncio.StreamWriter) -> bool:
        if manner == "hang":
            await asyncio.sleep(3600)
        elif manner == "drip":
            for byte in ANSWERS["500"] * 100:
                if writer.is_closing():  # the sender has had enough
                    return False
                writer.write(bytes([byte]))
                await asyncio.sleep(DRIP_SECONDS)
        elif manner in ANSWERS:
            writer.write(ANSWERS[manner])
            await writer.drain()
        if manner.startswith("reset"):
            made: socket.socket = writer.get_extra_info("socket")
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST instead of FIN
            return False
        return manner in ANSWERS
