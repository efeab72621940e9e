"""Faults injected into the real broker and the real worker. The fact is always the same: after the fault the next ring
for every queue is heard within seconds, by a worker that is still there or by the next one, and no queue stays blocked.
"""

import asyncio
import contextlib
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from citybrain import broker
from citybrain.queue import DISPATCH, Bells, queue_name
from citybrain.redis_url import client
from workers.worker import HardLimit, stop_on_signals, work

GRID, WATER = queue_name("grid"), queue_name("water")
QUEUES = (GRID, WATER, DISPATCH)
RQ_QUEUE = "rq:queue:citybrain:"
LONG_ENOUGH = 120  # s, on any machine; what has not happened by then does not


# ---- what the worker process runs: `python test_rq_faults.py URL FOLDER QUEUE…`


def handle(domain: str) -> None:
    """Writes a line when it starts and one when it ends; `slow-DOMAIN` makes it last, `bad-DOMAIN` makes it fail."""
    folder = Path(os.environ["HEARD"])
    tell(folder, f"start {queue_name(domain)}")
    until = time.monotonic() + LONG_ENOUGH
    while (folder / f"slow-{domain}").exists() and time.monotonic() < until:
        time.sleep(0.02)
    if (folder / f"bad-{domain}").exists():
        raise ValueError("a slice that fails")
    tell(folder, f"end {queue_name(domain)}")


LOOP = asyncio.new_event_loop()  # runs in a thread of the worker process, as the sender's does


def deliver() -> None:
    asyncio.run_coroutine_threadsafe(send(), LOOP)


async def send() -> None:
    await asyncio.sleep(0)
    tell(Path(os.environ["HEARD"]), f"start {DISPATCH}")


def tell(folder: Path, what: str) -> None:
    thread = "main" if threading.current_thread() is threading.main_thread() else "loop"
    with (folder / "heard").open("a") as out:
        out.write(f"{what} {time.monotonic()} {os.getpid()} {thread} {threading.active_count()}\n")


def bells_for(url: str) -> Bells:
    return Bells(url, handle="test_rq_faults.handle", deliver="test_rq_faults.deliver")


if __name__ == "__main__":
    os.environ["HEARD"] = sys.argv[2]
    sys.modules["test_rq_faults"] = sys.modules["__main__"]  # rq imports the jobs by name: one module, one loop
    threading.Thread(target=LOOP.run_forever, daemon=True).start()
    work(sys.argv[1], sys.argv[3:], stop_on_signals(), bells_for(sys.argv[1]))
    sys.exit()


# ---- the installation under test


