"""What the campaign breaks things with: links, points inside processes, receivers that misbehave."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from faults.installation import INSIDE
from faults.ledgers import Ledger, lines
from faults.proxy import Link
from faults.receiver import Manner, Receiver

ROOT = Path(__file__).parents[2]
WEBHOOK = b'{"type":"work_order.dispatched","data":{"work_order":{"id":"0af1"},"events":[{"attributes":{"bench":7}}]}}'


class Echo:
    """A server that answers each line with the same line, and remembers it."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.heard.append(line)
            writer.write(line)
        writer.close()


async def _ask(port: int, line: bytes) -> bytes:
    """The answer, nothing where the connection broke off."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(line)
        return await reader.readline()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def test_a_link_is_cut_frozen_loses_a_reply_and_heals() -> None:
    async def story() -> None:
        echo = Echo()
        server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
        link = Link(server.sockets[0].getsockname()[1])
        await link.start()
        assert await _ask(link.port, b"hello\n") == b"hello\n"

        link.cut()
        assert await _ask(link.port, b"cut\n") == b""
        link.heal()

        link.lose_replies(b"COMMIT", 1)
        assert await _ask(link.port, b"SELECT\n") == b"SELECT\n"
        assert await _ask(link.port, b"COMMIT 1\n") == b""
        assert echo.heard == [b"hello\n", b"SELECT\n", b"COMMIT 1\n"]
        assert await _ask(link.port, b"COMMIT 2\n") == b"COMMIT 2\n"

        link.freeze()
        waiting = asyncio.create_task(_ask(link.port, b"frozen\n"))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        link.heal()
        assert await waiting == b"frozen\n"
        link.close()
        server.close()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("part", "armed", "dies"), [("serve", True, True), ("work", True, False), ("serve", False, False)]
)
def test_who_passes_an_armed_point_dies_there_and_nobody_after_him(
    tmp_path: Path, part: str, armed: bool, dies: bool
) -> None:
    point = tmp_path / "intake-before-ring"
    if armed:
        point.write_text("SIGKILL")
    code = "from types import SimpleNamespace; from citybrain.queue import Ringer; Ringer.ring(SimpleNamespace())"
    env = os.environ | {"PYTHONPATH": f"{INSIDE}{os.pathsep}{ROOT}", "FAULTS_POINTS": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", code, part], env=env, capture_output=True, check=False)
    assert (ended.returncode == -signal.SIGKILL) == dies, ended.stderr
    assert dies or b"AttributeError" in ended.stderr  # it went on into the function
    assert point.exists() == (armed and not dies)


@pytest.mark.parametrize(
    ("manner", "answered"), [("204", b"204 No Content"), ("500", b"500"), ("302", b"Location"), ("reset-before", b"")]
)
def test_a_receiver_notes_what_it_was_sent_before_it_misbehaves(
    tmp_path: Path, manner: Manner, answered: bytes
) -> None:
    heard: list[tuple[int, str]] = []

    async def story() -> None:
        ledger = Ledger(tmp_path / "ledger")
        receiver = Receiver("one", ledger, lambda number, order: heard.append((number, order)))
        await receiver.start()
        await receiver.behave(manner)
        reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
        head = ("POST /hook HTTP/1.1", "webhook-id: msg_1", "webhook-timestamp: 5", f"Content-Length: {len(WEBHOOK)}")
        writer.write("\r\n".join([*head, "", ""]).encode() + WEBHOOK)
        try:
            assert answered in await reader.read(1000)
        except ConnectionResetError:
            assert not answered
        writer.close()
        await receiver.behave("closed")
        ledger.close()

    asyncio.run(story())
    ((_, *words),) = lines(tmp_path / "ledger")
    assert words == ["one", "msg_1", "work_order.dispatched", "0af1", "7", "5", manner]
    assert heard == ([(7, "0af1")] if manner == "204" else [])
