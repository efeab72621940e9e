"""The cards 需要关注 on top of the desk: what a shift looks at first, counted in what the key may see."""

from sqlalchemy import Connection, func, select
from sqlalchemy import case as either

from citybrain.casework import reading
from citybrain.casework.case import Status
from citybrain.installation import Installation
from citybrain.keys import Key, May, within
from citybrain.store.dispatch_tables import UNSENT, deliveries
from citybrain.store.tables import IN_WORK, UNSETTLED, cases, events


def cards_of(tx: Connection, key: Key, here: Installation) -> dict[str, int]:
    """What a shift looks at first; nothing for those who read no queues."""
    if not key.may(May.QUEUES):
        return {}
    now = here.clock()
    conditions = {
        "overdue": reading.late(now),
        "soon": reading.soon(now),
        "triage": cases.c.status == Status.TRIAGE,
        "working": cases.c.status != Status.TRIAGE,
    }
    sums = (func.coalesce(func.sum(either((each, 1), else_=0)), 0) for each in conditions.values())
    found = tx.execute(select(*sums).where(IN_WORK, within(key, here.city, cases))).one()
    cards = dict(zip(conditions, found, strict=True))
    unsettled = (
        select(events.c.state, func.count())
        .where(UNSETTLED, events.c.state.in_(("received", "quarantined")), within(key, here.city, events))
        .group_by(events.c.state)
    )
    by_state = {row[0]: row[1] for row in tx.execute(unsettled)}
    cards |= {"quarantined": by_state.get("quarantined", 0), "waiting": by_state.get("received", 0)}
    return cards | ({"unsent": unsent(tx, key, here)} if key.may(May.READ_DISPATCH) else {})


def unsent(tx: Connection, key: Key, here: Installation) -> int:
    wanted = UNSENT & within(key, here.city, deliveries)
    return tx.execute(select(func.count()).select_from(deliveries).where(wanted)).scalar_one()
