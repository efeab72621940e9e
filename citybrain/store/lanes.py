"""Lanes 分道: what waits stands in lines of its own, named by the column `lane`, so that a claim costs what it takes
and not what waits, and whoever claims decides how much each line is given.

A lane's name is words with full stops between them, the first one its owner's: the domain of an event, the endpoint of
a delivery. Within a lane what is due first goes first.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import (
    CTE,
    JSON,
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    Table,
    Text,
    Update,
    any_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal_column,
    select,
    true,
    update,
)  # fmt: skip

from citybrain.store.claims import due
from citybrain.store.database import now_ms

Condition = Callable[[Any], ColumnElement[bool]]
BELOW, ABOVE = ".", "/"  # what follows an owner in its lanes' names, and what sorts right behind all of them
LAST = "~"  # sorts behind every name
OWNER_LENGTH = 32  # of ids; `closed` owners are of this length


class Lanes:
    """The rows of a table for which `waits` holds (the condition of its partial index on lane and due_at), as far as
    `ready` holds for them too. Both take the table's columns and are put into statements once."""

    def __init__(
        self, table: Table, waits: Condition, ready: Condition | None = None, columns: Sequence[ColumnElement[Any]] = ()
    ) -> None:
        """A claim returns `columns`, `lane` among them; without them, the whole rows."""
        self._table = table
        row = table.alias("mine")
        present = waits(row.c) & due(row) & (ready(row.c) if ready else true())
        found = _present(table, waits)
        first = select(row.c.due_at).where(row.c.lane == found.c.lane, present).order_by(row.c.due_at).limit(1)
        first = first.correlate(found)
        named = select(found.c.lane).where(found.c.lane.isnot(None), ~_closed(found))
        self._due = named.add_columns(first.scalar_subquery().label("due_at"))
        self._any = named.where(exists(first)).limit(1)
        self._claims = {name: _claim(table, row, present, columns, name) for name in ("sqlite", "postgresql")}

    def due(self, tx: Connection, *, of: str | None = None, closed: Collection[str] = ()) -> Sequence[Row[str, int]]:
        """The lanes in which something may be claimed, by name, each with when its first is due: all, or those of one
        owner; none of the `closed` owners, which cost one step each however many lanes they have."""
        return [row for row in tx.execute(self._due, _between(of, closed)) if row.due_at is not None]

    def any(self, tx: Connection, *, of: str | None = None, closed: Collection[str] = ()) -> bool:
        return tx.execute(self._any, _between(of, closed)).first() is not None

    def claim(self, tx: Connection, takes: Mapping[str, int], lease_ms: int) -> list[Row[Any]]:
        """Of each lane as many as `takes` says at most, for `lease_ms`; each counts as a try. In no order."""
        claimed: list[Row[Any]] = []
        for number in sorted(set(takes.values())):
            lanes = [lane for lane, wanted in takes.items() if wanted == number]
            given = {"lanes": orjson.dumps(lanes).decode(), "limit": number, "lease_ms": lease_ms}
            claimed += tx.execute(self._claims[tx.dialect.name], given).all()
        return claimed

    def claim_evenly(self, tx: Connection, lanes: Sequence[str], room: int, lease_ms: int) -> list[Row[Any]]:
        """Up to `room` rows, an equal share of each lane; what one does not use goes to the others."""
        claimed: list[Row[Any]] = []
        while lanes and room > 0:
            takes = shares(lanes, room)
            rows = self.claim(tx, takes, lease_ms)
            found = Counter(row.lane for row in rows)
            lanes = [lane for lane, number in takes.items() if found[lane] == number]
            room -= len(rows)
            claimed += rows
        return claimed


def shares(lanes: Sequence[str], room: int) -> dict[str, int]:
    """An equal part of the room for each lane, at least one; the first ones get it where it is not enough for all."""
    some = lanes[: max(room, 0)]
    return {lane: room // len(some) for lane in some}


def owner_of(lane: str) -> str:
    return lane.partition(BELOW)[0]


def in_lanes_of(table: FromClause, owner: str | ColumnElement[str]) -> ColumnElement[bool]:
    """What an owner has in its lanes: with the condition of the index on lanes, read from there."""
    return (table.c.lane >= owner + BELOW) & (table.c.lane < owner + ABOVE)


def _between(of: str | None, closed: Collection[str]) -> dict[str, Any]:
    after, before = ("", LAST) if of is None else (of + BELOW, of + ABOVE)
    return {"after": after, "before": before, "closed": sorted(closed) or [""]}


def _present(table: Table, waits: Condition) -> CTE:
    """The lanes in which anything waits: from one name to the next in the index, whatever stands in between."""

    def following(past: ColumnElement[str]) -> Select[Any]:
        behind = table.alias("behind")
        lane: ColumnElement[str] = behind.c.lane
        within = (lane > past) & (lane < bindparam("before"))
        return select(lane).where(waits(behind.c), within).order_by(lane).limit(1)

    first = select(following(bindparam("after")).scalar_subquery().label("lane")).cte("found", recursive=True)
    past = case((_closed(first), _owner(first) + ABOVE), else_=first.c.lane)
    step = select(following(past).correlate(first).scalar_subquery()).where(first.c.lane.isnot(None))
    return first.union_all(step)


def _owner(found: FromClause) -> ColumnElement[str]:
    return func.substr(found.c.lane, literal_column("1"), literal_column(str(OWNER_LENGTH)), type_=found.c.lane.type)


def _closed(found: FromClause) -> ColumnElement[bool]:
    return _owner(found).in_(bindparam("closed", expanding=True))


def _claim(
    table: Table, row: FromClause, present: ColumnElement[bool], columns: Sequence[ColumnElement[Any]], dialect: str
) -> Update:
    if dialect == "postgresql":
        # As an array: joined, a plan for any number of rows goes through the whole table.
        ids: Any = func.array(select(_first_on_postgresql(table, row, present).c.id).scalar_subquery())
        mine = table.c.id == any_(ids)
    else:
        mine = table.c.id.in_(select(_first_on_sqlite(table, row, present).c.id))
    return (
        update(table)
        .where(mine)
        .values(lease_until=now_ms() + bindparam("lease_ms"), fence=table.c.fence + 1, tries=table.c.tries + 1)
        .returning(*(columns or table.c))
    )


def _first_on_postgresql(_table: Table, row: FromClause, present: ColumnElement[bool]) -> CTE:
    """The ids of the first rows of each named lane, locked once, whatever the plan."""
    given = func.json_array_elements_text(cast(bindparam("lanes", type_=Text), JSON))
    lane = given.table_valued("value", name="lane")
    first = _first(lane, row, present).with_for_update(skip_locked=True).lateral("first")
    chosen = select(first.c.id).select_from(lane.join(first, true())).cte("chosen")
    return chosen.prefix_with("MATERIALIZED", dialect="postgresql")


def _first_on_sqlite(table: Table, row: FromClause, present: ColumnElement[bool]) -> FromClause:
    """The same without LATERAL, which SQLite has not."""
    lane = func.json_each(bindparam("lanes")).table_valued("value", name="lane")
    held = table.alias("held")
    first = _first(lane, row, present).correlate(lane)
    return select(held.c.id).select_from(lane.join(held, held.c.id.in_(first))).subquery("chosen")


def _first(lane: Any, row: FromClause, present: ColumnElement[bool]) -> Select[Any]:
    mine = (row.c.lane == lane.c.value) & present
    return select(row.c.id).where(mine).order_by(row.c.due_at).limit(bindparam("limit"))
