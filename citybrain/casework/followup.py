"""What time does to cases: a deadline that has passed is supervised once, a suspension that has ended is resumed.

Patrol calls it; each case is one short transaction, so that nothing waits behind it and a restart repeats nothing.
"""

import logging
from collections.abc import Callable, Iterable

from sqlalchemy import Connection, select

from citybrain.casework.amendment import Amendment, load
from citybrain.casework.case import Status
from citybrain.casework.effects import urge
from citybrain.casework.handling_clock import resume
from citybrain.casework.writing import write
from citybrain.city import City
from citybrain.store.database import Store, StoreUnavailable
from citybrain.store.lease import LeaseLost
from citybrain.store.tables import IN_WORK, OVERSEEN, cases

log = logging.getLogger(__name__)

CLOCK = "clock"  # the actor of what only the passing of time decided
AT_ONCE = 200
IN_HAND = (Status.DISPATCHED, Status.ACCEPTED)


def follow_up(store: Store, city: City, now: int) -> int:
    """Returns how many deliveries have become due."""
    return supervise_overdue(store, city, now) + resume_suspended(store, city, now)


def supervise_overdue(store: Store, city: City, now: int) -> int:
    with store.read() as tx:
        found = (
            tx.execute(select(cases.c.id).where(OVERSEEN, cases.c.due_at < now).order_by(cases.c.due_at).limit(AT_ONCE))
            .scalars()
            .all()
        )

    def supervise(tx: Connection, amendment: Amendment) -> int:
        case = amendment.case
        still = case["status"] in IN_HAND and case["due_at"] is not None and case["due_at"] < now
        if not still or case["overdue_supervised"]:
            return 0
        case["overdue_supervised"] = True
        urge(amendment, "overdue")
        return write(tx, [amendment], city)

    return _each(store, found, now, supervise)


def resume_suspended(store: Store, city: City, now: int) -> int:
    over = (cases.c.status == Status.SUSPENDED) & (cases.c.suspended_until <= now)
    with store.read() as tx:
        found = tx.execute(select(cases.c.id).where(IN_WORK, over).limit(AT_ONCE)).scalars().all()

    def end(tx: Connection, amendment: Amendment) -> int:
        if amendment.case["status"] != Status.SUSPENDED or amendment.case["suspended_until"] > now:
            return 0
        resume(amendment, city)
        return write(tx, [amendment], city)

    return _each(store, found, now, end)


def _each(store: Store, found: Iterable[str], now: int, step: Callable[[Connection, Amendment], int]) -> int:
    """Looks again at each case once it is its turn. What is wrong with one of them holds up no other."""
    due = 0
    for case_id in found:
        try:
            with store.write() as tx:
                due += step(tx, load(tx, case_id, CLOCK, now))
        except (StoreUnavailable, LeaseLost):
            raise
        except Exception:
            log.exception("case %s could not be followed up", case_id)
    return due
