"""What waits for an endpoint follows it: held while it is disabled, due at once when it is enabled or answers again. A
hundred thousand deliveries are not one transaction: the endpoint says what is still to be done, each batch does some of
it and proves that the endpoint has not been switched again meanwhile, and whoever finds it goes on: the request that
switched it, patrol, or the next one who asks."""

import time
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, exists, select, update

from citybrain.dispatch.outbox import DISABLED, state_because
from citybrain.store.database import Store
from citybrain.store.dispatch_tables import STILL_PENDING, UNSENT, attempts, deliveries, endpoints
from citybrain.store.lanes import in_lanes_of

BATCH = 2_000
_NOW_ON = ("id", "enabled", "deleted_at", "switching", "switching_past")


def begin(tx: Connection, endpoint_id: str, now: int, past: int | None = None) -> None:
    """After the endpoint was switched in this transaction: marks it, and does the first batch. `past`: its last success
    before an outage; what had failed before that, while others arrived, has its own reasons and keeps its schedule, or
    it would use up its tries within seconds."""
    tx.execute(update(endpoints).where(endpoints.c.id == endpoint_id).values(switching=now, switching_past=past))
    go_on(tx, endpoint_id)


def go_on(tx: Connection, endpoint_id: str) -> bool:
    """One batch; whether there is more to do."""
    mine = select(*(endpoints.c[name] for name in _NOW_ON)).where(endpoints.c.id == endpoint_id)
    row = tx.execute(mine.with_for_update(key_share=True)).first()
    if row is None or row.switching is None:
        return False
    if row.deleted_at is None and (_release(tx, row) if row.enabled else _hold(tx, row)):
        return True
    tx.execute(update(endpoints).where(endpoints.c.id == endpoint_id).values(switching=None, switching_past=None))
    return False


def finish(store: Store, seconds: float, endpoint_id: str | None = None) -> None:
    """Goes on for so long, with all endpoints or with one, a transaction a batch."""
    ends = time.monotonic() + seconds
    marked: ColumnElement[bool] = endpoints.c.switching.isnot(None)
    if endpoint_id:
        marked &= endpoints.c.id == endpoint_id
    with store.read() as tx:
        ids = tx.execute(select(endpoints.c.id).where(marked).order_by(endpoints.c.switching)).scalars().all()
    for id_ in ids:
        while store.transact(partial(go_on, endpoint_id=id_)):
            if time.monotonic() > ends:
                return


def _hold(tx: Connection, row: Row[tuple[str]]) -> bool:
    pending = STILL_PENDING & in_lanes_of(deliveries, row.id)
    return _some(tx, pending, **state_because(DISABLED))


def _release(tx: Connection, row: Row[tuple[str]]) -> bool:
    held = UNSENT & (deliveries.c.status == "held") & (deliveries.c.endpoint_id == row.id)
    if _some(tx, held, due_at=row.switching, **state_because(None)):
        return True
    of_it = attempts.c.delivery_id == deliveries.c.id
    tried: list[Any] = [STILL_PENDING, in_lanes_of(deliveries, row.id), deliveries.c.tries > 0]
    tried += [deliveries.c.due_at > row.switching, ~exists().where(of_it, attempts.c.at >= row.switching)]
    if row.switching_past is not None:
        tried.append(~exists().where(of_it, attempts.c.at <= row.switching_past))
    return _some(tx, and_(*tried), due_at=row.switching)


def _some(tx: Connection, which: ColumnElement[bool], **values: object) -> bool:
    """Changes a batch of them; whether it was a whole one. What has moved on since it was chosen stays."""
    chosen = tx.execute(select(deliveries.c.id).where(which).limit(BATCH)).scalars().all()
    if chosen:
        tx.execute(update(deliveries).where(deliveries.c.id.in_(chosen), which).values(**values))
    return len(chosen) == BATCH
