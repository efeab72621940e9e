"""The sender against real receivers on this machine, well-behaved and otherwise."""

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import IPv4Address

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from standardwebhooks import Webhook
from yarl import URL

from citybrain.dispatch.address import AllowList
from citybrain.dispatch.sender import LATE, Outcome, Outgoing, Sender, backoff
from citybrain.dispatch.signature import new_secret

LOOPBACK = AllowList.parse("127.0.0.1")
SECRET = new_secret()
BODY = '{"type": "work_order.dispatched", "note": "河边私搭乱建"}'.encode()

Connection = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def _message(url: str, message_id: str = "msg_1") -> Outgoing:
    return Outgoing(message_id, url, [SECRET], BODY)


@asynccontextmanager
async def _receiver(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]], host: str = "127.0.0.1"
) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, host, 0).start()
    try:
        yield f"http://{host}:{runner.addresses[0][1]}/hook"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _raw_receiver(talk: Connection) -> AsyncIterator[str]:
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    finally:
        server.close()


def _send_to(talk: Connection, timeout: float = 60.0) -> Outcome:
    async def go() -> Outcome:
        async with _raw_receiver(talk) as url, Sender(LOOPBACK, timeout=timeout) as sender:
            return await sender.send(_message(url))

    return asyncio.run(go())


def _answering(status: int, headers: dict[str, str] | None = None, now: float = 0.0) -> Outcome:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers, text="the receiver's own words")

    async def go() -> Outcome:
        async with _receiver(answer) as url, Sender(LOOPBACK, clock=lambda: now or time.time()) as sender:
            return await sender.send(_message(url))

    return asyncio.run(go())


def _raw_answer(head: bytes, *chunks: bytes, pause: float = 0.0) -> Connection:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        for chunk in chunks:
            await asyncio.sleep(pause)
            writer.write(chunk)
            try:
                await writer.drain()
            except OSError:
                break
        writer.close()

    return talk


def test_a_delivered_message_has_the_headers_and_signature_of_the_standard() -> None:
    seen: list[tuple[dict[str, str], bytes]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((dict(request.headers), await request.read()))
        return web.Response(status=204, headers={"Set-Cookie": "a=b"})

    async def go() -> Outcome:
        async with _receiver(answer) as url, Sender(LOOPBACK) as sender:
            await sender.send(_message(url))
            return await sender.send(_message(url))

    outcome = asyncio.run(go())
    assert (outcome.kind, outcome.status, outcome.error, outcome.retry_after) == ("delivered", 204, None, None)
    assert outcome.duration_ms > 0
    headers, body = seen[1]
    assert body == BODY
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"].startswith("citybrain/")
    assert "Cookie" not in headers
    assert Webhook(SECRET).verify(body, headers)["type"] == "work_order.dispatched"


def test_each_attempt_is_signed_with_its_own_time_and_the_same_id() -> None:
    seen: list[tuple[str, str]] = []
    times = iter([1000.0, 1000.0, 1060.9, 1060.9])

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.headers["webhook-id"], request.headers["webhook-timestamp"]))
        return web.Response(status=500)

    async def go() -> None:
        async with _receiver(answer) as url, Sender(LOOPBACK, clock=lambda: next(times)) as sender:
            await sender.send(_message(url))
            await sender.send(_message(url))

    asyncio.run(go())
    assert seen == [("msg_1", "1000"), ("msg_1", "1060")]


def test_a_process_that_stood_still_after_it_signed_a_message_does_not_send_it() -> None:
    """Its claim has ended, and another worker has the message."""
    seen = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers["webhook-id"])
        return web.Response(status=204)

    def clock() -> float:
        time.sleep(0.5)
        return time.time()

    async def go() -> Outcome:
        async with _receiver(answer) as url, Sender(LOOPBACK, timeout=0.2, clock=clock) as sender:
            return await sender.send(_message(url), time.monotonic() + 0.1)

    assert asyncio.run(go()) == LATE
    assert seen == []


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_delivered(status: int) -> None:
    assert _answering(status).kind == "delivered"


