"""Hours of a city's load in minutes: `python -m bench.hours --hours 8 --rate 5` runs API, workers and patrol as
processes under one clock, which only the reports that come in move on, and prints how much memory each holds.

The clock begins that many hours ago, so that what it makes due is due by the database's clock too; leases and retries
go by that one. Patrol walks its rounds one after the other and sweeps every ten minutes of the simulated time.
"""

import logging
import mmap
import os
import re
import shutil
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from threading import Event

import click
import orjson

from bench.contestants import Citybrain
from bench.measuring import receiving
from bench.reports import make_reports
from citybrain import broker, logs
from citybrain.clock import now_ms
from citybrain.commands.check import check_store
from citybrain.commands.prepare import prepare_store
from citybrain.config import BUILTIN_CITY, Config
from citybrain.keys import create_key
from citybrain.store.database import Store, StoreUnavailable

TICK_SECONDS = 20  # of the simulated time, in one batch
WAITING = 2_000  # events; then the clock stands still until the workers have come after
SWEEP_MS = 600_000
REPEATS = 10  # of a batch that the store cannot take, on a machine with too much to do
LOOKS = 16  # at the memory
WARM = 0.25  # of all the time, after which memory should not grow any more
PARTS = ("api", "worker-1", "worker-2", "patrol")
CLOCK, FOLDER = "BENCH_CLOCK", "citybrain"
log = logging.getLogger(__name__)


class SimulatedClock:
    """Milliseconds in a file that all processes have in memory; whoever posts moves it."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(8))
        self._file = path.open("r+b")
        self._there = mmap.mmap(self._file.fileno(), 8)

    def __call__(self) -> int:
        return int(struct.unpack("q", self._there[:8])[0])

    def set(self, now: int) -> None:
        self._there[:8] = struct.pack("q", now)


def run_part(part: str) -> None:
    """One process of the installation that the environment names."""
    from workers.process import installation

    logs.set_up(part, "text")
    here = installation()
    here.clock = SimulatedClock(Path(os.environ[CLOCK]))
    if part == "api":
        import uvicorn

        from citybrain.app import build

        uvicorn.run(build(here), port=here.config.port, log_config=None, log_level="warning", access_log=False)
    elif part == "patrol":
        _walk(here.clock)
    else:
        from workers.parts import work

        work([])


def _walk(clock: SimulatedClock) -> None:
    from citybrain.store.lease import Lease, LeasedStore, LeaseLost
    from workers.patrol import LEASE_MS, sweep, walk_round
    from workers.process import installation
    from workers.worker import stop_on_signals

    stop: Event = stop_on_signals()
    here = installation()
    lease = Lease(here.store, "patrol", LEASE_MS)
    acting, swept_at = LeasedStore(here.store, lease), 0
    while not stop.is_set():
        if not lease.held and not lease.take():
            time.sleep(0.2)
            continue
        try:
            walk_round(here, acting)
            if clock() - swept_at > SWEEP_MS:
                sweep(here, acting)
                swept_at = clock()
        except (StoreUnavailable, LeaseLost) as error:
            log.warning("a round of the patrol failed: %s", error)
        time.sleep(0.05)  # some simulated seconds
    here.ringer.close()


class Compressed:
    """An installation under a simulated clock."""

    def __init__(self, folder: Path, editions: Path, begins: int, hook: str) -> None:
        folder.mkdir(parents=True)
        (folder / "editions").symlink_to(editions)
        self.clock = SimulatedClock(folder / "clock")
        self.clock.set(begins)
        self._served = Citybrain(folder, editions)  # for its port and its calls
        self.config = Config(folder, BUILTIN_CITY, f"sqlite:///{folder / 'citybrain.db'}", None)
        prepare_store(self.config)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._broker, where = broker.start(folder)
        own = {
            "CITYBRAIN_DATA": str(folder), "CITYBRAIN_PORT": str(self._served.port), "CITYBRAIN_REDIS_URL": where.url,
            "CITYBRAIN_WEBHOOK_ALLOW": "127.0.0.0/8", CLOCK: str(folder / "clock"),
        }  # fmt: skip
        log = (folder / "log").open("ab")
        for part in PARTS:
            argv = [sys.executable, "-m", "bench.hours", "--part", part]
            self._processes[part] = subprocess.Popen(argv, env=os.environ | own, stdout=log, stderr=log)
        base = f"http://127.0.0.1:{self._served.port}"
        self._served.batch, self._metrics = f"{base}/api/v1/events/batch", f"{base}/metrics"
        self._until_ready(f"{base}/readyz")
        store = Store(self.config.database_url)
        with store.write() as tx:
            key = create_key(tx, "bench", "source", now_ms(), "bench")
        store.close()
        time.sleep(1)  # until the API knows it
        self._served.headers["Authorization"] = f"Bearer {key}"
        self.secret: str = self._served.call("POST", "/api/v1/endpoints", {"name": "bench", "url": hook})["secret"]

    def post(self, reports: list[bytes]) -> None:
        """As they happen."""
        at = datetime.fromtimestamp(self.clock() / 1000 - 5, UTC).isoformat()
        batch = [orjson.loads(report) | {"occurred_at": at} for report in reports]
        for left in reversed(range(REPEATS)):
            try:
                answer = self._served.post_batch(batch)
            except urllib.error.HTTPError as error:
                if error.code != 503 or not left:
                    raise
                time.sleep(2)  # as the answer says
            else:
                break
        if answer["rejected"]:
            raise RuntimeError(f"not accepted: {next(r for r in answer['results'] if r['outcome'] == 'rejected')}")

    def waiting(self) -> int:
        """Events without a decision, by the installation's own figures."""
        with urllib.request.urlopen(self._metrics, timeout=60) as answer:
            told = answer.read().decode()
        return sum(round(float(number)) for number in re.findall(r"^citybrain_waiting_events\{.*\} (.+)$", told, re.M))

    def memory(self) -> dict[str, int]:
        """MiB of its own that each process holds: the pages of files are the machine's."""
        return {part: _held(process) for part, process in self._processes.items()}

    def stop(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.wait(30)
        if self._broker is not None:
            self._broker.terminate()
            self._broker.wait(10)

    def _until_ready(self, url: str) -> None:
        ends = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(url, timeout=2).close()
                return
            except OSError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.2)


