"""Roots of the ledger, exported and kept elsewhere: whoever changes the record behind the service's back, and makes
every hash anew, is found out, and what was changed is named."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from desk import Desk
from postgres import both_stores
from serving import Service
from sqlalchemy import Row, delete, insert, update

from citybrain.__main__ import main
from citybrain.casework.imprint import imprint
from citybrain.clock import now_ms
from citybrain.commands.rootfile import export
from citybrain.store.ledger import CITY, START, Entry, append_to_city, entry_hash
from citybrain.store.ledger_tables import chains, ledger, roots
from citybrain.store.roots import WrongRoots, kept, read_roots, seal
from citybrain.store.tables import cases, events, stream, work_orders

pytestmark = both_stores


@pytest.fixture
def case(desk: Desk) -> Row[Any]:
    """A case with five entries, beside two others and a chain of the city's."""
    desk.open()
    found = desk.open()
    desk.open()
    for number in range(3):
        desk.act(found.id, "note", text=f"第{number}条")
    with desk.here.store.write() as tx:
        append_to_city(tx, Entry("key.created", "liu", {"name": "k"}), desk.now)
    return desk.case(found.id)


@pytest.fixture
def file(desk: Desk, case: Row[Any], tmp_path: Path) -> Path:
    """The roots so far, out of the forger's reach; an hour later the work goes on."""
    path = tmp_path / "roots.txt"
    seal(desk.here.store, desk.now)
    export(desk.here.config, path)
    desk.pass_time(hours=1)
    desk.act(case.id, "note", text="后来的一条")
    desk.open()
    assert desk.broken(path) == []
    return path


def forge(desk: Desk, chain: str, entries: list[dict[str, Any]]) -> None:
    """Writes a chain anew, with right hashes, and sets its head: in itself it is whole."""
    rows, before = [], START
    for seq, entry in enumerate(entries, start=1):
        told = {name: entry[name] for name in ("at", "actor", "action", "data", "state")}
        before = entry_hash(before, chain, seq, **told)
        rows.append(told | {"chain": chain, "seq": seq, "hash": before})
    with desk.here.store.write() as tx:
        tx.execute(delete(ledger).where(ledger.c.chain == chain))
        tx.execute(insert(ledger), rows)
        tx.execute(update(cases).where(cases.c.id == chain).values(entries=len(rows), head=before))
        tx.execute(update(chains).where(chains.c.chain == chain).values(entries=len(rows), head=before))


def entries_of(desk: Desk, chain: str) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in desk.rows(ledger, ledger.c.chain == chain)]


def only(desk: Desk, file: Path, *named: str) -> None:
    """The check finds this alone, and by the roots alone."""
    (line,) = desk.broken(file)
    assert "its 1 roots of roots.txt saw" in line
    assert "BROKEN 1 times" in line
    assert all(part in line for part in named), line


def test_an_entry_that_was_changed_is_named_although_every_hash_is_right(
    desk: Desk, case: Row[Any], file: Path
) -> None:
    entries = entries_of(desk, case.id)
    entries[3]["data"] = '{"text":"别的"}'
    forge(desk, case.id, entries)
    only(desk, file, case.id, "has other entries from 1 to 5")


def test_an_entry_that_was_removed_is_found(desk: Desk, case: Row[Any], file: Path) -> None:
    entries = entries_of(desk, case.id)
    forge(desk, case.id, entries[:2] + entries[3:])
    only(desk, file, case.id)


def test_an_entry_that_was_put_in_before_is_found(desk: Desk, case: Row[Any], file: Path) -> None:
    entries = entries_of(desk, case.id)
    forge(desk, case.id, [*entries[:3], entries[2], *entries[3:]])
    only(desk, file, case.id)


def test_an_entry_that_was_added_with_an_old_date_is_named(desk: Desk, case: Row[Any], file: Path) -> None:
    entries = entries_of(desk, case.id)
    backdated = entries[-1] | {"at": entries[2]["at"] - 3_600_000, "data": '{"text":"早就写了"}'}
    forge(desk, case.id, [*entries, backdated])
    only(desk, file, case.id, "entry 7 was added, dated before root 1")


