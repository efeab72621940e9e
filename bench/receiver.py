"""A department's system that only counts: `python -m bench.receiver FOLDER EVENTS` takes webhooks at FOLDER/port."""

import asyncio
import re
import sys
import time
from pathlib import Path
from typing import cast

import httptools
import uvloop

from bench.arrivals import Arrivals
from bench.reports import NUMBER
from citybrain.dispatch.signature import ID_HEADER, verify

CHECKED = 16  # every so-manieth signature: checking all would be a tenth of what is measured
EVENT = re.compile(rb'"%s": ?(\d+)' % NUMBER.encode())
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class Receiver:
    def __init__(self, folder: Path, events: int) -> None:
        self._arrivals = Arrivals(folder / "arrivals", events)
        self._secret_file = folder / "secret"
        self._ids: set[str] = set()

    def take(self, headers: dict[str, str], body: bytes) -> None:
        now = time.monotonic()
        self._arrivals.count("messages")
        if headers[ID_HEADER] in self._ids:
            return
        self._ids.add(headers[ID_HEADER])
        for number in EVENT.findall(body):
            self._arrivals.times[int(number)] = now
        self._arrivals.count("distinct")
        if len(self._ids) % CHECKED:
            return
        if not verify(self._secret_file.read_text().split(), headers, body, time.time()):
            self._arrivals.count("forged")


class Connection(asyncio.Protocol):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._parser = httptools.HttpRequestParser(self)
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._receiver.take(self._headers, b"".join(self._body))
        self._transport.write(ANSWER)
        self._headers, self._body = {}, []


async def serve(folder: Path, events: int) -> None:
    receiver = Receiver(folder, events)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(receiver), "127.0.0.1", 0)
    port = folder / "port"
    port.with_suffix(".new").write_text(str(server.sockets[0].getsockname()[1]))
    port.with_suffix(".new").rename(port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
