"""The ledger 台账: append-only, hash-chained per case, one chain more for decisions without a case."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import Connection, select, update

from citybrain.store.bulk import insert_rows
from citybrain.store.ledger_tables import chains, ledger
from citybrain.store.upsert import insert_or

CITY = "city"
START = "0" * 64


@dataclass(frozen=True, slots=True)
class Entry:
    action: str
    actor: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends: how many entries it has and the hash of the last one."""

    entries: int = 0
    hash: str = START


def chain_entries(
    chain: str, head: Head, entries: Sequence[Entry], at: int, state: str | None = None
) -> tuple[list[dict[str, Any]], Head]:
    """The rows that continue a chain, and its new head. The hash covers everything in the row and the hash before.
    The last row holds `state`: the digest of what these decisions have led to."""
    rows: list[dict[str, Any]] = []
    seq, digest, last = head.entries, head.hash, head.entries + len(entries)
    for entry in entries:
        seq += 1
        data = orjson.dumps(entry.data, option=orjson.OPT_SORT_KEYS).decode()
        left = state if seq == last else None
        digest = entry_hash(digest, chain, seq, at, entry.actor, entry.action, data, left)
        rows.append(
            {"chain": chain, "seq": seq, "at": at, "actor": entry.actor, "action": entry.action, "data": data}
            | {"state": left, "hash": digest}
        )
    return rows, Head(seq, digest)


def entry_hash(
    before: str, chain: str, seq: int, at: int, actor: str, action: str, data: str, state: str | None = None
) -> str:
    """SHA-256 over the hash before and the row; the unit separator keeps neighbouring fields apart. Entries from
    before states were kept have none."""
    fields = [before, chain, str(seq), str(at), actor, action, data]
    text = "\x1f".join(fields if state is None else [*fields, state])
    return hashlib.sha256(text.encode()).hexdigest()


def lock_city(tx: Connection) -> Head:
    """Until the end of the transaction nobody else decides anything without a case. What is read after this, and
    decided by what was read, is decided once."""
    tx.execute(insert_or(tx.dialect, chains).values(chain=CITY, entries=0, head=START).on_conflict_do_nothing())
    row = tx.execute(select(chains).where(chains.c.chain == CITY).with_for_update()).one()
    return Head(row.entries, row.head)


def append_to_city(tx: Connection, entry: Entry, at: int) -> None:
    """For decisions without a case: keys, endpoints, editions, unmasking."""
    rows, head = chain_entries(CITY, lock_city(tx), [entry], at)
    insert_rows(tx, ledger, rows)
    tx.execute(update(chains).where(chains.c.chain == CITY).values(entries=head.entries, head=head.hash))
