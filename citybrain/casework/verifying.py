"""Tasks of verification 核查: completed cases that a grid worker of the place looks at, with what was reported before
and after. What the worker finds is `verify`: passed, or rework."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, func, select

from citybrain.casework import reading
from citybrain.casework.attachments import KINDS, evidence
from citybrain.casework.case import Status
from citybrain.clock import rfc3339
from citybrain.installation import Installation
from citybrain.keys import Key, cases_visible
from citybrain.listing import page
from citybrain.store.tables import cases, events, feedbacks, work_orders


def waiting(tx: Connection, key: Key, here: Installation, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Each with `before` (what was reported first), `after` (how each department says it left it) and the `photos` of
    both."""
    now = here.clock()
    query = select(cases).where(cases_visible(key, here.city), cases.c.status == Status.COMPLETED)
    query = reading.filtered(query, here.city, {name: asked[name] for name in ("division", "domain")}, now)
    rows: list[Row[Any]] = []

    def show(row: Row[Any]) -> dict[str, Any]:
        rows.append(row)
        return reading.short(row, here.city, now)

    found = page(tx, query, [(cases.c.updated_at, False), (cases.c.id, False)], asked["cursor"], asked["limit"], show)
    ids = [row.id for row in rows]
    before, after, photos = _first_reports(tx, ids), _completions(tx, ids, here), evidence(tx, ids, here.city)
    for item in found["items"]:
        item |= {"before": before.get(item["id"]), "after": after.get(item["id"], [])}
        item["photos"] = photos.get(item["id"], {kind: [] for kind in KINDS})
    return found


def _first_reports(tx: Connection, case_ids: list[str]) -> dict[str, dict[str, Any]]:
    names = ("id", "title", "description", "attributes")
    first = select(func.min(events.c.id)).where(events.c.case_id.in_(case_ids)).group_by(events.c.case_id)
    rows = tx.execute(select(events).where(events.c.id.in_(first)))
    return {row.case_id: {name: getattr(row, name) for name in names} for row in rows}


def _completions(tx: Connection, case_ids: list[str], here: Installation) -> dict[str, list[dict[str, Any]]]:
    """The newest report of completion of each department that the cases' present round has."""
    columns = (work_orders.c.case_id, work_orders.c.department, work_orders.c.role, work_orders.c.completed_at)
    told = (feedbacks.c.work_order_id == work_orders.c.id) & (feedbacks.c.status == "completed") & feedbacks.c.effect
    mine = work_orders.c.case_id.in_(case_ids) & (work_orders.c.status == "completed")
    query = select(*columns, feedbacks.c.note, feedbacks.c.attachments).join(feedbacks, told).where(mine)
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in tx.execute(query.order_by(work_orders.c.id)):
        found.setdefault(row.case_id, {})[row.department] = {
            "department": row.department,
            "role": row.role,
            "completed_at": rfc3339(row.completed_at, here.city.zone),
            "note": row.note,
            "attachments": row.attachments or [],
        }
    return {case_id: list(by_department.values()) for case_id, by_department in found.items()}
