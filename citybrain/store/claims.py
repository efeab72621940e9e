"""Claims: who may work on a row that is due. A lease ends by the database's clock; a fence tells a late worker that
it has lost the row, so that effects and completion happen once, in one transaction."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, and_, select, update

from citybrain.store.bulk import update_rows
from citybrain.store.database import now_ms

ORDER = tuple[ColumnElement[Any], ...]


class ClaimLost(Exception):
    """Somebody else claimed the row meanwhile: roll everything back, it is theirs now."""


def due(table: Table) -> ColumnElement[bool]:
    """Due and held by nobody."""
    return and_(table.c.due_at <= now_ms(), table.c.lease_until <= now_ms())


def claim(
    tx: Connection, table: Table, where: ColumnElement[bool], order: ORDER, limit: int, lease_ms: int
) -> Sequence[Row[Any]]:
    """Takes up to `limit` due rows for `lease_ms`, counts the try, and returns them whole, in no particular order."""
    chosen: Select[Any] = select(table.c.id).where(where, due(table)).order_by(*order).limit(limit)
    if tx.dialect.name == "postgresql":
        chosen = chosen.with_for_update(skip_locked=True)
    mine = chosen.cte("chosen").prefix_with("MATERIALIZED", dialect="postgresql")  # locked once, whatever the plan
    statement = (
        update(table)
        .where(table.c.id.in_(select(mine.c.id)))
        .values(lease_until=now_ms() + lease_ms, fence=table.c.fence + 1, tries=table.c.tries + 1)
        .returning(*table.c)
    )
    return tx.execute(statement).all()


def complete(tx: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Ends the claims, once: each row has `id`, the `fence` it was claimed with, and the columns to set (the same in
    every row). Raises ClaimLost when any of them was claimed again, or ended, meanwhile."""
    if update_rows(tx, table, ("id", "fence"), rows, lease_until=0, fence=table.c.fence + 1) != len(rows):
        raise ClaimLost(table.name)


def give_back(tx: Connection, table: Table, rows: Sequence[Row[Any]]) -> None:
    """Ends claims that came to nothing, as if they had not been; what was claimed again meanwhile stays as it is."""
    mine = [{"id": row.id, "fence": row.fence} for row in rows]
    update_rows(tx, table, ("id", "fence"), mine, lease_until=0, tries=table.c.tries - 1)


def any_due(tx: Connection, table: Table, where: ColumnElement[bool]) -> bool:
    return tx.execute(select(table.c.id).where(where, due(table)).limit(1)).first() is not None
