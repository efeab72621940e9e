"""Processes that die, or freeze, at a named point of an event's way: `faults.inside` has put these into them."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator

from faults.installation import Installation
from faults.kinds import Break, NotReached, Target, add
from faults.parts import tell

REACHED_SECONDS = 6.0
TARGETS: dict[str, Target] = {"serve": "api", "work": "worker", "patrol": "patrol"}

DEATHS = {
    "API killed before its commit": "intake-before-commit",
    "API killed before it rings": "intake-before-ring",
    "API killed before it answers": "intake-before-answer",
    "API killed right after an answer": "after-answer",
    "API killed before the commit of a feedback": "feedback-before-commit",
    "worker killed after its claim": "after-claim",
    "worker killed after the effect, before the commit": "effect-before-commit",
    "worker killed after the commit of handling": "after-handling-commit",
    "worker killed before it sends": "before-sending",
    "worker killed after the receiver's 200, before the record": "after-200",
    "worker killed before the commit of the record": "record-before-commit",
    "patrol killed before its commit": "patrol-before-commit",
}
FREEZES = {
    "worker frozen after its claim": ("after-claim", (11, 13)),
    "worker frozen after the effect, before the commit": ("effect-before-commit", (11, 13)),
    "worker frozen after the receiver's 200, before the record": ("after-200", (26, 28)),
    "patrol frozen before its commit": ("patrol-before-commit", (6, 8)),
}


def at(point: str, order: signal.Signals) -> Break:
    async def happen(here: Installation) -> AsyncIterator[None]:
        armed = here.arm(point, order)
        ends = time.monotonic() + REACHED_SECONDS
        while (pid := here.taken(point)) is None:
            if time.monotonic() > ends:
                armed.unlink(missing_ok=True)
                if (pid := here.taken(point)) is None:
                    raise NotReached
                break
            await asyncio.sleep(0.02)
        yield
        tell(pid, signal.SIGCONT)  # nothing to whoever is dead

    return happen


def _target(point: str) -> Target:
    from faults.inside.points import POINTS

    return TARGETS[POINTS[point].part]


for _name, _point in DEATHS.items():
    add(_name, _target(_point), at(_point, signal.SIGKILL), burst=500)
for _name, (_point, _hold) in FREEZES.items():
    add(_name, _target(_point), at(_point, signal.SIGSTOP), _hold, burst=1_000)
