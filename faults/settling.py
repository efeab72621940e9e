"""Which acknowledged events are neither done with nor visibly waiting: those that somebody should be moving now.

Done or visible are: in triage or quarantined, where people see them; muted; and cased, with every message delivered,
held for want of an endpoint, given up, or tried and waiting for its next attempt.
"""

import time
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Connection, Row, select

from citybrain.store.database import Store
from citybrain.store.dispatch_tables import deliveries
from citybrain.store.tables import events, receipts

AT_ONCE = 500
Found = tuple[str, str, str | None]


def unsettled(store: Store, source: str, source_event_ids: Collection[str]) -> dict[str, str]:
    """By the source's id, what each waits for."""
    ids = sorted(source_event_ids)
    found: dict[str, str] = {}
    for start in range(0, len(ids), AT_ONCE):
        with store.read() as tx:
            found |= _among(tx, source, ids[start : start + AT_ONCE])
    return found


def _among(tx: Connection, source: str, ids: list[str]) -> dict[str, str]:
    mine = (receipts.c.source == source) & receipts.c.source_event_id.in_(ids)
    columns = (receipts.c.source_event_id, events.c.state, events.c.case_id)
    rows = tx.execute(select(*columns).join(events, events.c.id == receipts.c.event_id).where(mine)).all()
    waits = dict.fromkeys(set(ids) - {row.source_event_id for row in rows}, "is not in the store")
    waits |= {row.source_event_id: "is received, not handled" for row in rows if row.state == "received"}
    cased = {row.case_id: row.source_event_id for row in rows if row.state == "cased"}
    messages = select(deliveries.c.case_id, deliveries.c.due_at, deliveries.c.tries).where(
        deliveries.c.case_id.in_(list(cased)), deliveries.c.status == "pending"
    )
    waits |= {cased[row.case_id]: why for row in tx.execute(messages) if (why := _why(row))}
    return waits


def _why(message: Row[Any, Any, Any]) -> str:
    if message.tries == 0:
        return "has a message that was never tried"
    return "has a message that is due" if message.due_at <= time.time() * 1000 else ""


def source_ids(numbers: Iterable[int]) -> dict[str, int]:
    """As `bench.reports` numbers them."""
    return {f"bench-{number:08d}": number for number in numbers}
