"""More requests than can be answered in time are not all begun: some are, in their order, and the others are told."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter

from citybrain.operations.admission import Admission

KEY = [(b"authorization", b"Bearer k")]
SESSION = [(b"cookie", b"citybrain_session=s")]
LONG = 60.0


def around(house: "House", **given: Any) -> Admission:
    return Admission(house, Counter("turned_away", "", ["line"], registry=CollectorRegistry()), **given)


class House:
    """An application that answers when it is told to, by the request's path."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.may_end: dict[str, asyncio.Event] = {}
        self.bodies: dict[str, bytes] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        self.begun.append(path)
        self.bodies[path] = (await receive())["body"]
        if path.startswith("/broken"):
            raise ValueError("broken")
        if path.startswith("/stream"):
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await self.may_end.setdefault(path, asyncio.Event()).wait()
        if not path.startswith("/stream"):
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


class Client:
    def __init__(self, app: Any, path: str, headers: Any = KEY, body: bytes | None = b"{}") -> None:
        self.answer: dict[str, Any] = {}
        self._body = body
        scope = {"type": "http", "path": path, "headers": headers}
        self.task = asyncio.ensure_future(app(scope, self._receive, self._send))

    async def _receive(self) -> Any:
        if self._body is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def _send(self, message: Any) -> None:
        self.answer |= message


async def settled() -> None:
    """Until nothing moves by itself any more."""
    for _ in range(20):
        await asyncio.sleep(0)


def run(test: Callable[[House], Awaitable[None]]) -> None:
    async def within() -> None:
        await test(House())
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    asyncio.run(within())


def test_so_many_are_worked_on_and_the_next_one_follows_when_one_is_answered() -> None:
    async def test(house: House) -> None:
        app = around(house, places=2, seconds=LONG)
        for number in range(4):
            Client(app, f"/{number}")
        await settled()
        assert house.begun == ["/0", "/1"]
        house.may_end["/1"].set()
        await settled()
        assert house.begun == ["/0", "/1", "/2"]

    run(test)


def test_who_waited_too_long_is_told_to_come_again_and_nothing_was_begun() -> None:
    async def test(house: House) -> None:
        app = around(house, places=1, seconds=0.01)
        Client(app, "/first")
        late = Client(app, "/late")
        await late.task
        assert late.answer["status"] == 503
        assert (b"retry-after", b"2") in late.answer["headers"]
        assert house.begun == ["/first"]
        house.may_end["/first"].set()
        await settled()
        Client(app, "/later")
        await settled()
        assert house.begun == ["/first", "/later"]

    run(test)


def test_when_too_many_wait_the_next_one_is_refused_at_once() -> None:
    async def test(house: House) -> None:
        told = Counter("turned_away", "", ["line"], registry=(registry := CollectorRegistry()))
        app = Admission(house, told, places=1, waiting=1, seconds=LONG)
        Client(app, "/works"), Client(app, "/waits")
        refused = Client(app, "/refused")
        await refused.task
        assert refused.answer["status"] == 503
        assert registry.get_sample_value("turned_away_total", {"line": "systems"}) == 1
        house.may_end["/works"].set()
        await settled()
        assert house.begun == ["/works", "/waits"]

    run(test)


def test_people_do_not_stand_behind_systems() -> None:
    async def test(house: House) -> None:
        app = around(house, places=1, seconds=LONG)
        for number in range(10):
            Client(app, f"/feedback/{number}", KEY)
        Client(app, "/open311/v2/requests.json", [])  # which carry their key elsewhere
        Client(app, "/api/v1/cases", SESSION), Client(app, "/login", [])
        await settled()
        assert house.begun == ["/feedback/0", "/api/v1/cases"]
        house.may_end["/api/v1/cases"].set()
        await settled()
        assert house.begun == ["/feedback/0", "/api/v1/cases", "/login"]

    run(test)


def test_who_sends_slowly_holds_no_place() -> None:
    async def test(house: House) -> None:
        app = around(house, places=1, seconds=LONG)
        Client(app, "/slow", body=None)
        Client(app, "/quick", body=b"here")
        await settled()
        assert house.begun == ["/quick"]
        assert house.bodies["/quick"] == b"here"

    run(test)


def test_what_is_streamed_holds_no_place_once_it_has_begun() -> None:
    async def test(house: House) -> None:
        app = around(house, places=1, seconds=LONG)
        Client(app, "/stream"), Client(app, "/next"), Client(app, "/third")
        await settled()
        assert house.begun == ["/stream", "/next"]
        house.may_end["/stream"].set()
        await settled()
        assert house.begun == ["/stream", "/next"]  # its place was given back once

    run(test)


def test_a_request_that_fails_gives_its_place_back() -> None:
    async def test(house: House) -> None:
        app = around(house, places=1, seconds=LONG)
        with pytest.raises(ValueError, match="broken"):
            await Client(app, "/broken").task
        Client(app, "/next")
        await settled()
        assert house.begun == ["/broken", "/next"]

    run(test)


def test_whether_the_process_lives_is_answered_however_many_wait() -> None:
    async def test(house: House) -> None:
        app = around(house, free=["/healthz"], places=1, seconds=LONG)
        Client(app, "/works"), Client(app, "/healthz")
        await settled()
        assert house.begun == ["/works", "/healthz"]

    run(test)


def test_nothing_is_begun_for_who_has_gone_before_the_end_of_the_body() -> None:
    async def test(house: House) -> None:
        async def gone() -> Any:
            return {"type": "http.disconnect"}

        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        await around(house)({"type": "http", "path": "/x", "headers": KEY}, gone, send)
        assert (house.begun, sent[0]["status"]) == ([], 400)

    run(test)


def test_no_place_is_lost_whoever_is_answered_fails_gives_up_or_is_cut_off() -> None:
    rng = random.Random(7)

    class Mixed(House):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await asyncio.sleep(rng.uniform(0, 0.004))
            if rng.random() < 0.3:
                raise ValueError("broken")
            await send({"type": "http.response.start", "status": 200, "headers": []})

    async def test() -> None:
        house = Mixed()
        app = around(house, places=3, waiting=20, seconds=0.005)
        clients = []
        for number in range(400):
            clients.append(Client(app, f"/{number}"))
            if rng.random() < 0.2:
                clients[-1].task.cancel()
            await asyncio.sleep(rng.choice([0, 0, 0.001]))
        await asyncio.gather(*(each.task for each in clients), return_exceptions=True)
        statuses = {each.answer.get("status") for each in clients}
        assert {200, 503} <= statuses
        calm = House()
        app._app = calm
        for number in range(5):
            Client(app, f"/{number}")
        await settled()
        assert calm.begun == ["/0", "/1", "/2"]
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    asyncio.run(test())
