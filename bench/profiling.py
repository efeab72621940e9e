"""Where the time goes: samples one API and one worker process from outside while citybrain is flooded, and adds up
which of our functions were at work (with all they call) and which lines at the end of the stacks."""

import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvloop

from bench.contestants import Citybrain
from bench.measuring import Plan, running
from bench.table import WAYS, lines

SAMPLES_A_SECOND = 200
SHOWN = 16
FRAME = re.compile(r"(?P<function>.+) \((?P<file>[^()]+?)(:\d+)?\)$")
OURS = ("citybrain/", "workers/", "domains/", "geo/")
FRAMES_OF_ALL = ("citybrain/__main__.py", "workers/parts.py", "workers/worker.py")


def profile(contestant: Citybrain, reports: Sequence[bytes], plan: Plan, folder: Path, way: str) -> str:
    """Markdown."""
    with running(contestant, reports, plan, folder) as here:
        enough = uvloop.run(here.sustain(way)).events
        found = contestant.processes()
        stacks = {part: folder / f"{part}.stacks" for part in ("api", "workers")}
        with _sampled({found[part][0].pid: path for part, path in stacks.items()}):
            uvloop.run(here.flood(way, enough))
    return "\n\n".join(_shares(f"{WAYS[way]}: {part}", path) for part, path in stacks.items())


@contextmanager
def _sampled(files: dict[int, Path]) -> Iterator[None]:
    """Samples each process into its file for as long as the block lasts."""
    spies = []
    for pid, path in files.items():
        rate = ["--rate", str(SAMPLES_A_SECOND), "--duration", "600", "--gil", "--nonblocking"]
        argv = ["py-spy", "record", "--pid", str(pid), *rate, "--format", "raw", "--output", str(path)]
        spies.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    yield
    for spy in spies:
        spy.send_signal(signal.SIGINT)
        spy.wait(30)


def _shares(title: str, path: Path) -> str:
    """Of the samples in which the process held the interpreter."""
    whole, within, leaves = 0, Counter[str](), Counter[str]()
    for line in path.read_text().splitlines():
        stack, _, number = line.rpartition(" ")
        frames = [match for frame in stack.split(";") if (match := FRAME.match(frame))]
        if not frames:
            continue
        whole += int(number)
        places = [(_place(frame["file"]), frame["function"]) for frame in frames]
        for file, function in {place for place in places if place[0].startswith(OURS)}:
            if file not in FRAMES_OF_ALL:
                within[f"{file} {function}"] += int(number)
        leaves[" ".join(places[-1])] += int(number)
    pairs = zip(within.most_common(SHOWN), leaves.most_common(SHOWN), strict=False)
    rows = [[name, f"{100 * n / whole:.0f} %", leaf, f"{100 * m / whole:.0f} %"] for (name, n), (leaf, m) in pairs]
    return lines([f"{title}: with what it calls", "share", "at the end of the stack", "share"], rows)


def _place(file: str) -> str:
    return file.rpartition("site-packages/")[2].removeprefix(f"{Path.cwd()}/")
