"""One attempt to deliver one signed message, and how long to wait for the next one.

Comes after a delivery is claimed; its outcome is recorded by whoever claimed it. Nothing here retries by itself.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from importlib.metadata import version
from math import inf
from types import TracebackType
from typing import Literal, Self

import aiohttp
from aiohttp.abc import AbstractResolver, AbstractStreamWriter
from aiohttp.payload import BytesPayload
from yarl import URL

from citybrain.dispatch.address import AddressRefused, AllowList
from citybrain.dispatch.signature import ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, V1, sign

_log = logging.getLogger(__name__)

LONGEST_ANSWER = 64 * 1024  # bytes read so that the connection can be used again; more closes it
DRAIN_SECONDS = 1.0  # or the connection is closed: who drips a body holds no place
LONGEST_RETRY_AFTER = 86_400
ADDRESSES = 10_000  # as many are parsed and judged once
MEANS_LATER = {429, 502, 503, 504}  # their Retry-After is obeyed

_MINUTE, _HOUR = 60.0, 3600.0
_LONG = tuple(hours * _HOUR for hours in (2, 5, 10, 14, 20, 24))
_NORMAL = (0.0, 5.0, 5 * _MINUTE, 30 * _MINUTE, *_LONG)
_URGENT = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0, *[_MINUTE] * 60, *_LONG)

Kind = Literal["delivered", "retry", "gone", "refused", "late"]
TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """`secrets` holds the endpoint's present secret first, then the old ones while it is rotated; `signatures` the
    identifiers of those that it asked for."""

    id: str
    url: str
    secrets: Sequence[str]
    body: bytes
    signatures: Sequence[str] = (V1,)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`gone` asks to disable the endpoint; `refused` was never sent and never will be as things are configured;
    `late` was not sent because its turn did not come in time.

    `error` is a word and its explanation without anything the receiver wrote; `retry_after` is in seconds.
    """

    kind: Kind
    status: int | None
    error: str | None
    retry_after: float | None
    duration_ms: float


LATE = Outcome("late", None, None, None, 0.0)


class Body(BytesPayload):
    """Is written only until `write_by` (time.monotonic): a process that stood still since it signed the message may
    have lost it to another one meanwhile, and comes to the writing before it notices any timeout."""

    def __init__(self, value: bytes, write_by: float) -> None:
        super().__init__(value)
        self._write_by = write_by
        self.late = False

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        if time.monotonic() > self._write_by:
            self.late = True
            raise TimeoutError
        await super().write_with_length(writer, content_length)


class Sender:
    """Posts messages over one pool of kept connections. Belongs to the event loop it first sends on."""

    def __init__(
        self,
        allow: AllowList,
        timeout: float = TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.time,
        resolver: AbstractResolver | None = None,
        name_ttl: int = 10,
    ) -> None:
        self._allow, self._timeout, self._clock = allow, timeout, clock
        self._address = lru_cache(ADDRESSES)(allow.check_url)
        self._resolver, self._name_ttl = resolver, name_ttl
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, message: Outgoing, begin_by: float = inf) -> Outcome:
        """One attempt, at most `timeout` seconds; none after `begin_by` (time.monotonic). Raises only cancellation."""
        if time.monotonic() > begin_by:
            return LATE
        started = time.perf_counter()
        try:
            headers = self._headers(message)
        except ValueError as error:
            return Outcome("refused", None, f"message: {error}", None, 0.0)
        body = Body(message.body, begin_by + self._timeout)
        try:
            status, retry_after = await self._post(self._address(message.url), body, headers)
        except Exception as error:
            return LATE if body.late else _failed(error, _since(started))
        return _answered(status, retry_after, self._clock(), _since(started))

    def _headers(self, message: Outgoing) -> dict[str, str]:
        timestamp = int(self._clock())
        return {
            ID_HEADER: message.id,
            TIMESTAMP_HEADER: str(timestamp),
            SIGNATURE_HEADER: sign(message.secrets, message.id, timestamp, message.body, message.signatures),
        }

    async def _post(self, address: URL, body: Body, headers: dict[str, str]) -> tuple[int, str | None]:
        if self._session is None:
            self._session = self._new_session()
        deadline = asyncio.get_running_loop().time() + self._timeout
        async with asyncio.timeout_at(deadline):
            response = await self._session.post(address, data=body, headers=headers, allow_redirects=False)
        # The status has been answered: whatever the body does, it changes nothing but the use of the connection.
        if not response.content.at_eof():
            with suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with asyncio.timeout_at(min(deadline, asyncio.get_running_loop().time() + DRAIN_SECONDS)):
                    await _drain(response.content)
        response.close()  # no effect on a connection whose answer was read to its end
        return response.status, response.headers.get("Retry-After")

    def _new_session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,  # the lanes limit
                keepalive_timeout=4,  # many servers close after 5 s; a post on a connection just closed would fail
                resolver=self._resolver,
                use_dns_cache=self._name_ttl > 0,
                ttl_dns_cache=self._name_ttl,
                socket_factory=self._allow.open_socket,
            ),
            headers={
                "content-type": "application/json",
                "user-agent": f"citybrain/{version('citybrain')}",
                "accept-encoding": "identity",
            },
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),  # `send` holds the one deadline
            auto_decompress=False,
            trust_env=False,
        )


