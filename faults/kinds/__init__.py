"""What can go wrong: each kind is one function that breaks something, waits (`yield`), and heals it.

Healing is what people or their tools would do: start again what has died, free a disk, mend a link.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Literal

from faults.installation import Installation

Target = Literal["api", "worker", "patrol", "host", "broker", "store", "receiver"]
Break = Callable[[Installation], AsyncIterator[None]]
STORES = ("sqlite", "postgresql")


class NotReached(Exception):
    """Nothing was broken: no process passed the point in time."""


@dataclass(frozen=True, slots=True)
class Kind:
    """`hold`: seconds between breaking and healing, at least and at most. `burst`: events that are posted at once just
    before. Two kinds with one `target` are not mixed."""

    name: str
    target: Target
    does: Callable[[Installation], AbstractAsyncContextManager[None]]
    hold: tuple[float, float]
    burst: int
    stores: tuple[str, ...]
    needs_small_disk: bool


KINDS: dict[str, Kind] = {}


def kind(
    name: str, target: Target, hold: tuple[float, float] = (0.0, 0.0), burst: int = 0,
    stores: tuple[str, ...] = STORES, needs_small_disk: bool = False,
) -> Callable[[Break], Break]:  # fmt: skip
    def keep(does: Break) -> Break:
        add(name, target, does, hold, burst, stores, needs_small_disk)
        return does

    return keep


def add(
    name: str, target: Target, does: Break, hold: tuple[float, float] = (0.0, 0.0), burst: int = 0,
    stores: tuple[str, ...] = STORES, needs_small_disk: bool = False,
) -> None:  # fmt: skip
    assert name not in KINDS, name
    KINDS[name] = Kind(name, target, asynccontextmanager(does), hold, burst, stores, needs_small_disk)


for _module in ("processes", "points", "broker", "store", "receivers", "upgrade"):
    import_module(f"faults.kinds.{_module}")
