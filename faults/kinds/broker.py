"""A broker that dies with all it knew, forgets, is full, freezes, or loses answers."""

import asyncio
import signal
from collections.abc import AsyncIterator

import redis.asyncio

from faults.installation import Installation
from faults.kinds import kind
from faults.parts import tell

LOST = 10


@kind("broker killed, nothing kept", "broker", hold=(0.5, 4), burst=1_500)
async def killed(here: Installation) -> AsyncIterator[None]:
    here.broker.held = True
    here.broker.kill()
    yield
    here.broker.start()


@kind("broker wiped", "broker", burst=1_500)
async def wiped(here: Installation) -> AsyncIterator[None]:
    for _ in range(3):
        await _ask(here, "FLUSHALL")
        await asyncio.sleep(0.3)
    yield


@kind("broker out of memory", "broker", hold=(2, 6), burst=500)
async def full(here: Installation) -> AsyncIterator[None]:
    await _ask(here, "CONFIG", "SET", "maxmemory", "1")
    yield
    await _ask(here, "CONFIG", "SET", "maxmemory", "0")


@kind("broker frozen", "broker", hold=(2, 8), burst=500)
async def frozen(here: Installation) -> AsyncIterator[None]:
    tell(here.broker.pid, signal.SIGSTOP)
    yield
    tell(here.broker.pid, signal.SIGCONT)


@kind("broker's replies lost", "broker", hold=(1, 3), burst=500)
async def replies_lost(here: Installation) -> AsyncIterator[None]:
    for link in here.broker_links.values():
        link.lose_replies(b"", LOST)
    yield
    for link in here.broker_links.values():
        link.heal()


@kind("link to the broker cut", "broker", hold=(1, 6), burst=500)
async def link_cut(here: Installation) -> AsyncIterator[None]:
    links = here.rng.sample(list(here.broker_links.values()), here.rng.choice((1, 2)))
    for link in links:
        link.cut()
    yield
    for link in links:
        link.heal()


async def _ask(here: Installation, *command: str) -> None:
    async with redis.asyncio.Redis(port=here.broker_port, socket_timeout=5) as connection:
        await connection.execute_command(*command)  # type: ignore[no-untyped-call]
