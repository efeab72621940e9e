"""What each endpoint has not received: pending, held or given up, and since when. Read from the indexes of what waits;
`health` tells how the endpoint itself is, `queues` by when somebody must do something."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, literal_column, select

from citybrain.dispatch.health import GRADE, OWNER
from citybrain.dispatch.lane import GRAVE
from citybrain.store.dispatch_tables import STILL_PENDING, UNSENT, deliveries

LOOKED = 10_000  # of the newest that failed: no index counts them by endpoint


@dataclass(slots=True)
class Backlog:
    """`oldest`: when the oldest was made that is pending or held, in ms; `grave`: how many of these are of grade Ⅰ or
    Ⅱ; `more_failed`: beyond the newest, nobody counted."""

    pending: int = 0
    held: int = 0
    grave: int = 0
    failed: int = 0
    failed_since: int | None = None
    more_failed: bool = False
    oldest: int | None = None

    @property
    def waiting(self) -> int:
        return self.pending + self.held


def backlogs(tx: Connection, endpoint_ids: Sequence[str], visible: ColumnElement[bool]) -> dict[str, Backlog]:
    """`visible`: of deliveries, what may be seen."""
    found = {id_: Backlog() for id_ in endpoint_ids}
    owner = deliveries.c.endpoint_id
    held = (deliveries.c.status == literal_column("'held'")) & owner.in_(endpoint_ids) & visible
    pending = STILL_PENDING & OWNER.in_(endpoint_ids) & visible
    waiting = (
        ("pending", select(OWNER, *_numbers(str(GRAVE) >= GRADE)).where(pending), OWNER),
        ("held", select(owner, *_numbers(deliveries.c.grade <= GRAVE)).where(held), owner),
    )
    for state, query, of in waiting:
        for endpoint_id, number, grave_ones, oldest in tx.execute(query.group_by(of)):
            mine = found[endpoint_id]
            setattr(mine, state, number)
            mine.grave += grave_ones
            mine.oldest = min(mine.oldest or oldest, oldest)
    _count_failed(tx, found, visible)
    return found


def _numbers(grave: Any) -> tuple[Any, ...]:
    return func.count(), func.count().filter(grave), func.min(deliveries.c.created_at)


def _count_failed(tx: Connection, found: dict[str, Backlog], visible: ColumnElement[bool]) -> None:
    failed = UNSENT & (deliveries.c.status == literal_column("'failed'")) & visible
    seen = select(deliveries.c.endpoint_id, deliveries.c.created_at).where(failed).order_by(deliveries.c.id.desc())
    last = seen.limit(LOOKED).subquery()
    query = select(last.c.endpoint_id, func.count(), func.min(last.c.created_at)).group_by(last.c.endpoint_id)
    rows = tx.execute(query).all()
    more = sum(row[1] for row in rows) == LOOKED
    for endpoint_id, number, since in rows:
        if mine := found.get(endpoint_id):
            mine.failed, mine.failed_since, mine.more_failed = number, since, more
