"""The ledger: every chain verifies, and whatever is done to it behind the service's back is found."""

import hashlib
import json
import threading
from typing import Any

import pytest
from desk import Desk
from postgres import both_stores
from sqlalchemy import Row, delete, insert, update

from citybrain.problem import Problem
from citybrain.store.ledger import CITY, Entry, append_to_city
from citybrain.store.ledger_tables import chains, ledger
from citybrain.store.tables import cases

pytestmark = both_stores

WHOLE = "every chain of the ledger is whole"


@pytest.fixture
def case(desk: Desk) -> Row[Any]:
    """A case with seven entries, beside two others and a chain of the city's."""
    desk.open()
    found = desk.open()
    desk.open()
    for number in range(5):
        desk.act(found.id, "note", text=f"第{number}条")
    for number in range(3):
        with desk.here.store.write() as tx:
            append_to_city(tx, Entry("key.created", "liu", {"name": f"k{number}"}), desk.now)
    assert desk.broken() == []
    return desk.case(found.id)


def change(desk: Desk, chain: str, seq: int, /, **values: Any) -> None:
    desk.set(ledger, (ledger.c.chain == chain) & (ledger.c.seq == seq), **values)


def remove(desk: Desk, where: Any) -> None:
    with desk.here.store.write() as tx:
        tx.execute(delete(ledger).where(where))


def rehashed(before: str, row: Row[Any], data: str | None = None) -> str:
    """The hash of an entry with other data behind another one, as whoever forges a chain computes it."""
    parts = [before, row.chain, str(row.seq), str(row.at), row.actor, row.action, data or row.data]
    parts += [row.state] if row.state else []
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def found_broken(desk: Desk, chain: str) -> bool:
    lines = [line for line in desk.broken() if line.startswith(WHOLE)]
    return len(lines) == 1 and chain in lines[0] and "BROKEN 1 times" in lines[0]


def test_the_hash_covers_the_hash_before_and_the_whole_row(desk: Desk, case: Row[Any]) -> None:
    before = "0" * 64
    for row in desk.rows(ledger, ledger.c.chain == case.id):
        before = rehashed(before, row)
        assert row.hash == before
    assert (case.entries, case.head) == (7, before)


@pytest.mark.parametrize("seq", [1, 4, 7])
@pytest.mark.parametrize(
    "values",
    [{"at": 1}, {"actor": "wang"}, {"action": "voided"}, {"data": '{"text":"别的"}'}, {"hash": "f" * 64}, {"seq": 99}],
)
def test_any_edit_is_found(desk: Desk, case: Row[Any], seq: int, values: dict[str, Any]) -> None:
    change(desk, case.id, seq, **values)
    assert found_broken(desk, case.id)


@pytest.mark.parametrize("seq", [1, 4, 7])
def test_any_removal_is_found(desk: Desk, case: Row[Any], seq: int) -> None:
    remove(desk, (ledger.c.chain == case.id) & (ledger.c.seq == seq))
    assert found_broken(desk, case.id)


@pytest.mark.parametrize("seq", [1, 4, 7])
def test_a_removal_that_closes_the_gap_is_found(desk: Desk, case: Row[Any], seq: int) -> None:
    remove(desk, (ledger.c.chain == case.id) & (ledger.c.seq == seq))
    for later in range(seq + 1, 8):
        change(desk, case.id, later, seq=later - 1)
    assert found_broken(desk, case.id)


@pytest.mark.parametrize("seq", [1, 4, 8])
def test_any_insertion_is_found(desk: Desk, case: Row[Any], seq: int) -> None:
    for later in range(7, seq - 1, -1):
        change(desk, case.id, later, seq=later + 1)
    forged = {"chain": case.id, "seq": seq, "at": desk.now, "actor": "liu", "action": "noted", "data": "{}"}
    with desk.here.store.write() as tx:
        tx.execute(insert(ledger).values(**forged, hash="a" * 64))
    assert found_broken(desk, case.id)


def test_exchanged_entries_are_found(desk: Desk, case: Row[Any]) -> None:
    change(desk, case.id, 3, seq=99)
    change(desk, case.id, 4, seq=3)
    change(desk, case.id, 99, seq=4)
    assert found_broken(desk, case.id)


def test_an_edit_with_all_later_hashes_made_anew_is_found_by_the_cases_head(desk: Desk, case: Row[Any]) -> None:
    rows = desk.rows(ledger, ledger.c.chain == case.id)
    before = rows[2].hash
    for row in rows[3:]:
        data = '{"text":"别的"}' if row.seq == 4 else row.data
        before = rehashed(before, row, data)
        change(desk, case.id, row.seq, data=data, hash=before)
    assert found_broken(desk, case.id)


def test_a_chain_that_is_gone_is_found(desk: Desk, case: Row[Any]) -> None:
    remove(desk, ledger.c.chain == case.id)
    assert found_broken(desk, case.id)


@pytest.mark.parametrize("seq", [1, 2, 3])
def test_removals_from_the_citys_own_chain_are_found_even_of_its_last_entry(
    desk: Desk, case: Row[Any], seq: int
) -> None:
    remove(desk, (ledger.c.chain == CITY) & (ledger.c.seq == seq))
    assert found_broken(desk, CITY)


def test_the_citys_own_chain_is_found_missing(desk: Desk, case: Row[Any]) -> None:
    remove(desk, ledger.c.chain == CITY)
    assert found_broken(desk, CITY)


def test_a_chain_that_belongs_to_nothing_is_found(desk: Desk, case: Row[Any]) -> None:
    forged = {"chain": "nothing", "seq": 1, "at": 1, "actor": "x", "action": "noted", "data": "{}"}
    parts = ("0" * 64, "nothing", "1", "1", "x", "noted", "{}")
    digest = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
    with desk.here.store.write() as tx:
        tx.execute(insert(ledger).values(**forged, hash=digest))
    assert found_broken(desk, "nothing")


def test_a_head_that_is_not_its_chains_end_is_found(desk: Desk, case: Row[Any]) -> None:
    desk.set(cases, cases.c.id == case.id, head="f" * 64)
    assert found_broken(desk, case.id)
    desk.set(cases, cases.c.id == case.id, head=case.head)
    with desk.here.store.write() as tx:
        tx.execute(update(chains).values(entries=2))
    assert found_broken(desk, CITY)


def test_writers_at_the_same_time_neither_break_a_chain_nor_lose_an_entry(desk: Desk, case: Row[Any]) -> None:
    done: list[int] = []

    def write(writer: int) -> None:
        while done.count(writer) < 10:
            try:
                desk.act(case.id, "note", text=f"{writer}-{done.count(writer)}")
            except Problem:  # 409: somebody was quicker, look and do it again
                continue
            with desk.here.store.write() as tx:
                append_to_city(tx, Entry("noted", f"w{writer}", {}), desk.now)
            done.append(writer)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(done) == [number for number in range(4) for _ in range(10)]
    assert desk.broken() == []
    noted = [json.loads(row.data)["text"] for row in desk.rows(ledger, ledger.c.chain == case.id)[7:]]
    assert sorted(noted) == sorted(f"{writer}-{number}" for writer in range(4) for number in range(10))
    assert len(desk.rows(ledger, ledger.c.chain == CITY)) == 3 + 40
    assert desk.case(case.id).version == case.version + 40
