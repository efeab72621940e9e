"""Endpoints as nobody wants them: `python -m bench.sick FOLDER` writes the port of each kind to FOLDER/sick.json."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


async def hanging(_writer: Writer) -> None:
    """Takes the request and says nothing."""
    await asyncio.sleep(3600)


async def dripping(writer: Writer) -> None:
    """Answers a byte a second and never comes to the end of its head."""
    writer.write(b"HTTP/1.1 200 OK\r\nx-drip: ")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(1)


async def redirecting(writer: Writer) -> None:
    writer.write(b"HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n")


async def overloaded(writer: Writer) -> None:
    writer.write(b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\ncontent-length: 0\r\n\r\n")


KINDS: dict[str, Callable[[Writer], Awaitable[None]]] = {
    each.__name__: each for each in (hanging, dripping, redirecting, overloaded)
}


async def serve(folder: Path) -> None:
    ports: dict[str, int] = {}
    for name, answer in KINDS.items():

        async def take(reader: Reader, writer: Writer, answer: Callable[[Writer], Awaitable[None]] = answer) -> None:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while head := await reader.readuntil(b"\r\n\r\n"):
                    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
                    await reader.readexactly(int(length.partition(b":")[2]))
                    await answer(writer)

        server = await asyncio.start_server(take, "127.0.0.1", 0)
        ports[name] = server.sockets[0].getsockname()[1]
    new = folder / "sick.new"
    new.write_text(json.dumps(ports))
    new.rename(folder / "sick.json")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
