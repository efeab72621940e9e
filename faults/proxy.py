"""A TCP proxy between a host and its store or broker: a link that can be cut, frozen, or lose an answer."""

import asyncio
from contextlib import suppress

CHUNK = 65_536


class Link:
    """Forwards both ways from a port of its own. Belongs to the event loop that starts it."""

    def __init__(self, port: int) -> None:
        """`port`: of the server, on this machine."""
        self._server_port = port
        self._is_cut = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._lose: tuple[bytes, int] = (b"", 0)
        self._open: set[asyncio.Transport | asyncio.WriteTransport] = set()
        self.port = 0

    async def start(self) -> None:
        self._door = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._door.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Every connection breaks off, and new ones do at once."""
        self._is_cut = True
        for transport in list(self._open):
            transport.abort()

    def freeze(self) -> None:
        """Nothing comes through any more, and nobody is told."""
        self._flows.clear()

    def lose_replies(self, to: bytes, times: int) -> None:
        """The next `times` requests that contain `to` reach the server; when it answers, the client's connection breaks
        off instead. The client cannot know what became of them."""
        self._lose = to, times

    def heal(self) -> None:
        self._is_cut, self._lose = False, (b"", 0)
        self._flows.set()

    def close(self) -> None:
        self._door.close()
        self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer.transport, back.transport}
        pair = Pair()
        await asyncio.gather(self._requests(reader, back, pair), self._answers(there, writer, pair))
        for end in (writer, back):
            end.transport.abort()
            self._open.discard(end.transport)

    async def _requests(self, reader: asyncio.StreamReader, server: asyncio.StreamWriter, pair: "Pair") -> None:
        with suppress(*GONE):
            while data := await reader.read(CHUNK):
                await self._flows.wait()
                what, times = self._lose
                if times and what in data:
                    self._lose, pair.loses_next = (what, times - 1), True
                server.write(data)
                await server.drain()
        server.close()

    async def _answers(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter, pair: "Pair") -> None:
        with suppress(*GONE):
            while data := await reader.read(CHUNK):
                await self._flows.wait()
                if pair.loses_next:
                    client.transport.abort()
                    return
                client.write(data)
                await client.drain()
        client.close()


GONE = (OSError, RuntimeError)  # uvloop's word for a write after the other side has closed


class Pair:
    """A client's connection and the server's behind it."""

    loses_next = False
