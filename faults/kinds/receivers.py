"""A department's system that is ill: each manner on one or two of the three, the others stay well."""

from collections.abc import AsyncIterator

from faults.installation import Installation
from faults.kinds import Break, add
from faults.receiver import WELL, Manner

MANNERS: dict[str, Manner] = {
    "receiver answers 500": "500",
    "receiver answers 429": "429",
    "receiver redirects": "302",
    "receiver hangs": "hang",
    "receiver drips": "drip",
    "receiver resets after its 200": "reset-after",
    "receiver resets before it answers": "reset-before",
    "receiver is not there": "closed",
}


def behaving(manner: Manner) -> Break:
    async def misbehave(here: Installation) -> AsyncIterator[None]:
        ill = here.rng.sample(here.receivers, here.rng.choice((1, 2)))
        for receiver in ill:
            await receiver.behave(manner)
        yield
        for receiver in ill:
            await receiver.behave(WELL)

    return misbehave


for _name, _manner in MANNERS.items():
    add(_name, "receiver", behaving(_manner), hold=(2, 8), burst=500)
