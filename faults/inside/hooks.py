"""Wraps functions of the product as its modules are imported: named points, a planted bug, a clock that is wrong.

The environment says which: FAULTS_POINTS is the folder in which points are armed, FAULTS_PLANTED names a bug,
FAULTS_CLOCK_SECONDS is how far this process's clock is ahead.
"""

import functools
import inspect
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from faults.inside.points import POINTS, Point

Replace = Callable[[Any], Any]  # from what the product has to what stands there instead


def install() -> None:
    wanted: dict[str, list[tuple[str, Replace]]] = {}
    if folder := os.environ.get("FAULTS_POINTS"):
        for name, point in POINTS.items():
            wanted.setdefault(point.module, []).append((point.function, _at_point(Path(folder, name), point)))
    if planted := os.environ.get("FAULTS_PLANTED"):
        from faults.inside.planted import BUGS

        for module, function, replace in BUGS[planted].replaced:
            wanted.setdefault(module, []).append((function, replace))
    if ahead := float(os.environ.get("FAULTS_CLOCK_SECONDS", "0")):
        _shift_clock(ahead)
        wanted.setdefault("citybrain.store.ids", []).append(("new_id", lambda _: _shifted_id))
    if wanted:
        sys.meta_path.insert(0, Finder(wanted))


def _at_point(armed: Path, point: Point) -> Replace:
    """Whoever passes first while the point is armed takes the order with it, and obeys."""

    def obey(answer: Any = None) -> None:
        if sys.argv[1:2] != [point.part] or getattr(answer, "kind", "delivered") != "delivered":
            return
        taken = armed.with_name(f"{armed.name}.{os.getpid()}")
        with suppress(FileNotFoundError):
            armed.rename(taken)
            os.kill(os.getpid(), signal.Signals[taken.read_text()])

    def replace(original: Any) -> Any:
        if inspect.iscoroutinefunction(original):

            @functools.wraps(original)
            async def asynchronous(*args: Any, **kwargs: Any) -> Any:
                if point.when == "before":
                    obey()
                    return await original(*args, **kwargs)
                answer = await original(*args, **kwargs)
                obey(answer)
                return answer

            return asynchronous

        @functools.wraps(original)
        def synchronous(*args: Any, **kwargs: Any) -> Any:
            if point.when == "before":
                obey()
                return original(*args, **kwargs)
            answer = original(*args, **kwargs)
            obey()
            return answer

        return synchronous

    return replace


def _shift_clock(ahead: float) -> None:
    seconds, nanoseconds = time.time, time.time_ns
    time.time = lambda: seconds() + ahead
    time.time_ns = lambda: nanoseconds() + int(ahead * 1e9)


def _shifted_id() -> str:
    import uuid_utils  # which has a clock of its own

    return uuid_utils.uuid7(nanoseconds=time.time_ns()).hex


class Finder(MetaPathFinder):
    """Finds what Python would find, and changes the wanted functions once the module has been executed."""

    def __init__(self, wanted: dict[str, list[tuple[str, Replace]]]) -> None:
        self._wanted = wanted

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._wanted:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = Changing(spec.loader, self._wanted[fullname])
        return spec


class Changing(Loader):
    def __init__(self, loader: Loader, changes: list[tuple[str, Replace]]) -> None:
        self._loader, self._changes = loader, changes

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        for function, replace in self._changes:
            *outer, name = function.split(".")
            holder: Any = module
            for each in outer:
                holder = getattr(holder, each)
            setattr(holder, name, replace(getattr(holder, name)))
