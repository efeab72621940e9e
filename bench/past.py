"""A city's past in minutes: what some closed cases left in every table is written again and again, each time further
back, with ids, times, numbers and ledger hashes of its own, so that the record keeps what `check --store` asks of it.

One copy fills one slot of 10,000 seconds (2 h 47 min): 10,000 seeds make 86,400 events a day.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import BigInteger, Connection, LargeBinary, Table, select, text, true

from citybrain.clock import now_ms
from citybrain.commands.walk import plain_tables
from citybrain.store.database import Store
from citybrain.store.ledger import START, entry_hash
from citybrain.store.partitions import make_partitions

SLOT_MS = 10_000_000  # a power of ten: a time is the slot's digits and seven more
STREAM_SLOTS = 60  # what patrol keeps of the stream: seven days
SLOTS_A_COMMIT = 10
LEFT_BY_AN_EVENT = (
    "events", "receipts", "reporters", "cases", "work_orders", "feedbacks", "deliveries", "attempts", "ledger",
    "stream",
)  # fmt: skip
ID = re.compile(r"[0-9a-f]{12}7[0-9a-f]{19}")
NUMBER = re.compile(r"(\d{8})-([a-z_]+)-(\d{5})")
HOLE = re.compile("\ue000(.*?)\ue001")
HASHED = ("chain", "seq", "at", "actor", "action", "data")
FIELD, ENTRY = "\x1f", "\x1e"


class Template:
    """A text with holes, and what belongs into each."""

    def __init__(self, whole: str) -> None:
        self._parts = HOLE.split(whole)
        self._names = self._parts[1::2]

    def fill(self, values: dict[str, str]) -> str:
        parts = self._parts.copy()
        parts[1::2] = map(values.__getitem__, self._names)
        return "".join(parts)


class Past:
    """Everything that the store holds of its first closed cases, ready to be written again. Nothing else may be in
    the store by then but what is still in work."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.slots = 0
        tables = {table.name: table for table in plain_tables()}
        with store.read() as tx:
            rows = {name: _of_closed_cases(tx, tables, name) for name in LEFT_BY_AN_EVENT}
        self.seeds = len(rows["events"])
        self._now = now_ms()
        self._begins = min(row["received_at"] for row in rows["events"]) - SLOT_MS // 10
        self._ids = {id_: place for place, id_ in enumerate(sorted(_ids(rows)))}
        self._numbers = {row["number"] for row in rows["cases"]}
        holed = {name: [self._holed(tables[name], row) for row in each] for name, each in rows.items()}
        self._number_entries(holed)
        self._chains = Template(ENTRY.join(FIELD.join(str(row[name]) for name in HASHED) for row in holed["ledger"]))
        postgresql = store.engine.dialect.name == "postgresql"
        render = _as_copy if postgresql else _as_json
        self._tables = [(tables[name], list(each[0]), Template(render(each))) for name, each in holed.items() if each]
        later = {name for _, _, template in self._tables for name in template._names if name.startswith("T")}
        self._later = [int(name[1:]) for name in later]
        self._insert = _copy if postgresql else _executemany

    @property
    def stored(self) -> int:
        """Events of the past, the seeds among them."""
        return (self.slots + 1) * self.seeds

    def write(self, events: int) -> int:
        """At least so many events more. Returns how many."""
        slots = range(self.slots, self.slots - (-events // self.seeds))
        if self._store.engine.dialect.name == "postgresql":
            with self._store.write() as tx:
                make_partitions(tx, self._begin(slots[-1]), self._now)
        for first in range(slots.start, slots.stop, SLOTS_A_COMMIT):
            with self._store.write() as tx:
                if tx.dialect.name == "postgresql":
                    tx.execute(text("SET LOCAL session_replication_role = replica"))  # what refers is known to be there
                    tx.execute(text("SET LOCAL synchronous_commit = off"))
                for slot in range(first, min(first + SLOTS_A_COMMIT, slots.stop)):
                    self._write_slot(tx, slot)
        self.slots = slots.stop
        if self._store.engine.dialect.name == "postgresql":  # as autovacuum does; an SQLite in use has no statistics
            with self._store.write() as tx:
                tx.execute(text("SET LOCAL lock_timeout = 0"))  # it may be vacuumed at the moment
                tx.execute(text("ANALYZE"))
        return len(slots) * self.seeds

    def _write_slot(self, tx: Connection, slot: int) -> None:
        values = self._values(slot)
        for table, columns, template in self._tables:
            if table.name != "stream" or slot < STREAM_SLOTS:
                self._insert(tx, table, columns, template.fill(values))

    def _begin(self, slot: int) -> int:
        """Of a slot, in ms: the first ended an hour ago."""
        return (self._now - 3_600_000) // SLOT_MS * SLOT_MS - (slot + 1) * SLOT_MS

    def _values(self, slot: int) -> dict[str, str]:
        begin = self._begin(slot)
        day = datetime.fromtimestamp(begin / 1000, UTC)
        values = {f"T{later}": str(begin // SLOT_MS + later) for later in self._later}
        values |= {"I": f"{begin:012x}", "S": f"{slot:06d}", "P": str(-slot - 1)}
        values |= {"D": f"{day:%Y%m%d}", "N": str(begin % 86_400_000 // SLOT_MS + 1)}
        for place, digest in enumerate(_hashes(self._chains.fill(values))):
            values[f"H{place}"] = digest
        return values

    def _holed(self, table: Table, row: dict[str, Any]) -> dict[str, Any]:
        holed = {name: self._hole(table, name, value) for name, value in row.items()}
        if table.name == "stream":
            holed["position"] = f"\ue000P\ue001{row['position']:07d}"
        return holed

    def _hole(self, table: Table, name: str, value: Any) -> Any:
        if name == "source_event_id":
            return f"past-\ue000S\ue001-{value}"
        if isinstance(value, str):
            return NUMBER.sub(self._number, ID.sub(self._id, value))
        if isinstance(table.c[name].type, BigInteger) and isinstance(value, int) and value > SLOT_MS * 1000:
            later, rest = divmod(value - self._begins, SLOT_MS)
            return f"\ue000T{later}\ue001{rest:07d}"
        return value

    def _id(self, found: re.Match[str]) -> str:
        """In the order of the seeds, all within the slot's first millisecond."""
        place = self._ids.get(found[0])
        if place is None:
            return found[0]
        return f"\ue000I\ue0017{place >> 8:03x}8{place & 0xFF:02x}{found[0][19:]}"

    def _number(self, found: re.Match[str]) -> str:
        return f"\ue000D\ue001-{found[2]}-\ue000N\ue001{found[3]}" if found[0] in self._numbers else found[0]

    def _number_entries(self, holed: dict[str, list[dict[str, Any]]]) -> None:
        ends = {}
        for place, row in enumerate(holed["ledger"]):
            row["hash"] = ends[row["chain"]] = f"\ue000H{place}\ue001"
            row["state"] = None  # an imprint a case would cost more than all the rest
        for row in holed["cases"]:
            row["head"] = ends[row["id"]]


def _of_closed_cases(tx: Connection, tables: dict[str, Table], name: str) -> list[dict[str, Any]]:
    table, cases, events = tables[name], tables["cases"], tables["events"]
    orders, sent = tables["work_orders"], tables["deliveries"]
    closed = select(cases.c.id).where(cases.c.status == "closed")
    of_events = select(events.c.id).where(events.c.case_id.in_(closed))
    mine: dict[str, Callable[[], Any]] = {
        "cases": lambda: table.c.status == "closed",
        "receipts": lambda: table.c.event_id.in_(of_events),
        "reporters": lambda: table.c.event_id.in_(of_events),
        "feedbacks": lambda: table.c.work_order_id.in_(select(orders.c.id).where(orders.c.case_id.in_(closed))),
        "attempts": lambda: table.c.delivery_id.in_(select(sent.c.id).where(sent.c.case_id.in_(closed))),
        "ledger": lambda: table.c.chain.in_(closed),
        "stream": lambda: table.c.case_id.in_(closed) | table.c.event_id.in_(of_events),
    }
    chosen = mine[name]() if name in mine else table.c.case_id.in_(closed)
    numbered = table.c.position.isnot(None) if name == "stream" else true()
    query = select(table).where(chosen, numbered).order_by(*table.primary_key.columns)
    return [dict(row) for row in tx.execute(query).mappings()]


def _ids(rows: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    own = {"deliveries": "id", "attempts": "id", "events": "id", "cases": "id", "work_orders": "id", "stream": "id"}
    return (ID.findall(row[column])[0] for name, column in own.items() for row in rows[name])


def _hashes(chains: str) -> Iterator[str]:
    chain, digest = "", START
    for entry in chains.split(ENTRY):
        of, seq, at, actor, action, data = entry.split(FIELD)
        if of != chain:
            chain, digest = of, START
        digest = entry_hash(digest, of, int(seq), int(at), actor, action, data)
        yield digest


def _as_copy(rows: Sequence[dict[str, Any]]) -> str:
    return "".join("\t".join(map(_copied, row.values())) + "\n" for row in rows)


def _copied(value: Any) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, bytes):
        return "\\\\x" + value.hex()
    if isinstance(value, bool):
        return "t" if value else "f"
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _as_json(rows: Sequence[dict[str, Any]]) -> str:
    return orjson.dumps([list(row.values()) for row in rows], default=bytes.hex).decode()


def _copy(tx: Connection, table: Table, columns: Sequence[str], rows: str) -> None:
    driver: Any = tx.connection.driver_connection
    with driver.cursor().copy(f"COPY {table.name} ({', '.join(columns)}) FROM STDIN") as copying:
        copying.write(rows)


def _executemany(tx: Connection, table: Table, columns: Sequence[str], rows: str) -> None:
    values = orjson.loads(rows)
    for place, name in enumerate(columns):
        if isinstance(table.c[name].type, LargeBinary):
            for row in values:
                row[place] = bytes.fromhex(row[place])
    marks = ", ".join("?" * len(columns))
    tx.exec_driver_sql(
        f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608
        list(map(tuple, values)),
    )