class City:
    """A broker on a folder, bells, and worker processes that can be killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workers: list[subprocess.Popen[bytes]] = []
        self.start_broker()
        self.url = self.broker.url
        self.bells = bells_for(self.url)
        self.redis = client(self.url)

    def start_broker(self) -> None:
        process, self.broker = broker.start(self.folder)
        assert process is not None
        self.server = process
        with client(self.broker.url) as connection:
            connection.config_set("appendfsync", "no")  # or it would not answer while this machine's disk is busy

    def start_worker(self, *queues: str, url: str | None = None, wait: bool = True) -> subprocess.Popen[bytes]:
        argv = [sys.executable, __file__, url or self.url, str(self.folder), *(queues or QUEUES)]
        registered = set(self.redis.keys("rq:worker:*"))
        with (self.folder / "worker.log").open("ab") as out:
            self.workers.append(subprocess.Popen(argv, stderr=out))
        wait_for(lambda: not wait or set(self.redis.keys("rq:worker:*")) - registered)
        return self.workers[-1]

    def heard(self, what: str, since: float = 0.0) -> list[list[str]]:
        with contextlib.suppress(FileNotFoundError):
            lines = [line.split() for line in (self.folder / "heard").read_text().splitlines()]
            return [line for line in lines if f"{line[0]} {line[1]}" == what and float(line[2]) >= since]
        return []

    def every_queue_is_heard(self, by: subprocess.Popen[bytes] | None = None) -> None:
        """Rings as patrol does, twice a second: a bell may fall into the very moment in which a worker reconnects."""
        since, rung_at = time.monotonic(), 0.0

        def all_heard() -> bool:
            nonlocal rung_at
            if time.monotonic() - rung_at > 0.5:
                self.bells.ring(QUEUES)
                rung_at = time.monotonic()
            return all(self.heard(f"start {name}", since) for name in QUEUES)

        wait_for(all_heard)
        if by:
            assert by.poll() is None
            assert {self.heard(f"start {name}", since)[0][3] for name in QUEUES} == {str(by.pid)}

    def wait_for_starts(self, name: str, count: int) -> None:
        wait_for(lambda: len(self.heard(f"start {name}")) == count)

    def slow(self, domain: str) -> Path:
        flag = self.folder / f"slow-{domain}"
        flag.touch()
        return flag

    def log(self) -> str:
        return (self.folder / "worker.log").read_text()

    def end(self) -> None:
        self.redis.close()
        self.bells.close()
        for process in (*self.workers, self.server):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    city = City(tmp_path)
    yield city
    city.end()


class LossyLine:
    """A TCP line to the broker which, while `silent`, carries commands but swallows every reply that holds `about`."""

    def __init__(self, url: str, about: str = "") -> None:
        self._about = about.encode()
        self._path = url.removeprefix("unix://")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        self.silent = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._path)
                threading.Thread(target=self._carry, args=(near, far, False), daemon=True).start()
                threading.Thread(target=self._carry, args=(far, near, True), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, reply: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not (reply and self.silent.is_set() and self._about in data):
                    target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()


def wait_for(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONG_ENOUGH
    while not true():
        assert time.monotonic() < deadline, f"not within {LONG_ENOUGH} s"
        time.sleep(0.01)


# ---- the worker dies


def test_worker_killed_during_a_job_blocks_no_queue(city: City) -> None:
    first = city.start_worker()
    flag = city.slow("grid")
    city.bells.ring([GRID, WATER])
    wait_for(lambda: city.heard(f"start {GRID}"))
    first.kill()
    flag.unlink()
    city.every_queue_is_heard(by=city.start_worker())


def test_worker_on_two_queues_killed_between_dequeue_and_start_blocks_neither(city: City) -> None:
    line = LossyLine(city.url, about=RQ_QUEUE)  # what a pop answers when it has taken something
    first = city.start_worker(GRID, WATER, url=line.url)
    city.bells.ring([GRID, WATER])
    wait_for(lambda: city.heard(f"end {GRID}") and city.heard(f"end {WATER}"))
    line.silent.set()
    city.bells.ring([GRID])
    wait_for(lambda: city.bells.waiting([GRID]) == {GRID: 0})
    first.kill()
    line.close()
    assert len(city.heard(f"start {GRID}")) == 1, "the bell must have been lost for the test to mean anything"
    city.every_queue_is_heard(by=city.start_worker())


def test_redis_forgets_the_bells_that_killed_workers_had_taken(city: City) -> None:
    flag = city.slow("grid")
    for count in range(1, 4):
        worker = city.start_worker()
        city.bells.ring([GRID])
        city.wait_for_starts(GRID, count)
        worker.kill()
        worker.wait()
    flag.unlink()
    started = "rq:wip:citybrain:" + GRID
    assert city.redis.zcard(started) == 3
    for execution in city.redis.zrange(started, 0, -1):
        assert isinstance(execution, bytes)
        city.redis.zadd(started, {execution: time.time() - 1})  # as if their two minutes were over
    city.start_worker()
    wait_for(lambda: city.redis.zcard(started) == 0)
    wait_for(lambda: all(city.redis.ttl(job) not in (-1, 0) for job in city.redis.keys("rq:job:*")))
    assert all(city.redis.ttl(job) <= 300 for job in city.redis.keys("rq:job:*"))


# ---- the broker dies, forgets, fills up, freezes


def test_worker_outlives_a_broker_killed_with_everything_lost(city: City) -> None:
    worker = city.start_worker()
    city.server.kill()
    city.server.wait()
    shutil.rmtree(city.folder / "broker" / "appendonlydir")
    assert city.bells.ring(QUEUES) is False
    city.start_broker()
    city.every_queue_is_heard(by=worker)


def test_worker_outlives_flushall_in_the_middle_of_a_job(city: City) -> None:
    worker = city.start_worker()
    flag = city.slow("grid")
    city.bells.ring([GRID])
    wait_for(lambda: city.heard(f"start {GRID}"))
    city.bells.ring(QUEUES)
    city.redis.flushall()
    flag.unlink()
    city.every_queue_is_heard(by=worker)


def test_worker_outlives_flushall_again_and_again_under_load(city: City) -> None:
    worker = city.start_worker()
    until = time.monotonic() + 2
    while time.monotonic() < until:
        city.bells.ring(QUEUES)
        city.redis.flushall()
        time.sleep(0.003)
    city.every_queue_is_heard(by=worker)


def test_worker_started_while_the_broker_is_out_of_memory_waits_for_it(city: City) -> None:
    city.redis.config_set("maxmemory", "1")
    assert city.bells.ring(QUEUES) is False
    worker = city.start_worker(wait=False)
    wait_for(lambda: "worker lost the broker" in city.log())
    city.redis.config_set("maxmemory", "100mb")
    city.every_queue_is_heard(by=worker)


def test_memory_that_runs_out_during_a_job_does_not_end_the_worker(city: City) -> None:
    worker = city.start_worker()
    flag = city.slow("grid")
    city.bells.ring([GRID, WATER])
    wait_for(lambda: city.heard(f"start {GRID}"))
    city.redis.config_set("maxmemory", "1")
    flag.unlink()
    wait_for(lambda: city.heard(f"end {GRID}"))
    time.sleep(1)
    city.redis.config_set("maxmemory", "100mb")
    city.every_queue_is_heard(by=worker)


def test_worker_outlives_a_frozen_broker_and_rings_stay_short(city: City) -> None:
    worker = city.start_worker()
    city.server.send_signal(signal.SIGSTOP)
    assert city.bells.ring(QUEUES) is False
    time.sleep(2)
    city.server.send_signal(signal.SIGCONT)
    city.every_queue_is_heard(by=worker)
    told = city.log()  # an outage is told once, and there may have been another
    assert told.count("worker lost the broker") <= told.count("worker hears the broker again") + 1


# ---- the line loses replies


def test_lost_reply_is_unknown_and_leaves_one_bell(city: City) -> None:
    line = LossyLine(city.url)
    far = bells_for(line.url)
    assert far.ring([WATER]) is True
    assert city.bells.waiting([WATER]) == {WATER: 1}
    line.silent.set()
    assert far.ring([GRID]) is False
    line.silent.clear()
    assert far.ring([GRID]) is True
    assert city.bells.waiting([GRID]) == {GRID: 1}
    line.close()


def test_worker_whose_replies_are_lost_hears_the_next_ring(city: City) -> None:
    line = LossyLine(city.url)
    worker = city.start_worker(url=line.url)
    line.silent.set()
    city.bells.ring(QUEUES)
    time.sleep(3.5)
    line.silent.clear()
    city.every_queue_is_heard(by=worker)
    line.close()


# ---- things in the queue that are no bells


def test_broken_jobs_are_dropped_and_the_bell_they_kept_out_is_heard(city: City) -> None:
    key = "rq:job:{}"
    city.redis.hset(
        key.format("nofunction"), mapping={"data": b'["no.such.function", null, [], {}]', "status": "queued"}
    )
    city.redis.hset(key.format("pickled"), mapping={"data": pickle.dumps(("os.getpid", None, (), {}))})
    city.redis.hset(key.format("nodata"), mapping={"origin": "x"})
    city.redis.hset(key.format("nodate"), mapping={"data": b"[]", "created_at": "yesterday", "timeout": "soon"})
    city.redis.hset(key.format("nostatus"), mapping={"data": b"\xff\xfe", "status": "\u574f"})
    for name in QUEUES:
        city.redis.rpush(RQ_QUEUE + name, "nofunction", "pickled", "nodata", "nodate", "nostatus", "forgotten", b"\xff")
    assert city.bells.ring(QUEUES) is True
    worker = city.start_worker()
    wait_for(lambda: all(city.heard(f"start {name}") for name in QUEUES))
    wait_for(lambda: city.bells.waiting(QUEUES) == dict.fromkeys(QUEUES, 0))
    city.every_queue_is_heard(by=worker)
    assert not city.redis.keys(key.format("no*"))


def test_slice_that_fails_is_told_and_the_worker_goes_on(city: City) -> None:
    worker = city.start_worker()
    (city.folder / "bad-grid").touch()
    for _ in range(3):
        city.bells.ring([GRID])
        time.sleep(0.1)
    city.every_queue_is_heard(by=worker)
    wait_for(lambda: "a slice that fails" in city.log())


# ---- stopping


def test_idle_worker_leaves_at_sigterm(city: City) -> None:
    worker = city.start_worker()
    city.every_queue_is_heard(by=worker)
    time.sleep(0.3)
    worker.terminate()
    assert worker.wait(LONG_ENOUGH) == 0


def test_busy_worker_ends_its_slice_before_it_leaves(city: City) -> None:
    worker = city.start_worker()
    flag = city.slow("grid")
    city.bells.ring([GRID])
    wait_for(lambda: city.heard(f"start {GRID}"))
    worker.terminate()
    worker.terminate()
    time.sleep(0.5)
    flag.unlink()
    assert worker.wait(LONG_ENOUGH) == 0
    assert city.heard(f"end {GRID}")


def test_worker_leaves_while_the_broker_is_gone(city: City) -> None:
    worker = city.start_worker()
    city.server.kill()
    time.sleep(1)
    worker.terminate()
    assert worker.wait(LONG_ENOUGH) == 0


def test_job_past_its_limit_ends_the_process_with_all_stacks(tmp_path: Path) -> None:
    code = "import time; from workers.worker import HardLimit\n"
    code += "with HardLimit(1):\n try: time.sleep(20)\n finally: print('interrupted')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=LONG_ENOUGH)
    assert ended.returncode == -signal.SIGALRM
    assert b"most recent call first" in ended.stderr
    assert ended.stdout == b"", "no exception is raised inside a job"
    with HardLimit(1):  # type: ignore[no-untyped-call]
        pass
    time.sleep(1.1)  # a limit that was kept does not strike afterwards


def test_jobs_run_in_the_main_thread_of_one_process_and_rq_adds_no_thread(city: City) -> None:
    """So a handler may keep a SQLAlchemy engine, and a delivery may be handed to a loop in another thread."""
    worker = city.start_worker()
    for _ in range(3):
        city.every_queue_is_heard(by=worker)
    lines = [(line[1], *line[4:]) for name in QUEUES for line in city.heard(f"start {name}")]
    threads = "2"  # the main one and the loop's
    assert set(lines) == {(GRID, "main", threads), (WATER, "main", threads), (DISPATCH, "loop", threads)}
