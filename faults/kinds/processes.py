"""Processes that die, freeze beyond their leases, or have a clock that is wrong."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import redis.asyncio

from faults.installation import READY_SECONDS, Installation
from faults.kinds import Break, NotReached, add, kind
from faults.parts import tell

CLOCK_SECONDS = 600
FREEZES = {"API": (3, 8), "worker": (11, 14), "patrol": (6, 9)}  # beyond the leases of events (10 s) and patrol (5 s)
COMMANDS = {"API": "serve", "worker": "work", "patrol": "patrol"}


def killed(command: str) -> Break:
    async def kill(here: Installation) -> AsyncIterator[None]:
        tell(_any(here, command), signal.SIGKILL)
        yield

    return kill


def frozen(command: str) -> Break:
    async def freeze(here: Installation) -> AsyncIterator[None]:
        pid = _any(here, command)
        tell(pid, signal.SIGSTOP)
        yield
        tell(pid, signal.SIGCONT)

    return freeze


def _any(here: Installation, command: str) -> int:
    running = here.processes(command)
    if not running:
        raise NotReached
    return here.rng.choice(running)


for _word, _command in COMMANDS.items():
    _target = "api" if _word == "API" else _word
    add(f"{_word} killed", _target, killed(_command), burst=500)  # type: ignore[arg-type]
    add(f"{_word} frozen", _target, frozen(_command), FREEZES[_word], burst=500)  # type: ignore[arg-type]


@kind("worker frozen beyond the lease of a delivery", "worker", hold=(26, 28), burst=1_000)
async def frozen_for_long(here: Installation) -> AsyncIterator[None]:
    async for _ in frozen("work")(here):
        yield


@kind("supervisor killed", "host", burst=500)
async def supervisor_killed(here: Installation) -> AsyncIterator[None]:
    """Its children go with it, by the kernel's hand; somebody starts `citybrain up` again."""
    here.parts["up"].kill()
    yield


@kind("host dies", "host", hold=(1, 5), burst=500)
async def host_dies(here: Installation) -> AsyncIterator[None]:
    """A machine with API, worker and patrol is gone at once, and comes back."""
    parts = [here.parts[name] for name in ("serve", "work", "patrol")]
    for part in parts:
        part.held = True
        part.kill()
    yield
    for part in parts:
        part.start()


def clock(ahead: int) -> Break:
    async def go_wrong(here: Installation) -> AsyncIterator[None]:
        worker = here.parts["work"]
        await asyncio.to_thread(worker.stop)
        worker.start(FAULTS_CLOCK_SECONDS=str(ahead))
        await _until_it_hears(here, worker.pid)
        yield
        await asyncio.to_thread(worker.stop)
        worker.start()

    return go_wrong


async def _until_it_hears(here: Installation, pid: int) -> None:
    """A worker has to have begun before its clock can do any harm."""
    ends = time.monotonic() + READY_SECONDS
    async with redis.asyncio.Redis(port=here.broker_port, socket_timeout=5) as broker:
        while time.monotonic() < ends:
            with suppress(redis.RedisError):  # it may be broken too
                for key in await broker.keys("rq:worker:*"):
                    if await broker.hget(key, "pid") == str(pid).encode():
                        return
            await asyncio.sleep(0.1)


for _ahead, _name in (
    (CLOCK_SECONDS, "worker's clock ten minutes ahead"),
    (-CLOCK_SECONDS, "worker's clock ten minutes behind"),
):
    add(_name, "worker", clock(_ahead), hold=(3, 6), burst=500)