@pytest.mark.parametrize("status", [400, 401, 404, 408, 422, 500, 503])
def test_other_answers_are_tried_again_without_quoting_the_receiver(status: int) -> None:
    outcome = _answering(status)
    assert (outcome.kind, outcome.status, outcome.retry_after) == ("retry", status, None)
    assert outcome.error == f"status: answered {status}"


def test_a_redirect_is_a_failure_and_is_not_followed() -> None:
    seen = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    async def go() -> Outcome:
        async with _receiver(answer) as url, Sender(LOOPBACK) as sender:
            return await sender.send(_message(url))

    outcome = asyncio.run(go())
    assert (outcome.kind, outcome.status) == ("retry", 307)
    assert str(outcome.error).startswith("redirect:")
    assert seen == ["/hook"]


def test_410_is_gone() -> None:
    outcome = _answering(410, {"Retry-After": "5"})
    assert (outcome.kind, outcome.status, outcome.retry_after) == ("gone", 410, None)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_retry_after_in_seconds_is_reported(status: int) -> None:
    outcome = _answering(status, {"Retry-After": "120"})
    assert (outcome.kind, outcome.retry_after) == ("retry", 120)


def test_retry_after_of_a_plain_error_is_not_obeyed() -> None:
    assert _answering(500, {"Retry-After": "120"}).retry_after is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("0", 0), ("999999999999", 86_400), ("9" * 400, 86_400), ("-5", None), ("1.5", None), ("soon", None), ("", None)],
)
def test_retry_after_is_capped_at_a_day_and_nonsense_is_ignored(header: str, seconds: float | None) -> None:
    assert _answering(429, {"Retry-After": header}).retry_after == seconds


@pytest.mark.parametrize(("ahead", "seconds"), [(90, 90), (-90, 0), (10 * 86_400, 86_400)])
def test_retry_after_may_be_a_date(ahead: int, seconds: int) -> None:
    now = datetime(2026, 11, 22, 8, tzinfo=UTC)
    header = format_datetime(now + timedelta(seconds=ahead), usegmt=True)
    assert _answering(503, {"Retry-After": header}, now.timestamp()).retry_after == seconds


def test_a_hanging_receiver_is_a_timeout() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.close()

    outcome = _send_to(hang, timeout=0.3)
    assert (outcome.kind, outcome.status) == ("retry", None)
    assert str(outcome.error).startswith("timeout:")


def test_a_receiver_that_drips_its_head_is_a_timeout() -> None:
    drip = _raw_answer(b"HTTP/1.1 200 OK\r\n", *[b"x-a: b\r\n"] * 100, pause=0.05)
    outcome = _send_to(drip, timeout=0.3)
    assert str(outcome.error).startswith("timeout:")


def test_a_receiver_that_drips_its_body_is_left_at_the_deadline_and_its_status_counts() -> None:
    def drip(line: bytes, left: asyncio.Event) -> Connection:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 " + line + b"\r\ncontent-length: 1000000\r\n\r\n")
            try:
                while True:
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.05)
            except OSError:
                left.set()
                writer.close()

        return talk

    async def send(line: bytes) -> str:
        left = asyncio.Event()
        async with _raw_receiver(drip(line, left)) as url:
            async with Sender(LOOPBACK, timeout=3) as sender:  # time enough for the head
                kind = (await sender.send(_message(url))).kind
            await left.wait()
        return kind

    async def go() -> list[str]:
        return await asyncio.gather(*(send(line) for line in (b"200 OK", b"500 Oh", b"410 Gone")))

    assert asyncio.run(go()) == ["delivered", "retry", "gone"]


def test_a_huge_body_is_dropped_after_64_kib() -> None:
    written = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        try:
            while written < 1_000_000_000:
                writer.write(b"x" * 65_536)
                written += 65_536
                await writer.drain()
        except OSError:
            writer.close()

    assert _send_to(pour).kind == "delivered"
    assert written < 50_000_000  # what the sockets of both sides buffer


