"""What time does to cases: a deadline that has passed is supervised once, a suspension that has ended is resumed.

Patrol calls it; each case is one short transaction, so that nothing waits behind it and a restart repeats nothing.
"""

from sqlalchemy import select

from citybrain.casework.amendment import load
from citybrain.casework.case import Status
from citybrain.casework.effects import urge
from citybrain.casework.handling_clock import resume
from citybrain.casework.writing import write
from citybrain.city import City
from citybrain.store.database import Store
from citybrain.store.tables import cases

CLOCK = "clock"  # the actor of what only the passing of time decided
AT_ONCE = 200


def follow_up(store: Store, city: City, now: int) -> int:
    """Returns how many deliveries have become due."""
    return supervise_overdue(store, city, now) + resume_suspended(store, city, now)


def supervise_overdue(store: Store, city: City, now: int) -> int:
    late = (cases.c.due_at < now) & cases.c.overdue_supervised.is_(False)
    late &= cases.c.status.in_((Status.DISPATCHED, Status.ACCEPTED))
    with store.read() as tx:
        found = tx.execute(select(cases.c.id).where(late).order_by(cases.c.due_at).limit(AT_ONCE)).scalars().all()
    due = 0
    for case_id in found:
        with store.write() as tx:
            amendment = load(tx, case_id, CLOCK, now)
            case = amendment.case
            if case["overdue_supervised"] or case["due_at"] is None or case["due_at"] >= now:
                continue
            case["overdue_supervised"] = True
            urge(amendment, "overdue")
            due += write(tx, [amendment], city)
    return due


def resume_suspended(store: Store, city: City, now: int) -> int:
    over = (cases.c.status == Status.SUSPENDED) & (cases.c.suspended_until <= now)
    with store.read() as tx:
        found = tx.execute(select(cases.c.id).where(over).limit(AT_ONCE)).scalars().all()
    due = 0
    for case_id in found:
        with store.write() as tx:
            amendment = load(tx, case_id, CLOCK, now)
            if amendment.case["status"] == Status.SUSPENDED:
                resume(amendment, city)
                due += write(tx, [amendment], city)
    return due


