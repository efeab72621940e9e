"""Roots of the ledger: every so often patrol writes down where each chain ends that has grown since, under the hash of
the root before. Kept elsewhere, they show whatever is changed, removed or added behind them, without any common lock.

The text of a root is what it hashes and what is exported: a header, then a line a chain with its entries and the hash
of the last one. Which chains have grown is known from the stream, which numbers what is committed.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from citybrain.clock import rfc3339, to_ms
from citybrain.store.bulk import insert_rows
from citybrain.store.database import Store
from citybrain.store.ledger import CITY, START
from citybrain.store.ledger_tables import chains, roots
from citybrain.store.locks import Lock, take
from citybrain.store.stream import number_committed
from citybrain.store.tables import cases, stream

AT_ONCE = 50_000  # positions of the stream, or old cases, that one root covers at most: some five megabytes
SEALED = "hash "  # begins the line behind a root's text in a file


class WrongRoots(ValueError):
    """These are no roots, or not as they were made; says which line or which root."""


@dataclass(frozen=True, slots=True)
class Root:
    number: int
    at: int
    before: str
    text: str
    hash: str

    def heads(self) -> Iterator[tuple[str, int, str]]:
        """Chain, number of its entries, hash of the last one."""
        for line in self.text.splitlines()[1:]:
            chain, entries, digest = line.split(" ")
            yield chain, int(entries), digest


def seal(store: Store, now: int, at_once: int = AT_ONCE) -> int:
    """Covers everything that is committed; returns how many roots that took, none when nothing was decided."""
    with store.write() as tx:
        number_committed(tx)
    made = 0
    while True:
        with store.write() as tx:
            if not _add(tx, now, at_once):
                return made
        made += 1


def _add(tx: Connection, now: int, at_once: int) -> bool:
    take(tx, Lock.ROOTS)
    last = tx.execute(_known().order_by(roots.c.number.desc()).limit(1)).first()
    newest = tx.execute(select(func.coalesce(func.max(stream.c.position), 0))).scalar_one()
    city = tx.execute(select(chains).where(chains.c.chain == CITY)).first()
    position, through = newest if last is None else last.position, "" if last is None else last.through
    found: Sequence[Row[Any]] = []
    while not found and (through is not None or position < newest):
        if through is not None:  # the cases from before the first root, in their order
            found = tx.execute(_heads().where(cases.c.id > through).limit(at_once)).all()
            through = found[-1].id if len(found) == at_once else None
        else:
            found = tx.execute(_heads().where(cases.c.id.in_(_grown(position, position + at_once)))).all()
            position = min(position + at_once, newest)
    entries = city.entries if city else 0
    if not found and (last is None or last.city == entries) and (last or not entries):
        return False
    lines = [f"{CITY} {entries} {city.head}"] if city else []
    lines += [f"{row.id} {row.entries} {row.head}" for row in found]
    root = make_root(last.number + 1 if last else 1, now, last.hash if last else START, lines)
    row = {"number": root.number, "at": now, "text": root.text, "hash": root.hash}
    insert_rows(tx, roots, [row | {"position": position, "city": entries, "through": through}])
    return True


def _known() -> Any:
    return select(*(column for column in roots.c if column.name != "text"))


def _heads() -> Any:
    return select(cases.c.id, cases.c.entries, cases.c.head).order_by(cases.c.id)


def _grown(after: int, until: int) -> Any:
    inside = (stream.c.position > after) & (stream.c.position <= until) & stream.c.case_id.isnot(None)
    return select(stream.c.case_id).where(inside)


def make_root(number: int, at: int, before: str, lines: Sequence[str]) -> Root:
    text = "\n".join([f"root {number} at {_time(at)} chains {len(lines)} before {before}", *lines]) + "\n"
    return Root(number, at, before, text, hashlib.sha256(text.encode()).hexdigest())


def kept(tx: Connection, after: int = 0) -> Iterator[Root]:
    """The store's own roots behind a number, one at a time."""
    found = select(roots).where(roots.c.number > after).order_by(roots.c.number)
    for row in tx.execute(found.execution_options(yield_per=1)):
        before = row.text.partition("\n")[0].rpartition(" ")[2]
        yield Root(row.number, row.at, before, row.text, row.hash)


def exported(found: Iterable[Root]) -> Iterator[str]:
    """The text of a file, root by root: behind each its hash."""
    return (f"{root.text}{SEALED}{root.hash}\n" for root in found)


def read_roots(lines: Iterable[str]) -> Iterator[Root]:
    """The roots of a file, each proven by its hash and by the one behind it. Raises WrongRoots."""
    before, number, text = START, 0, ""
    for position, line in enumerate(lines, start=1):
        if not line.startswith(SEALED):
            text += line
            continue
        number += 1
        root = Root(number, _at(text, position), before, text, line.removeprefix(SEALED).strip())
        expected = f"root {number} at {_time(root.at)} chains {text.count(chr(10)) - 1} before {before}\n"
        if not text.startswith(expected) or hashlib.sha256(text.encode()).hexdigest() != root.hash:
            raise WrongRoots(f"root {number}, which ends in line {position}, is not as it was made")
        yield root
        before, text = root.hash, ""
    if text or not number:
        raise WrongRoots("the file ends within a root" if text else "the file has no root")


def _time(at: int) -> str:
    return rfc3339(at, UTC) or ""


def _at(text: str, position: int) -> int:
    try:
        return to_ms(datetime.fromisoformat(text.split(" ", 4)[3]))
    except (ValueError, IndexError):
        raise WrongRoots(f"line {position} ends no root: see docs/ledger.md") from None
