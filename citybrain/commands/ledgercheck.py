"""Is the ledger what it was: chains that are whole, cases as their ledger left them, and everything that the roots
have seen still there. Part of `citybrain check --store`; with a file of exported roots, against that."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, select

from citybrain.casework.imprint import imprint
from citybrain.store.ledger import START, entry_hash
from citybrain.store.ledger_tables import chains, ledger, roots
from citybrain.store.roots import Root, WrongRoots, kept, read_roots
from citybrain.store.tables import cases, work_orders

LATE_MS = 5 * 60 * 1000  # an entry is dated when it is decided, and may be committed so much later
AT_ONCE = 2_000

Head = tuple[int, str]  # entries, hash of the last one


@dataclass
class Seen:
    """What roots say of each chain, oldest first; `until`: when the last one was made."""

    heads: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)
    number: int = 0
    until: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, root: Root) -> None:
        for chain, entries, digest in root.heads():
            self.heads.setdefault(chain, []).append((entries, bytes.fromhex(digest)))
        self.number, self.until = root.number, root.at


def seen_by(tx: Connection, file: Path | None) -> Seen:
    """By the roots of a file, compared with the store's own, or by these alone."""
    seen = Seen()
    given = read_roots(file.open(encoding="utf-8")) if file else _proven(kept(tx), seen)
    own = {row.number: row.hash for row in tx.execute(select(roots.c.number, roots.c.hash))} if file else {}
    for root in given:
        seen.add(root)
        if file and own.get(root.number) != root.hash:
            seen.wrong.append(f"root {root.number} of the file is not the store's")
    return seen


def _proven(found: Iterable[Root], seen: Seen) -> Iterator[Root]:
    """The store's own roots, as far as they are as they were made."""
    lines = (line for root in found for line in [*root.text.splitlines(keepends=True), f"hash {root.hash}\n"])
    try:
        yield from read_roots(lines)
    except WrongRoots as error:
        if seen.number or "no root" not in str(error):
            seen.wrong.append(str(error))


def broken_chains(tx: Connection, seen: Seen) -> tuple[list[str], list[str]]:
    """Chains that are not whole in themselves, and chains that are not what the roots saw; each named once, with the
    entry where that begins."""
    heads: dict[str, Head] = {row.id: (row.entries, row.head) for row in tx.execute(_ends())}
    heads |= {row.chain: (row.entries, row.head) for row in tx.execute(select(chains))}
    broken, differing = [], list(seen.wrong)
    rows = tx.execute(select(ledger).order_by(ledger.c.chain, ledger.c.seq).execution_options(yield_per=AT_ONCE))
    for chain, entries in groupby(rows, key=lambda row: row.chain):
        wrong, changed = _walk(chain, entries, heads.pop(chain, None), seen)
        broken += [f"{chain} {wrong}"] if wrong else []
        differing += [f"{chain} {changed}"] if changed else []
    broken += [f"{chain} has none of its {entries} entries" for chain, (entries, _) in heads.items()]
    differing += [f"{chain} is gone with its {marks[-1][0]} entries" for chain, marks in seen.heads.items()]
    return sorted(broken), sorted(differing)


def _walk(chain: str, entries: Iterable[Row[Any]], head: Head | None, seen: Seen) -> tuple[str, str]:
    """What is wrong with a chain in itself, and beside the roots."""
    wrong, changed, seq, digest, proven = "", "", 0, START, 0
    marks = seen.heads.pop(chain, [])
    rest = iter(marks)
    mark = next(rest, None)
    for row in entries:
        seq += 1
        expected = entry_hash(digest, chain, row.seq, row.at, row.actor, row.action, row.data, row.state)
        if not wrong and (row.seq != seq or row.hash != expected):
            wrong = f"entry {row.seq}"
        digest = row.hash
        while mark and mark[0] == seq:
            if not changed and _bytes(digest) != mark[1]:
                changed = f"has other entries from {proven + 1} to {seq}"
            proven, mark = seq, next(rest, None)
        if not changed and seq > (marks[-1][0] if marks else 0) and row.at < seen.until - LATE_MS:
            changed = f"entry {row.seq} was added, dated before root {seen.number}"
    if mark and not changed:
        changed = f"has {seq} entries, root {seen.number} saw {marks[-1][0]}"
    if not wrong and head != (seq, digest):
        wrong = "does not end where its head says" if head else "belongs to nothing"
    return wrong, changed


def _bytes(digest: str) -> bytes:
    try:
        return bytes.fromhex(digest)
    except ValueError:
        return b""


def _ends() -> Any:
    return select(cases.c.id, cases.c.entries, cases.c.head)


def altered_cases(tx: Connection) -> Iterator[str]:
    """Cases that are not, with their work orders, as the last entry of their ledger left them."""
    last = (ledger.c.chain == cases.c.id) & (ledger.c.seq == cases.c.entries)
    found = select(cases, ledger.c.state.label("imprint")).join(ledger, last).where(ledger.c.state.isnot(None))
    for rows in tx.execute(found.order_by(cases.c.id).execution_options(yield_per=AT_ONCE)).mappings().partitions():
        orders = _orders(tx, rows[0]["id"], rows[-1]["id"])
        for row in map(dict, rows):
            if row.pop("imprint") != imprint(row, orders.get(row["id"], [])):
                yield row["number"]


def _orders(tx: Connection, first: str, last: str) -> dict[str, Sequence[Any]]:
    inside = (work_orders.c.case_id >= first) & (work_orders.c.case_id <= last)
    found = tx.execute(select(work_orders).where(inside).order_by(work_orders.c.case_id)).mappings()
    return {case: list(orders) for case, orders in groupby(found, key=lambda order: order["case_id"])}
