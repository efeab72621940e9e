"""What time does to cases: supervision is raised, the centre's own clocks run out, a suspension or a silence ends.

Patrol calls it. Each case says when to look at it next, so that one query finds them, and a restart repeats nothing.
"""

import logging
from collections.abc import Sequence

from sqlalchemy import Connection, select, update

from citybrain.casework.amendment import Amendment, load_all
from citybrain.casework.muting import unmute
from citybrain.casework.supervision import look, schedule
from citybrain.casework.writing import write
from citybrain.city import City
from citybrain.store.bulk import update_rows
from citybrain.store.database import Store, StoreUnavailable
from citybrain.store.lease import LeaseLost
from citybrain.store.tables import cases

log = logging.getLogger(__name__)

CLOCK = "clock"  # the actor of what only the passing of time decided
AT_ONCE = 500
TRIED_AGAIN_MS = 600_000


def follow_up(store: Store, city: City, now: int) -> int:
    """Returns how many deliveries have become due."""
    with store.read() as tx:
        waiting = select(cases.c.id).where(cases.c.look_at <= now).order_by(cases.c.look_at).limit(AT_ONCE)
        found = tx.execute(waiting).scalars().all()
    if not found:
        return 0
    try:
        return _look_at(store, found, city, now)
    except (StoreUnavailable, LeaseLost):
        raise
    except Exception:
        log.warning("%d cases could not be followed up together; one by one", len(found), exc_info=True)
    return sum(_alone(store, case_id, city, now) for case_id in found)


def _look_at(store: Store, found: Sequence[str], city: City, now: int) -> int:
    """Looks again once the cases are its own: somebody may have acted meanwhile."""
    with store.write() as tx:
        amendments = load_all(tx, found, CLOCK, now)
        due = [each for each in amendments if each.case["look_at"] is not None and each.case["look_at"] <= now]
        unmute(tx, due, city)
        for amendment in due:
            look(amendment, city)
        changed = [amendment for amendment in amendments if amendment.entries]
        _look_later(tx, [amendment for amendment in amendments if not amendment.entries], city)
        return write(tx, changed, city)


def _look_later(tx: Connection, unchanged: Sequence[Amendment], city: City) -> None:
    """Nothing has become of these cases: their version and their ledger stay as they are."""
    for amendment in unchanged:
        schedule(amendment, city)
    rows = [{"id": each.case["id"], "look_at": each.case["look_at"]} for each in unchanged]
    update_rows(tx, cases, ("id",), rows)


def _alone(store: Store, case_id: str, city: City, now: int) -> int:
    """What is wrong with one case holds up no other."""
    try:
        return _look_at(store, [case_id], city, now)
    except (StoreUnavailable, LeaseLost):
        raise
    except Exception:
        log.exception("case %s could not be followed up", case_id, extra={"case": case_id})
    with store.write() as tx:
        tx.execute(update(cases).where(cases.c.id == case_id).values(look_at=now + TRIED_AGAIN_MS))
    return 0
