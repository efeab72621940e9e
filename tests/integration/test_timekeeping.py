"""A process goes by the store's clock: what its machine's own one says changes nothing that is written."""

import time
from collections.abc import Iterator

import pytest
from postgres import both_stores

from citybrain.clock import now_ms
from citybrain.store.database import Store, StoreUnavailable
from citybrain.store.timekeeping import StoreClock

pytestmark = both_stores
TEN_MINUTES = 600_000


@pytest.fixture
def store(empty_url: str) -> Iterator[Store]:
    made = Store(empty_url)
    yield made
    made.close()


@pytest.mark.parametrize("wrong", [-TEN_MINUTES, TEN_MINUTES])
def test_a_machine_with_a_wrong_clock_writes_the_stores_time(store: Store, wrong: int) -> None:
    clock = StoreClock(store, lambda: now_ms() + wrong)
    assert abs(clock() - now_ms()) > TEN_MINUTES / 2
    clock.compare()
    assert abs(clock() - now_ms()) < TEN_MINUTES / 10


def test_a_machine_with_a_right_clock_goes_by_it(store: Store) -> None:
    clock = StoreClock(store)
    clock.compare()
    before = now_ms()
    told = clock()
    assert before <= told <= now_ms()


def test_a_clock_that_is_set_right_is_believed_again(store: Store) -> None:
    wrong = [TEN_MINUTES]
    clock = StoreClock(store, lambda: now_ms() + wrong[0])
    clock.compare()
    wrong[0] = 0
    clock.compare()
    assert abs(clock() - now_ms()) < TEN_MINUTES / 10


def test_while_the_store_does_not_answer_the_last_comparison_holds(store: Store) -> None:
    clock = StoreClock(store, lambda: time.time_ns() // 1_000_000 + TEN_MINUTES)
    clock.compare()
    gone = Store("postgresql+psycopg://nobody@127.0.0.1:1/none")
    clock._store = gone
    with pytest.raises(StoreUnavailable):
        clock.compare()
    assert abs(clock() - now_ms()) < TEN_MINUTES / 10
