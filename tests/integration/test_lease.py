"""Of several patrols one acts: who has lost the lease writes nothing, and whoever is left takes it over."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from postgres import both_stores, only_postgresql
from serving import wait_until
from sqlalchemy import Row
from steps import FIRE

from citybrain.casework.followup import follow_up
from citybrain.store.lease import Lease, LeasedStore, LeaseLost
from citybrain.store.tables import leases, stream
from workers.patrol import walk_round

pytestmark = both_stores
LONG = 60_000


def lease(desk: Desk) -> Lease:
    return Lease(desk.here.store, "patrol", LONG)


def end_lease(desk: Desk) -> None:
    """As time would."""
    desk.set(leases, leases.c.name == "patrol", lease_until=1)


def holder(desk: Desk) -> Row[Any]:
    return desk.row(leases, leases.c.name == "patrol")


def test_one_holds_a_lease_until_it_ends(desk: Desk) -> None:
    first, second = lease(desk), lease(desk)
    assert first.take()
    assert not second.take()
    end_lease(desk)
    assert second.take()
    assert not first.take()
    assert holder(desk).fence == 2


def test_every_write_of_the_holder_renews_the_lease(desk: Desk) -> None:
    first, second = lease(desk), lease(desk)
    first.take()
    acting = LeasedStore(desk.here.store, first)
    end_lease(desk)
    walk_round(desk.here, acting)
    assert not second.take()
    assert first.held


def test_who_has_lost_the_lease_writes_nothing(desk: Desk) -> None:
    case = desk.open(**FIRE)
    desk.pass_time(hours=1)
    first, second = lease(desk), lease(desk)
    first.take()
    end_lease(desk)
    second.take()
    for late in (
        lambda store: follow_up(store, desk.here.city, desk.now),
        lambda store: walk_round(desk.here, store),
    ):
        with pytest.raises(LeaseLost):
            late(LeasedStore(desk.here.store, first))
    assert not first.held
    assert desk.case(case.id).supervision == 0
    assert {row.position for row in desk.rows(stream)} == {None}
    walk_round(desk.here, LeasedStore(desk.here.store, second))
    assert desk.case(case.id).supervision == 4


def test_whoever_would_take_over_waits_for_a_write_that_is_under_way(desk: Desk) -> None:
    first, second = lease(desk), lease(desk)
    first.take()
    end_lease(desk)
    with ThreadPoolExecutor(1) as pool, LeasedStore(desk.here.store, first).write():
        taken = pool.submit(second.take)
        time.sleep(0.3)
        assert not taken.done()
    assert not taken.result()
    assert first.held


def test_a_released_lease_is_taken_at_once(desk: Desk) -> None:
    first, second = lease(desk), lease(desk)
    first.take()
    first.release()
    assert second.take()
    first.release()  # once more changes nothing
    assert not lease(desk).take()


# Processes

Patrols = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def new_patrol(desk: Desk, tmp_path: Path) -> Iterator[Patrols]:
    """Starts `citybrain patrol` on the desk's store."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        log = (tmp_path / f"patrol-{len(started)}.log").open("wb")
        inherited = {name: text for name, text in os.environ.items() if not name.startswith("CITYBRAIN_")}
        env = inherited | {"CITYBRAIN_DATA": str(tmp_path), "CITYBRAIN_DATABASE_URL": desk.here.store.url}
        started.append(subprocess.Popen([sys.executable, "-m", "citybrain", "patrol"], env=env, stderr=log))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@only_postgresql  # SQLite's only lock would stop everybody, if it froze with that
def test_the_next_patrol_takes_over_from_one_that_died_froze_or_was_stopped(
    desk: Desk, new_patrol: Patrols, tmp_path: Path
) -> None:
    def acts(process: subprocess.Popen[bytes]) -> bool:
        return bool((rows := desk.rows(leases)) and rows[0].holder.endswith(f":{process.pid}"))

    first, second = new_patrol(), new_patrol()
    one, other = wait_until(lambda: [each for each in ((first, second), (second, first)) if acts(each[0])])[0]
    log = tmp_path / f"patrol-{(first, second).index(one)}.log"
    one.send_signal(signal.SIGSTOP)
    wait_until(lambda: acts(other))
    fence = holder(desk).fence
    one.send_signal(signal.SIGCONT)
    wait_until(lambda: "another one acts" in log.read_text())
    assert acts(other)
    assert holder(desk).fence == fence

    other.kill()
    wait_until(lambda: acts(one))
    one.send_signal(signal.SIGTERM)
    assert one.wait(120) == 0
    assert holder(desk).lease_until == 0