async def _drain(content: aiohttp.StreamReader) -> None:
    left = LONGEST_ANSWER
    while left > 0 and (chunk := await content.read(left)):
        left -= len(chunk)


def _answered(status: int, retry_after: str | None, now: float, duration_ms: float) -> Outcome:
    if 200 <= status < 300:
        return Outcome("delivered", status, None, None, duration_ms)
    if status == 410:
        return Outcome("gone", status, "gone: the receiver wants no more messages", None, duration_ms)
    if 300 <= status < 400:
        error = f"redirect: answered {status}, and redirects are not followed"
        return Outcome("retry", status, error, None, duration_ms)
    wait = _wait_asked(retry_after, now) if status in MEANS_LATER else None
    return Outcome("retry", status, f"status: answered {status}", wait, duration_ms)


def _wait_asked(retry_after: str | None, now: float) -> float | None:
    """Seconds from `now` by a Retry-After header, which holds seconds or an HTTP date; None when it holds neither."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def _failed(error: Exception, duration_ms: float) -> Outcome:
    cause = getattr(error, "os_error", error)
    if isinstance(cause, AddressRefused):
        return _refused(cause, duration_ms)
    if isinstance(error, aiohttp.InvalidURL):
        return Outcome("refused", None, "address: this is no address of the web", None, duration_ms)
    return Outcome("retry", None, _explained(error), None, duration_ms)


def _refused(refused: AddressRefused, duration_ms: float) -> Outcome:
    return Outcome("refused", None, f"address: {refused.reason}: {refused.remedy}"[:200], None, duration_ms)


def _explained(error: Exception) -> str:
    """A word and its meaning. Most texts of aiohttp are left out, since they quote what the receiver sent."""
    match error:
        case TimeoutError():
            return "timeout: no answer in time"
        case aiohttp.ClientConnectorDNSError():
            return "dns: the host name could not be resolved"
        case aiohttp.ClientConnectorCertificateError():
            reason = getattr(error.certificate_error, "verify_message", None) or "it does not fit the host"
            return f"tls: the certificate is not accepted: {reason}"[:200]
        case aiohttp.ClientSSLError():
            return f"tls: no encrypted connection: {getattr(error.os_error, 'reason', None) or 'it was broken off'}"
        case aiohttp.ClientConnectorError():
            return f"connect: {error.os_error.strerror or 'no connection'}"[:200]
        case aiohttp.ServerDisconnectedError() | ConnectionError() | aiohttp.ClientOSError():
            return "reset: the connection was closed before an answer"
        case aiohttp.ClientError():
            return "protocol: the answer is not HTTP"
        case _:
            _log.error("sending failed in an unforeseen way", exc_info=error)
            return f"internal: {type(error).__name__}"


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)


def backoff(attempt: int, grade: int | None, rng: random.Random) -> float | None:
    """Seconds to wait after `attempt` attempts (0: none yet) before the next, give or take a fifth; None: give up.

    The schedule that Standard Webhooks recommends, about three days in all. Grades 1 and 2 are tried every minute for
    the first hour, since an emergency that arrives two hours late has not arrived.
    """
    schedule = _URGENT if grade in (1, 2) else _NORMAL
    if attempt >= len(schedule):
        return None
    return schedule[attempt] * rng.uniform(0.8, 1.2)
