"""`--demo`: a small realistic stream of events, and a receiver that verifies webhooks and answers like a department.

Everything it makes is marked as demonstration. It uses the service from outside, over HTTP, as anyone would.
"""

import asyncio
import logging
import random
import secrets
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from citybrain.commands.prepare import admin_key
from citybrain.config import Config
from citybrain.dispatch.signature import ID_HEADER, verify

log = logging.getLogger(__name__)

SECONDS_BETWEEN = 6.0
FIRST_EVENTS = 12
ANSWERS = (("accepted", 3.0), ("completed", 8.0))  # what a department answers, and after how many seconds
UNDECIDED = ("市民来电，具体情况待核实", "群众当面反映，内容需进一步了解")  # no rule knows these: people decide
UNDECIDED_EVERY = 8  # reports, the first of them soon
BY_PEOPLE = "grid"  # where a city has it: the domain that takes what somebody says
NAME = "demo"


def run(config: Config) -> None:
    asyncio.run(_demonstrate(config))


async def _demonstrate(config: Config) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    known = _keys(config)
    async with aiohttp.ClientSession(trust_env=False) as http:
        service = Service(http, f"http://{config.host}:{config.port}")
        await service.wait()
        receiver = Receiver(service, known["system"])
        await receiver.listen(config.demo_port)
        await receiver.register(f"http://127.0.0.1:{config.demo_port}/", admin_key(config.data) or "", known)
        _keep(config.data, known)
        await Feeder(service, known["source"], _examples(config.city)).feed(stop)
        await receiver.close()


class Service:
    """The service's HTTP interface, as the demonstration needs it."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http, self.url = http, url

    async def wait(self) -> None:
        while True:
            try:
                async with self.http.get(f"{self.url}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.3)

    async def call(self, method: str, path: str, key: str, body: Any = None) -> Any:
        """The JSON answer, or None where the service refused or was away."""
        headers = {"Authorization": f"Bearer {key}"}
        url = path if path.startswith("http") else self.url + path
        try:
            async with self.http.request(method, url, json=body, headers=headers) as answer:
                if answer.status >= 400:
                    log.warning("%s %s: %s %s", method, path, answer.status, (await answer.text())[:300])
                    return None
                return orjson.loads(await answer.read() or b"null")
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("%s %s: %s", method, path, type(error).__name__)
            return None


class Receiver:
    """A department's system: takes signed work orders, accepts them, and completes them a little later."""

    def __init__(self, service: Service, key: str) -> None:
        self._service, self._key = service, key
        self._secrets: list[str] = []
        self._seen: set[str] = set()
        self._answering: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None

    async def listen(self, port: int) -> None:
        app = web.Application()
        app.router.add_post("/", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()

    async def register(self, url: str, admin: str, known: dict[str, str]) -> None:
        """The endpoint from the last start, at today's address, or a new one for all departments."""
        if "endpoint" in known and await self._service.call(
            "PATCH", f"/api/v1/endpoints/{known['endpoint']}", admin, {"url": url}
        ):
            self._secrets = [known["secret"]]
            return
        name = f"{NAME}-{secrets.token_hex(3)}"
        made = await self._service.call("POST", "/api/v1/endpoints", admin, {"name": name, "url": url})
        if made is None:
            raise SystemExit("the demonstration could not register its receiver")
        known |= {"endpoint": made["id"], "secret": made["secret"]}
        self._secrets = [made["secret"]]

    async def close(self) -> None:
        for task in self._answering:
            task.cancel()
        if self._runner:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not verify(self._secrets, request.headers, body, now=time.time()):
            return web.Response(status=401)
        message, message_id = orjson.loads(body), request.headers[ID_HEADER]
        if message["type"] == "work_order.dispatched" and message_id not in self._seen:
            self._seen.add(message_id)
            task = asyncio.create_task(self._answer(message["data"]["work_order"]))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        return web.Response(status=204)

    async def _answer(self, order: dict[str, Any]) -> None:
        for status, seconds in ANSWERS:
            await asyncio.sleep(seconds * random.uniform(0.5, 1.5))
            body = {"feedback_id": f"{NAME}-{status}-{order['id']}", "status": status, "note": "演示反馈"}
            await self._service.call("POST", order["feedback_url"], self._key, body)


class Feeder:
    """Reports that people and devices could have sent: the domains' own examples, at random places of the city, and
    now and then one that no rule decides."""

    def __init__(self, service: Service, key: str, examples: list[dict[str, Any]]) -> None:
        self._service, self._key, self._examples = service, key, examples
        domains = {each["domain"] for each in examples}
        self._by_people = BY_PEOPLE if BY_PEOPLE in domains else min(domains)

    async def feed(self, stop: asyncio.Event) -> None:
        points = await self._points()
        number = 0
        while not stop.is_set() and points:
            await self._service.call("POST", "/api/v1/events", self._key, self._report(random.choice(points), number))
            number += 1
            pause = 0.05 if number < FIRST_EVENTS else SECONDS_BETWEEN * random.uniform(0.5, 1.5)
            try:
                await asyncio.wait_for(stop.wait(), pause)
            except TimeoutError:
                continue

    async def _points(self) -> list[list[float]]:
        """Points with a town under them, wherever the city lies."""
        known = await self._service.call("GET", "/api/v1/city", self._key)
        west, south, east, north = known["envelope"]
        points = [[random.uniform(west, east), random.uniform(south, north)] for _ in range(4000)]
        level = list(known["levels"])[-1]
        body = {"points": points, "datum": "wgs84", "levels": [level]}
        found = await self._service.call("POST", "/api/v1/locate", self._key, body)
        return [point for point, code in zip(points, found[level], strict=True) if code]

    def _report(self, point: list[float], number: int) -> dict[str, Any]:
        undecided = {"domain": self._by_people, "title": random.choice(UNDECIDED)}
        example = undecided if number % UNDECIDED_EVERY == 1 else random.choice(self._examples)
        location = {"lng": point[0], "lat": point[1], "datum": "wgs84", "accuracy_m": 15}
        happened = datetime.now(UTC) - timedelta(seconds=random.randint(5, 600))
        return example | {
            "source_event_id": f"{NAME}-{secrets.token_hex(8)}",
            "occurred_at": happened.isoformat(timespec="seconds"),
            "location": location,
        }


def _examples(pack: Path) -> list[dict[str, Any]]:
    from citybrain.city import load_city
    from citybrain.domain import load_domains

    city = load_city(pack)
    return [
        {
            "domain": code,
            "title": each.title[:200] or kind.row.name,
            "description": each.description,
            "attributes": each.attributes,
        }
        for code, domain in load_domains(pack=pack).items()
        if city.uses(code)
        for kind in domain.catalogue.types.values()
        for each in kind.row.examples
    ]


def _keys(config: Config) -> dict[str, str]:
    """The demonstration's own keys, made at its first start and kept beside the admin key."""
    path = config.data / "demo.json"
    if path.exists():
        return dict(orjson.loads(path.read_bytes()))
    from citybrain.clock import now_ms
    from citybrain.keys import create_key
    from citybrain.store.database import Store

    store = Store(config.database_url)
    with store.write() as tx:
        mark = secrets.token_hex(3)
        known = {
            role: create_key(tx, f"{NAME}-{role}-{mark}", role, now_ms(), NAME, demo=True)
            for role in ("source", "system")
        }
    store.close()
    _keep(config.data, known)
    return known


def _keep(data: Path, known: dict[str, str]) -> None:
    path = data / "demo.json"
    path.touch(mode=0o600)
    path.write_bytes(orjson.dumps(known))
