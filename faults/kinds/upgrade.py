"""What people do on purpose while the queues are full: restart one process after the other, and migrate between."""

import asyncio
from collections.abc import AsyncIterator

from faults.installation import READY_SECONDS, Installation
from faults.kinds import kind

FULL = 3_000


@kind("rolling restart with full queues", "host", burst=FULL)
async def rolling_restart(here: Installation) -> AsyncIterator[None]:
    await _restart(here, "serve", "work", "patrol", "up")
    yield


@kind("upgrade with full queues", "host", burst=FULL)
async def upgrade(here: Installation) -> AsyncIterator[None]:
    """As docs/deploy.md says: migrate while the old processes still serve, then one after the other."""
    await _restart(here, "work")
    done = await asyncio.to_thread(here.command, "migrate")
    if done.returncode:
        raise RuntimeError(f"citybrain migrate: {done.stderr}")
    await _restart(here, "serve", "patrol", "up")
    yield


async def _restart(here: Installation, *names: str) -> None:
    for name in names:
        await asyncio.to_thread(here.parts[name].stop)
        here.parts[name].start()
        await here.until_whole(READY_SECONDS)
