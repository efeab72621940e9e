"""Claims: who may work on a row that is due. A lease ends by the database's clock; a fence tells a late worker that
it has lost the row, so that effects and completion happen once, in one transaction."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, and_, bindparam, select, update

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
    statement = (
        update(table)
        .where(table.c.id.in_(chosen.scalar_subquery()))
        .values(lease_until=now_ms() + lease_ms, fence=table.c.fence + 1, tries=table.c.tries + 1)
        .returning(*table.c)
    )
    return tx.execute(statement).all()


def complete(tx: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    """Ends the claims, once: each row has `id`, the `fence` it was claimed with, and the columns to set (the same in
    every row). Raises ClaimLost when any of them was claimed again, or ended, meanwhile."""
    batch = [{f"b_{name}": value for name, value in row.items()} | {"b_lease_until": 0} for row in rows]
    if not batch:
        return
    columns = [name[2:] for name in batch[0] if name not in ("b_id", "b_fence")]
    statement = (
        update(table)
        .where(table.c.id == bindparam("b_id"), table.c.fence == bindparam("b_fence"))
        .values({name: bindparam(f"b_{name}") for name in columns} | {"fence": table.c.fence + 1})
    )
    if tx.execute(statement, batch).rowcount != len(batch):
        raise ClaimLost(table.name)


def give_back(tx: Connection, table: Table, rows: Iterable[Row[Any]]) -> None:
    """Ends claims that came to nothing, as if they had not been; what was claimed again meanwhile stays as it is."""
    batch = [{"b_id": row.id, "b_fence": row.fence} for row in rows]
    if batch:
        mine = (table.c.id == bindparam("b_id")) & (table.c.fence == bindparam("b_fence"))
        tx.execute(update(table).where(mine).values(lease_until=0, tries=table.c.tries - 1), batch)


def any_due(tx: Connection, table: Table, where: ColumnElement[bool]) -> bool:
    return tx.execute(select(table.c.id).where(where, due(table)).limit(1)).first() is not None