def test_a_chain_that_was_cut_off_at_its_end_is_found(desk: Desk, case: Row[Any], file: Path) -> None:
    entries = entries_of(desk, case.id)
    state = imprint(case._mapping, [order._mapping for order in desk.orders(case.id)])
    forge(desk, case.id, [*entries[:3], entries[3] | {"state": state}])
    desk.set(cases, cases.c.id == case.id, **{n: getattr(case, n) for n in ("version", "updated_at")})
    only(desk, file, case.id, "has 4 entries, root 1 saw 5")


def test_a_case_that_is_gone_with_all_that_was_its_own_is_named(desk: Desk, case: Row[Any], file: Path) -> None:
    with desk.here.store.write() as tx:
        tx.execute(delete(ledger).where(ledger.c.chain == case.id))
        tx.execute(delete(work_orders).where(work_orders.c.case_id == case.id))
        tx.execute(update(events).where(events.c.case_id == case.id).values(case_id=None, state="received"))
        tx.execute(delete(cases).where(cases.c.id == case.id))
    only(desk, file, case.id, "is gone with its 5 entries")


def test_a_case_that_was_added_in_the_past_is_named(desk: Desk, case: Row[Any], file: Path) -> None:
    other = desk.open()  # whole and dispatched as it should be, were it not for its date
    past = desk.now - 10 * 24 * 3_600_000
    forge(desk, other.id, [entry | {"at": past} for entry in entries_of(desk, other.id)])
    only(desk, file, other.id, "entry 1 was added, dated before root 1")


def test_the_citys_own_chain_is_held_against_its_roots_too(desk: Desk, case: Row[Any], file: Path) -> None:
    entries = entries_of(desk, CITY)
    forge(desk, CITY, [entry | {"actor": "wang"} for entry in entries])
    only(desk, file, CITY)


def test_roots_that_were_made_anew_are_not_those_of_the_file(desk: Desk, case: Row[Any], file: Path) -> None:
    entries = entries_of(desk, case.id)
    entries[3]["data"] = '{"text":"别的"}'
    forge(desk, case.id, entries)
    with desk.here.store.write() as tx:
        tx.execute(delete(roots))
    seal(desk.here.store, desk.now)
    assert desk.broken() == []  # the store says nothing against itself
    (line,) = desk.broken(file)
    assert "root 1 of the file is not the store's" in line
    assert case.id in line


@pytest.mark.parametrize(
    "values",
    [{"status": "closed"}, {"grade": 1}, {"due_at": 1}, {"title": "x"}, {"county": "441403"}, {"lead": "x"}],
)
def test_a_case_that_is_not_as_its_ledger_left_it_is_named(
    desk: Desk, case: Row[Any], file: Path, values: dict[str, Any]
) -> None:
    desk.set(cases, cases.c.id == case.id, **values)
    assert [line for line in desk.broken() if line.startswith("every case is as its ledger left it")] == [
        f"every case is as its ledger left it: BROKEN 1 times: {case.number}"
    ]


def test_a_work_order_that_was_changed_or_removed_is_found_with_its_case(desk: Desk, case: Row[Any]) -> None:
    order = desk.lead(case.id)
    desk.set(work_orders, work_orders.c.id == order.id, completed_at=desk.now)
    assert [line.rpartition(": ")[2] for line in desk.broken()] == [case.number]
    desk.set(work_orders, work_orders.c.id == order.id, completed_at=None)
    assert desk.broken() == []


def test_without_a_file_the_stores_own_roots_are_held_against_it(desk: Desk, case: Row[Any], file: Path) -> None:
    entries = entries_of(desk, case.id)
    entries[3]["data"] = '{"text":"别的"}'
    forge(desk, case.id, entries)
    (line,) = desk.broken()
    assert "the ledger holds what its 1 roots saw" in line
    desk.set(roots, roots.c.number == 1, text=desk.row(roots).text.replace("chains 4", "chains 3"))
    assert any("is not as it was made" in line for line in desk.broken())


