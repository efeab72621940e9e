"""A bell waits at most once per queue, is heard in turn, and never holds up the one who rings."""

import logging
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving import wait_until

from citybrain import broker
from citybrain.queue import DISPATCH, Bells, Ringer, domain_of, queue_name
from citybrain.redis_url import client
from workers.worker import work

GRID, WATER, FIRE = queue_name("grid"), queue_name("water"), queue_name("fire")
QUEUES = (GRID, WATER, FIRE, DISPATCH)
heard: list[str] = []


def handle(domain: str) -> None:
    heard.append(queue_name(domain))
    time.sleep(0.002)


def deliver() -> None:
    heard.append(DISPATCH)


def bells_for(url: str, namespace: str = "citybrain") -> Bells:
    return Bells(url, namespace=namespace, handle=f"{__name__}.handle", deliver=f"{__name__}.deliver")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    process, found = broker.start(tmp_path_factory.mktemp("bells"))
    assert process is not None
    with client(found.url) as connection:
        connection.config_set("appendfsync", "no")  # or it would not answer while this machine's disk is busy
    yield found.url
    process.kill()
    process.wait()


Started = list[subprocess.Popen[bytes]]


@pytest.fixture
def started() -> Iterator[Started]:
    """Brokers that the test itself starts and kills; none outlives it."""
    processes: Started = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def url(server: str) -> str:
    with client(server) as connection:
        connection.flushall()
    heard.clear()
    return server


@pytest.fixture
def worker(url: str) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(url, QUEUES, stop, bells_for(url)))
    thread.start()
    yield
    stop.set()
    thread.join(60)
    assert not thread.is_alive()


def wait_for(count: int, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while len(heard) < count:
        assert time.monotonic() < deadline, heard
        time.sleep(0.002)


def test_queue_names_keep_domains_and_dispatch_apart() -> None:
    assert queue_name("dispatch") != DISPATCH
    assert domain_of(queue_name("dispatch")) == "dispatch"
    assert domain_of(DISPATCH) is None


@given(rounds=st.lists(st.lists(st.sampled_from(QUEUES), max_size=6), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_bell_waits_in_each_queue_that_was_rung_and_none_elsewhere(url: str, rounds: list[list[str]]) -> None:
    with client(url) as connection:
        connection.flushall()
    bells = bells_for(url)
    for names in rounds:
        assert bells.ring(names) is True
    rung = {name for names in rounds for name in names}
    assert bells.waiting(QUEUES) == {name: int(name in rung) for name in QUEUES}
    bells.close()


def test_ring_is_judged_by_the_list_and_not_by_jobs_that_are_left_over(url: str) -> None:
    bells = bells_for(url)
    bells.ring([GRID])
    with client(url) as connection:
        connection.delete("rq:queue:citybrain:" + GRID)  # a worker took it and died
        assert connection.keys("rq:job:*")
    bells.ring([GRID])
    assert bells.waiting([GRID]) == {GRID: 1}


def test_simultaneous_rings_leave_at_most_one_bell_each(url: str) -> None:
    barrier = threading.Barrier(6)

    def ring() -> None:
        bells = bells_for(url)
        barrier.wait()
        for _ in range(50):
            bells.ring([GRID])
        bells.close()

    threads = [threading.Thread(target=ring) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    waiting = bells_for(url).waiting([GRID])
    assert waiting
    assert 1 <= waiting[GRID] <= 6


def test_installations_sharing_a_redis_do_not_hear_each_other(url: str, worker: None) -> None:
    other = bells_for(url, namespace="elsewhere")
    other.ring(QUEUES)
    bells_for(url).ring([WATER])
    wait_for(1)
    time.sleep(0.2)
    assert heard == [WATER]
    assert other.waiting(QUEUES) == dict.fromkeys(QUEUES, 1)


def test_every_queue_is_heard_with_its_domain(url: str, worker: None) -> None:
    bells_for(url).ring(QUEUES)
    wait_for(4)
    assert sorted(heard) == sorted(QUEUES)


def test_busy_queue_does_not_starve_the_others(url: str) -> None:
    bells = bells_for(url)
    with client(url) as connection:
        for name in QUEUES:
            for _ in range(10):  # as if ten processes had rung at once
                bells._enqueue([name])
        connection.close()
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(url, QUEUES, stop, bells_for(url)))
    thread.start()
    wait_for(40)
    stop.set()
    thread.join(60)
    for turn in range(10):
        assert set(heard[turn * 4 : turn * 4 + 4]) == set(QUEUES)


def test_nothing_is_left_in_redis_once_bells_are_heard(url: str, worker: None) -> None:
    for _ in range(5):
        bells_for(url).ring(QUEUES)
        time.sleep(0.05)
    wait_for(len(QUEUES))
    with client(url) as connection:
        wait_until(lambda: not connection.keys("rq:job:*") + connection.keys("rq:execution*"))


def test_idle_worker_hears_every_single_bell(url: str, worker: None) -> None:
    ringer = Ringer(bells_for(url))
    for number in range(1, 51):
        ringer.ring(QUEUES[number % 4])
        wait_for(number)
    ringer.close()


def test_ringer_tells_an_outage_once_and_rings_what_was_marked_in_it(
    tmp_path: Path, started: Started, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "citybrain.queue")
    process, found = broker.start(tmp_path)
    assert process is not None
    started.append(process)
    ringer = Ringer(bells_for(found.url))
    process.kill()
    process.wait()
    wait_until(lambda: "takes no bells" in caplog.text or ringer.ring(GRID, WATER))
    for _ in range(100):
        ringer.ring(GRID, WATER)
        time.sleep(0.003)
    process, found = broker.start(tmp_path)
    assert process is not None
    started.append(process)
    bells = bells_for(found.url)
    wait_until(lambda: bells.waiting([GRID, WATER]) == {GRID: 1, WATER: 1})
    wait_until(lambda: "takes bells again" in caplog.text)
    ringer.close()
    assert caplog.text.count("takes no bells") == 1
    assert caplog.text.count("takes bells again") == 1


def test_ringer_coalesces(url: str) -> None:
    ringer = Ringer(bells_for(url))
    with client(url) as connection:
        before = connection.info("commandstats").get("cmdstat_llen", {}).get("calls", 0)
        for _ in range(1_000):
            ringer.ring(GRID)
        ringer.close(60)
        rings = connection.info("commandstats")["cmdstat_llen"]["calls"] - before
    assert 1 <= rings < 100


def test_ringer_rings_what_is_marked_before_it_closes(url: str) -> None:
    ringer = Ringer(bells_for(url))
    ringer.ring(GRID)
    ringer.ring(WATER)
    ringer.close()
    assert bells_for(url).waiting([GRID, WATER]) == {GRID: 1, WATER: 1}


def test_a_ringer_closes_without_a_broker(tmp_path: Path) -> None:
    ringer = Ringer(bells_for(f"unix://{tmp_path}/nobody.sock"))
    ringer.ring(GRID)
    time.sleep(0.1)
    ringer.close()


def test_two_workers_share_the_queues(url: str, worker: None) -> None:
    stop = threading.Event()
    second = threading.Thread(target=work, args=(url, QUEUES, stop, bells_for(url)))
    second.start()
    for _ in range(10):
        bells_for(url).ring(QUEUES)
        time.sleep(0.03)
    wait_until(lambda: set(heard) == set(QUEUES))
    stop.set()
    second.join(60)
    assert not second.is_alive()
