"""`GET /api/v1/stream`: what happens, as it happens, to whoever may see it. Positions follow the order of commits;
`Last-Event-ID` goes on after the last one that was seen, without loss or doubling."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson
from fastapi import APIRouter, Request
from sqlalchemy import ColumnElement, Connection, Row, func, select
from starlette.responses import StreamingResponse

from citybrain.access import Asker, Here, asker, installation_of
from citybrain.clock import rfc3339
from citybrain.installation import Installation
from citybrain.keys import Key, Role, any_of, cases_visible, within
from citybrain.problem import Problem, invalid
from citybrain.store.database import StoreUnavailable
from citybrain.store.stream import number_committed
from citybrain.store.tables import cases, stream

POLL_SECONDS = 0.25
PULSE_SECONDS = 5.0  # so that a page knows that the line is alive
AT_ONCE = 500
READERS = 200
_POSITION = re.compile(r"[0-9]{1,18}")

routes = APIRouter(prefix="/api/v1", tags=["stream 实时"])


class Sequencer:
    """Numbers committed changes while somebody watches, and wakes whoever watches: one query for all of them."""

    def __init__(self, here: Installation) -> None:
        self._here = here
        self.last = 0
        self.readers = 0
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self.closing = False

    async def wait(self, seconds: float) -> None:
        """Until there is something new, or the time is over."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        news = self._news
        try:
            await asyncio.wait_for(news.wait(), seconds)
        except TimeoutError:
            return

    def close(self) -> None:
        self.closing = True
        self._wake()

    async def _run(self) -> None:
        while self.readers and not self.closing:
            try:
                last = await asyncio.to_thread(self._number)
                if last != self.last:
                    self.last = last
                    self._wake()
            except StoreUnavailable:
                pass  # patrol says so; the page sees the data's age
            await asyncio.sleep(POLL_SECONDS)

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _number(self) -> int:
        with self._here.store.read() as tx:
            waiting = tx.execute(select(stream.c.id).where(stream.c.position.is_(None)).limit(1)).first()
            if waiting is None:
                return _last(tx)
        with self._here.store.write() as tx:
            return number_committed(tx)


@routes.get("/stream")
async def watch(request: Request, key: Asker, here: Here) -> StreamingResponse:
    sequencer: Sequencer = request.app.state.sequencer
    if sequencer.readers >= READERS:
        raise Problem(503, f"{READERS} streams are open already", retry_after=10)
    seen = request.headers.get("last-event-id") or request.query_params.get("last_event_id")
    if seen is not None and not _POSITION.fullmatch(seen):
        raise invalid("Last-Event-ID", f"{seen!r} is no position", "send the id of the last event that was seen")
    start = int(seen) if seen else await asyncio.to_thread(_end, here)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_lines(request, key, start, sequencer), media_type="text/event-stream", headers=headers)


async def _lines(request: Request, key: Key, position: int, sequencer: Sequencer) -> AsyncIterator[bytes]:
    here = installation_of(request)
    sequencer.readers += 1
    try:
        yield _pulse(here, position)
        told = time.monotonic()
        while not sequencer.closing and not await request.is_disconnected():
            if not await asyncio.to_thread(_still_may, request):
                return
            rows, position = await asyncio.to_thread(_after, here, key, position)
            for row in rows:
                yield _line(row, here)
            if not rows:
                await sequencer.wait(1.0)
            if rows or time.monotonic() - told > PULSE_SECONDS:
                told = time.monotonic()
                yield _pulse(here, position)
    finally:
        sequencer.readers -= 1


def _still_may(request: Request) -> bool:
    """A revoked key and a session that has ended see no more."""
    try:
        asker(request)
    except Problem:
        return False
    return True


def _end(here: Installation) -> int:
    with here.store.read() as tx:
        return _last(tx)


def _last(tx: Connection) -> int:
    last: int = tx.execute(select(func.coalesce(func.max(stream.c.position), 0))).scalar_one()
    return last


def _after(here: Installation, key: Key, position: int) -> tuple[Sequence[Row[Any]], int]:
    """What the key may see after `position`, and up to where everything has been looked at."""
    with here.store.read() as tx:
        last = _last(tx)
        if last <= position:
            return [], position
        new = (stream.c.position > position) & (stream.c.position <= last) & visible(key, here)
        rows = tx.execute(select(stream).where(new).order_by(stream.c.position).limit(AT_ONCE)).all()
    return rows, rows[-1].position if len(rows) == AT_ONCE else last


def visible(key: Key, here: Installation) -> ColumnElement[bool]:
    if key.role is Role.SOURCE:
        return stream.c.source == key.name
    if key.role is Role.WORKER:
        return (stream.c.source == key.name) | (stream.c.case_id.isnot(None) & within(key, here.city, stream))
    if key.role is Role.SYSTEM:
        return any_of(cases, cases.c.id == stream.c.case_id, cases_visible(key, here.city))
    return within(key, here.city, stream)


def _line(row: Row[Any], here: Installation) -> bytes:
    plain = ("type", "event_id", "case_id", "domain", "county", "town", "village", "cell")
    body = {name: getattr(row, name) for name in plain} | {"at": rfc3339(row.at, here.city.zone), "data": row.data}
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (row.position, row.type.encode(), orjson.dumps(body))


def _pulse(here: Installation, position: int) -> bytes:
    """Also moves Last-Event-ID past what the key may not see."""
    now = (rfc3339(here.clock(), here.city.zone) or "").encode()
    return b'id: %d\nevent: pulse\ndata: {"now": "%s"}\n\n' % (position, now)
