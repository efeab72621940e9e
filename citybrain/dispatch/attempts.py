"""Deliveries as they are shown, each with every attempt to make it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from citybrain.city import City
from citybrain.clock import rfc3339
from citybrain.store.dispatch_tables import attempts


def with_attempts(tx: Connection, rows: Sequence[Row[Any]], city: City) -> list[dict[str, Any]]:
    """Deliveries with all their attempts, in two queries."""
    tried: dict[str, list[dict[str, Any]]] = {}
    ids = [row.id for row in rows]
    for attempt in tx.execute(select(attempts).where(attempts.c.delivery_id.in_(ids)).order_by(attempts.c.id)):
        shown = {"at": rfc3339(attempt.at, city.zone), "duration_ms": attempt.duration_ms}
        shown |= {"status": attempt.status, "error": attempt.error}
        tried.setdefault(attempt.delivery_id, []).append(shown)
    plain = ("id", "endpoint_id", "case_id", "work_order_id", "department", "type", "status", "held_because")
    return [
        {name: getattr(row, name) for name in plain}
        | {
            "created_at": rfc3339(row.created_at, city.zone),
            "delivered_at": rfc3339(row.delivered_at, city.zone),
            "next_attempt_at": rfc3339(row.due_at, city.zone) if row.status == "pending" else None,
            "attempts": tried.get(row.id, []),
        }
        for row in rows
    ]
