"""Claims: who may work on a row that is due. A lease ends by the database's clock; a fence tells a late worker that
it has lost the row, so that effects and completion happen once, in one transaction."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, select

from citybrain.store.bulk import update_rows
from citybrain.store.database import now_ms


class ClaimLost(Exception):
    """Somebody else claimed the row meanwhile: roll everything back, it is theirs now."""


def due(row: Any) -> ColumnElement[bool]:
    """Due and held by nobody; of a table or an alias."""
    now = select(now_ms()).scalar_subquery()  # asked once, or no index could be read up to it
    return and_(row.c.due_at <= now, row.c.lease_until <= now)


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
