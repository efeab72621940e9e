"""Behind a number of the evaluation: the reports, work orders or cases that it counts, the very rows that `performance`
adds up, each with the case that it is about."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, select

from citybrain.clock import rfc3339
from citybrain.indicators.performance import Asked, populations
from citybrain.keys import UNLOCATED
from citybrain.listing import page
from citybrain.store.tables import cases, events, work_orders

OF_CASE = ("number", "domain", "type", "grade", "title", "status", "lead", "county", "town", "village", "demo")
CASE_TIMES = ("opened_at", "due_at", "closed_at")
ORDER_TIMES = ("due_at", "completed_at")


def behind(
    tx: Connection, asked: Asked, rate: str, number: int, group: str | None, cursor: str | None, limit: int
) -> dict[str, Any]:
    """`number`: of the four of a rate, as `Population.adds` has them; `group`: one of them, or UNLOCATED for those
    without, or None for all. An item counts as often as `times` says."""
    found = [each for each in populations(asked) if rate in each.adds]
    if not found:
        return {"items": [], "next": None}
    counted = found[0]
    adds = counted.adds[rate][number]
    wanted: list[ColumnElement[bool]] = [counted.counted, adds > 0]
    if group is not None:
        wanted.append(counted.group.is_(None) if group == UNLOCATED else counted.group == group)
    named: tuple[ColumnElement[Any], ...] = (
        counted.row.label("row"),
        counted.case_id.label("case_id"),
        adds.label("times"),
    )
    query: Select[Any] = select(*named).select_from(counted.rows).where(*wanted)
    rows = page(tx, query, [(counted.row, True)], cursor, limit, lambda row: dict(row._mapping))
    return rows | {"items": _shown(tx, asked, rate, rows["items"])}


def _shown(tx: Connection, asked: Asked, rate: str, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    zone = asked.city.zone
    about = _of(tx, cases, {row["case_id"] for row in rows if row["case_id"]})
    table = {"filing": events, "closing": cases, "closing_in_time": cases}.get(rate, work_orders)
    own = about if table is cases else _of(tx, table, {row["row"] for row in rows})

    def shown(row: dict[str, Any]) -> dict[str, Any]:
        case = about.get(row["case_id"])
        told: dict[str, Any] = {"times": int(row["times"]), "event": None, "work_order": None}
        mine = own[row["row"]]
        if table is events:
            told["event"] = {"id": mine.id, "title": mine.title, "received_at": rfc3339(mine.received_at, zone)}
        if table is work_orders:
            times = {name: rfc3339(getattr(mine, name), zone) for name in ORDER_TIMES}
            told["work_order"] = {"id": mine.id, "department": mine.department, "role": mine.role} | times
        return told | {"case": _case(case, zone) if case else None}

    return [shown(row) for row in rows]


def _case(row: Row[Any], zone: Any) -> dict[str, Any]:
    times = {name: rfc3339(getattr(row, name), zone) for name in CASE_TIMES}
    return {"id": row.id} | {name: getattr(row, name) for name in OF_CASE} | times


def _of(tx: Connection, table: Any, ids: Iterable[str]) -> dict[str, Row[Any]]:
    return {row.id: row for row in tx.execute(select(table).where(table.c.id.in_(sorted(ids))))}