def test_a_root_covers_only_what_has_grown_and_none_is_made_when_nothing_was_decided(
    desk: Desk, case: Row[Any]
) -> None:
    store = desk.here.store
    assert seal(store, desk.now) == 1
    assert seal(store, desk.now) == 0
    desk.act(case.id, "note", text="又一条")
    assert seal(store, desk.now) == 1
    with store.read() as tx:
        first, second = kept(tx)
    assert len(list(first.heads())) == 4  # three cases and the city
    assert [chain for chain, _, _ in second.heads()] == [CITY, case.id]
    assert list(second.heads())[1] == (case.id, 6, desk.case(case.id).head)
    assert second.before == first.hash


def test_what_was_decided_before_the_first_root_is_covered_in_parts(desk: Desk, case: Row[Any]) -> None:
    with desk.here.store.write() as tx:
        tx.execute(delete(stream))  # an installation from before: nobody knows what has grown
    assert seal(desk.here.store, desk.now, at_once=2) == 2
    with desk.here.store.read() as tx:
        covered = {chain for root in kept(tx) for chain, _, _ in root.heads()}
    assert covered == {CITY, *(row.id for row in desk.rows(cases))}


def test_a_file_is_added_to_and_refused_where_it_is_not_as_it_was(desk: Desk, case: Row[Any], file: Path) -> None:
    before = file.read_text()
    assert "1 roots added" in export(desk.here.config, file)
    assert file.read_text().startswith(before)
    assert [root.number for root in read_roots(file.open())] == [1, 2]
    assert desk.broken(file) == []
    assert "0 roots added" in export(desk.here.config, file)
    file.write_text(before.replace(" 5 ", " 4 "))
    for do in (export, lambda config, path: desk.broken(path)):
        with pytest.raises(WrongRoots, match="root 1, which ends in line 6, is not as it was made"):
            do(desk.here.config, file)


def test_the_commands_write_and_read_the_file(desk: Desk, case: Row[Any], tmp_path: Path) -> None:
    config, path = desk.here.config, tmp_path / "roots.txt"
    environment = {"CITYBRAIN_DATA": str(config.data), "CITYBRAIN_DATABASE_URL": config.database_url}
    told = CliRunner(env=environment).invoke(main, ["ledger", "root", "export", str(path)])
    assert told.exit_code == 0, told.output
    assert "1 roots added" in told.output
    told = CliRunner(env=environment).invoke(main, ["check", "--store", "--root", str(path)])
    assert (told.exit_code, "1 roots of roots.txt saw, and nothing older: yes" in told.output) == (0, True), told.output
    path.write_text("not a root\n")
    told = CliRunner(env=environment).invoke(main, ["check", "--store", "--root", str(path)])
    assert (told.exit_code, "the file ends within a root" in told.output) == (1, True)


def test_the_timeline_is_the_ledger(desk: Desk, case: Row[Any]) -> None:
    shown = desk.act(case.id, "note", text="看一眼")["timeline"]
    assert [(entry["action"], entry["data"]) for entry in shown] == [
        (row.action, json.loads(row.data)) for row in desk.rows(ledger, ledger.c.chain == case.id)
    ]


def test_auditors_take_the_roots_by_http_and_operators_do_not(shared_service: Service) -> None:
    auditor = shared_service.key("auditor", f"roots-auditor-{now_ms()}")
    operator = shared_service.key("operator", f"roots-operator-{now_ms()}")
    listed = shared_service.until("/api/v1/ledger/roots", lambda page: page["items"], key=auditor)
    text = shared_service.call("GET", "/api/v1/ledger/roots.txt", key=auditor).body.decode()
    assert [root.hash for root in read_roots(text.splitlines(keepends=True))] == [
        root["hash"] for root in reversed(listed["items"])
    ]
    for path in ("/api/v1/ledger/roots", "/api/v1/ledger/roots.txt"):
        assert shared_service.call("GET", path, key=operator).status == 403
