"""What the parts of a contestant have used: processor time and memory, part by part."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import psutil

from bench.contestants import Contestant

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Memory:
    """MiB of all processes of a part: `rss` counts shared pages in each, `pss` each page once."""

    processes: int
    rss: float
    pss: float


def cpu_seconds(contestant: Contestant) -> dict[str, float]:
    """Of every part since it started, children that have ended included."""
    return {part: sum(map(_cpu, each)) for part, each in contestant.processes().items()}


def spent(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {part: after[part] - before.get(part, 0.0) for part in after}


def memory(contestant: Contestant) -> dict[str, Memory]:
    return {part: _memory(each) for part, each in contestant.processes().items()}


def _cpu(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0


def _memory(processes: Iterable[psutil.Process]) -> Memory:
    number, rss, pss = 0, 0, 0
    for process in processes:
        with suppress(psutil.Error):
            held = process.memory_full_info()
            number, rss, pss = number + 1, rss + held.rss, pss + getattr(held, "pss", held.rss)
    return Memory(number, rss / MIB, pss / MIB)
