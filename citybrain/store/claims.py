"""Claims: who may work on a row that is due. A lease ends by the database's clock; a fence tells a late worker that
it has lost the row, so that effects and completion happen once, in one transaction."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, and_, bindparam, select, update

from citybrain.store.bulk import update_rows
from citybrain.store.database import now_ms


class ClaimLost(Exception):
    """Somebody else claimed the row meanwhile: roll everything back, it is theirs now."""


def due(table: Table) -> ColumnElement[bool]:
    """Due and held by nobody."""
    return and_(table.c.due_at <= now_ms(), table.c.lease_until <= now_ms())


class Waiting:
    """The rows of a table for which `where` holds, as far as they are due, the first by `order` first.

    Made once: putting a statement together costs ten times as much as a small claim. What differs from one claim to
    the next are parameters of `where`.
    """

    def __init__(
        self,
        table: Table,
        where: ColumnElement[bool],
        order: Sequence[ColumnElement[Any]],
        columns: Sequence[ColumnElement[Any]] = (),
    ) -> None:
        """A claim returns `columns`; without them, the whole rows."""
        ready = select(table.c.id).where(where, due(table))
        first = ready.order_by(*order).limit(bindparam("limit")).with_for_update(skip_locked=True)
        mine = first.cte("chosen").prefix_with("MATERIALIZED", dialect="postgresql")  # locked once, whatever the plan
        self._claim = (
            update(table)
            .where(table.c.id.in_(select(mine.c.id)))
            .values(lease_until=now_ms() + bindparam("lease_ms"), fence=table.c.fence + 1, tries=table.c.tries + 1)
            .returning(*(columns or table.c))
        )
        self._any: Select[Any] = ready.limit(1)

    def claim(self, tx: Connection, limit: int, lease_ms: int, **where: Any) -> Sequence[Row[Any]]:
        """Takes up to `limit` rows for `lease_ms`, counts the try, and returns them in no particular order."""
        return tx.execute(self._claim, {"limit": limit, "lease_ms": lease_ms, **where}).all()

    def any(self, tx: Connection, **where: Any) -> bool:
        return tx.execute(self._any, where).first() is not None


def complete(tx: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Ends the claims, once: each row has `id`, the `fence` it was claimed with, and the columns to set (the same in
    every row). Raises ClaimLost when any of them was claimed again, or ended, meanwhile."""
    ended = [{**row, "lease_until": 0} for row in rows]
    if update_rows(tx, table, ("id", "fence"), ended, fence=1) != len(rows):
        raise ClaimLost(table.name)


def give_back(tx: Connection, table: Table, rows: Sequence[Row[Any]]) -> None:
    """Ends claims that came to nothing, as if they had not been; what was claimed again meanwhile stays as it is."""
    mine = [{"id": row.id, "fence": row.fence, "lease_until": 0} for row in rows]
    update_rows(tx, table, ("id", "fence"), mine, tries=-1)