def _held(process: subprocess.Popen[bytes]) -> int:
    found = re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    if found is None:
        raise RuntimeError(f"a process has ended: {process.args!r}")
    return int(found[1]) // 1024


@click.command(context_settings={"show_default": True})
@click.option("--hours", default=8.0)
@click.option("--rate", default=5.0, help="Events a second.")
@click.option("--most", default=64, help="MiB that a process may grow by after the first quarter.")
@click.option("--work", type=click.Path(path_type=Path), default="build/hours", help="Folder of everything it writes.")
@click.option("--part", hidden=True)
def main(hours: float, rate: float, most: int, work: Path, part: str | None) -> None:
    """Exits with 1 if a process has grown by more than that, or the store does not keep what it promises."""
    if part:
        run_part(part)
        return
    shutil.rmtree(work / FOLDER, ignore_errors=True)
    shutil.rmtree(work / "receiver", ignore_errors=True)
    (work / "editions").mkdir(parents=True, exist_ok=True)
    ticks = max(LOOKS, round(hours * 3600 / TICK_SECONDS))
    each = max(1, round(rate * TICK_SECONDS))
    begins = now_ms() - ticks * TICK_SECONDS * 1000 - 60_000
    began = time.monotonic()
    reports = make_reports(work / "editions")
    with receiving(work / "receiver", ticks * each) as (hook, arrivals):
        here = Compressed((work / FOLDER).absolute(), (work / "editions").absolute(), begins, hook)
        (work / "receiver" / "secret").write_text(here.secret)
        try:
            looks = list(_pass_time(here, reports, ticks, each))
        finally:
            here.stop()
        messages = arrivals.counted("distinct")
    lines, good = check_store(here.config)
    grown = {name: looks[-1][name] - looks[round(len(looks) * WARM)][name] for name in PARTS}
    took = time.monotonic() - began
    click.echo(
        f"{ticks * each} events of {ticks * TICK_SECONDS / 3600:.1f} h in {took:.0f} s, {messages} messages received"
    )
    click.echo(f"grown after the first quarter, MiB: {grown}")
    click.echo("\n".join(line for line in lines if "BROKEN" in line) or "the store keeps what it promises")
    sys.exit(0 if good and max(grown.values()) <= most else 1)


def _pass_time(here: Compressed, reports: Iterator[bytes], ticks: int, each: int) -> Iterator[dict[str, int]]:
    click.echo("| hours | " + " | ".join(f"{part}, MiB" for part in PARTS) + " |\n" + "|---:" * (len(PARTS) + 1) + "|")
    for tick in range(1, ticks + 1):
        here.post(list(islice(reports, each)))
        here.clock.set(here.clock() + TICK_SECONDS * 1000)
        last = tick == ticks
        if tick % 10 == 0 or last:
            while here.waiting() > (0 if last else WAITING):
                time.sleep(0.5)
        if tick * LOOKS // ticks > (tick - 1) * LOOKS // ticks:
            held = here.memory()
            hours = tick * TICK_SECONDS / 3600
            click.echo(f"| {hours:.2f} | " + " | ".join(str(held[part]) for part in PARTS) + " |")
            yield held


if __name__ == "__main__":
    main()