def test_a_compressed_body_is_not_inflated() -> None:
    connections = 0

    async def falsely_compressed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while head := await reader.read(65_536):
            if b"webhook-id" in head.lower():
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nnope")
        writer.close()

    async def go() -> list[str]:
        async with _raw_receiver(falsely_compressed) as url, Sender(LOOPBACK) as sender:
            return [(await sender.send(_message(url))).kind for _ in range(2)]

    assert asyncio.run(go()) == ["delivered"] * 2
    assert connections == 1  # inflating would have failed, and cost the connection


def test_a_connection_reset_is_tried_again() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    outcome = _send_to(reset)
    assert (outcome.kind, outcome.status) == ("retry", None)
    assert str(outcome.error).startswith("reset:")


@pytest.mark.parametrize(
    "head", [b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\na\0b: c\r\n\r\n"]
)
def test_an_answer_that_is_not_http_is_tried_again_and_not_quoted(head: bytes) -> None:
    outcome = _send_to(_raw_answer(head))
    assert (outcome.kind, outcome.error) == ("retry", "protocol: the answer is not HTTP")


def test_nobody_listening_is_tried_again() -> None:
    async def go() -> Outcome:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            async with Sender(LOOPBACK) as sender:
                return await sender.send(_message(f"http://127.0.0.1:{free.getsockname()[1]}/"))

    outcome = asyncio.run(go())
    assert outcome.kind == "retry"
    assert str(outcome.error).startswith("connect:")


def test_tls_against_a_plain_receiver_is_named() -> None:
    async def go() -> Outcome:
        talk = _raw_answer(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await talk(reader, writer)

        async with _raw_receiver(plain) as url, Sender(LOOPBACK) as sender:
            return await sender.send(_message(url.replace("http:", "https:")))

    outcome = asyncio.run(go())
    assert outcome.kind == "retry"
    assert str(outcome.error).startswith("tls:")


class _Names(AbstractResolver):
    """A name server that gives one answer after the other: each a list of addresses, or none for an unknown name."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = self.answers.pop(0)
        if not addresses:
            raise OSError(None, "unknown name")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=_family(address), proto=0, flags=0)
            for address in addresses
        ]

    async def close(self) -> None:
        pass


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _sent_by_name(names: _Names, allow: AllowList, times: int) -> tuple[list[Outcome], int]:
    """Sends to receiver.example, while a receiver listens on all loopback addresses; also how many messages it saw."""
    seen = 0

    async def answer(_request: web.Request) -> web.Response:
        nonlocal seen
        seen += 1
        response = web.Response()
        response.force_close()
        return response

    async def go() -> list[Outcome]:
        async with _receiver(answer, host=str(IPv4Address(0))) as url:
            port = url.rpartition(":")[2].partition("/")[0]
            message = _message(f"http://receiver.example:{port}/hook")
            async with Sender(allow, resolver=names, name_ttl=0) as sender:
                return [await sender.send(message) for _ in range(times)]

    return asyncio.run(go()), seen


def test_a_name_that_turns_from_an_allowed_address_to_loopback_is_refused() -> None:
    names = _Names(["127.0.0.2"], ["127.0.0.1"], ["127.0.0.2"])
    outcomes, seen = _sent_by_name(names, AllowList.parse("127.0.0.2"), times=3)
    assert [outcome.kind for outcome in outcomes] == ["delivered", "refused", "delivered"]
    assert "127.0.0.1 is loopback" in str(outcomes[1].error)
    assert seen == 2


def test_of_several_addresses_only_the_allowed_one_is_called() -> None:
    names = _Names(["127.0.0.1", "10.0.0.1", "127.0.0.2"])
    outcomes, seen = _sent_by_name(names, AllowList.parse("127.0.0.2"), times=1)
    assert [outcome.kind for outcome in outcomes] == ["delivered"]
    assert seen == 1


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["127.0.0.1", "169.254.169.254", "::1"], ["fe80::1%lo"]],
)
def test_a_name_with_private_addresses_alone_is_refused(addresses: list[str]) -> None:
    outcomes, seen = _sent_by_name(_Names(addresses), AllowList(), times=1)
    assert [outcome.kind for outcome in outcomes] == ["refused"]
    assert seen == 0


def test_a_name_that_is_not_known_is_tried_again() -> None:
    outcomes, _ = _sent_by_name(_Names([]), LOOPBACK, times=1)
    assert outcomes[0].kind == "retry"
    assert str(outcomes[0].error).startswith("dns:")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "127.1", "0"])
def test_loopback_is_refused_unless_allowed(host: str) -> None:
    async def go() -> Outcome:
        async with Sender(AllowList.parse("127.0.0.1:9")) as sender:
            return await sender.send(_message(f"http://{host}:9301/"))

    assert asyncio.run(go()).kind == "refused"


def test_a_literal_address_is_judged_by_the_connection_too() -> None:
    class Careless(AllowList):
        def check_url(self, url: str) -> URL:
            """Lets everything pass."""
            return URL(url)

    async def go() -> list[Outcome]:
        async with Sender(Careless()) as sender:
            return [await sender.send(_message(f"http://{host}:9301/")) for host in ("127.0.0.1", "127.1", "[::1]")]

    assert [outcome.kind for outcome in asyncio.run(go())] == ["refused"] * 3


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert _answering(200).kind == "delivered"


def test_a_message_that_cannot_be_signed_is_refused() -> None:
    async def go(message: Outgoing) -> Outcome:
        async with Sender(LOOPBACK) as sender:
            return await sender.send(message)

    for message in (Outgoing("msg_1", "http://127.0.0.1:9/", [], BODY), _message("http://127.0.0.1:9/", "msg\r\nx: y")):
        outcome = asyncio.run(go(message))
        assert outcome.kind == "refused"
        assert str(outcome.error).startswith("message:")


def test_sending_after_closing_raises_nothing() -> None:
    async def go() -> Outcome:
        sender = Sender(LOOPBACK)
        await sender.send(_message("http://127.0.0.1:9/"))
        await sender.close()
        return await sender.send(_message("http://127.0.0.1:9/"))

    assert asyncio.run(go()).kind == "retry"


def test_connections_are_kept() -> None:
    peers = set()

    async def quick(request: web.Request) -> web.Response:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        return web.Response(text="ok")

    async def go() -> None:
        async with _receiver(quick) as near, Sender(LOOPBACK) as sender:
            for _ in range(20):
                await sender.send(_message(near))

    asyncio.run(go())
    assert len(peers) == 1


class _NoJitter(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return 1.0


def _schedule(grade: int | None, rng: random.Random) -> list[float]:
    waits: list[float] = []
    while (wait := backoff(len(waits), grade, rng)) is not None:
        waits.append(wait)
    return waits


def test_ordinary_messages_are_tried_for_three_days() -> None:
    hours = [7200, 18_000, 36_000, 50_400, 72_000, 86_400]
    for grade in (None, 3, 4):
        assert _schedule(grade, _NoJitter()) == [0, 5, 300, 1800, *hours]
    assert 3 <= sum(_schedule(4, _NoJitter())) / 86_400 < 3.5


def test_messages_of_the_top_grades_are_tried_every_minute_for_an_hour() -> None:
    for grade in (1, 2):
        waits = _schedule(grade, _NoJitter())
        assert waits[:8] == [0, 1, 2, 5, 10, 30, 60, 60]
        assert waits.count(60) == 60
        assert waits[66:] == [7200, 18_000, 36_000, 50_400, 72_000, 86_400]


def test_waits_are_spread_by_a_fifth() -> None:
    rng = random.Random(7)
    waits = [backoff(2, 4, rng) or 0 for _ in range(1000)]
    assert 240 <= min(waits) < 250
    assert 350 < max(waits) <= 360
