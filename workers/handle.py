"""A domain's bell has rung: claims what is due, lets the domain's handler decide, and commits every consequence.

One slice, then it ends; when work is left it rings again, behind the other queues.
"""

import logging
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Row, update

from citybrain.casework.opening import open_cases
from citybrain.installation import Installation
from citybrain.queue import DISPATCH, queue_name
from citybrain.routing.report import Filed
from citybrain.store.bulk import update_rows
from citybrain.store.claims import ClaimLost, claim
from citybrain.store.database import StoreUnavailable
from citybrain.store.stream import Change, record_changes
from citybrain.store.tables import events
from workers.deliver import deliver
from workers.process import heard, installation

log = logging.getLogger(__name__)

AT_ONCE = 1_000
SLICE_SECONDS = 2.0
LEASE_MS = 10_000  # a batch takes a tenth of that; a dead worker's events wait no longer
TRIES = 3
LEVELS = ("county", "town", "village", "cell")


def handle(domain: str) -> None:
    here = installation()
    ends = time.monotonic() + SLICE_SECONDS
    while time.monotonic() < ends:
        if not handle_batch(here, domain):
            return
    here.ringer.ring(queue_name(domain))


def handle_batch(here: Installation, domain: str) -> int:
    """Claims one batch and handles it; returns how many events it held. Fresh events go together; what was tried
    before goes alone, so that one event that kills its worker takes no other along."""
    due = (events.c.state == "received") & (events.c.domain == domain)
    order = (events.c.due_at, events.c.id)
    with here.store.write() as tx:
        rows = claim(tx, events, due & (events.c.tries == 0), order, AT_ONCE, LEASE_MS)
        alone = rows or claim(tx, events, due, order, 1, LEASE_MS)
    if not alone:
        return 0
    if not rows and alone[0].tries > TRIES:
        _quarantine(here, alone[0], alone[0].trace or "its worker died three times while it was being handled")
        return 1
    _decide_and_commit(here, domain, sorted(alone, key=lambda row: row.id))
    return len(alone)


def _decide_and_commit(here: Installation, domain: str, rows: Sequence[Row[Any]]) -> None:
    try:
        now = here.clock()
        filed = [Filed.of_record(row, here.city.zone) for row in rows]
        decisions = here.domains[domain].decide(filed, here.context(domain, now))
        basis = here.basis(domain)
        due = here.store.transact(lambda tx: open_cases(tx, rows, decisions, basis, here, now))
    except ClaimLost:
        log.warning("batch of %d events of %s was claimed by another worker meanwhile", len(rows), domain)
    except StoreUnavailable as error:
        log.warning("batch of %d events of %s is left to its lease: %s", len(rows), domain, error)
        _give_tries_back(here, rows)
    except Exception:
        if len(rows) > 1:
            log.exception("batch of %d events of %s failed; each is tried alone", len(rows), domain)
            for row in rows:
                _decide_and_commit(here, domain, [row])
        else:
            _failed(here, rows[0], traceback.format_exc(limit=-8))
    else:
        if due:
            _dispatch(here)


def _dispatch(here: Installation) -> None:
    """A bell would come back to this very worker, if it delivers at all, and cost more than a message."""
    if DISPATCH in heard:
        deliver()
    else:
        here.ringer.ring(DISPATCH)


def _give_tries_back(here: Installation, rows: Sequence[Row[Any]]) -> None:
    """What the store could not take is no failure of the events: an outage must quarantine nothing."""
    given = [{"id": row.id, "fence": row.fence, "tries": row.tries - 1} for row in rows]
    with suppress(StoreUnavailable), here.store.write() as tx:
        update_rows(tx, events, ("id", "fence"), given)


def _failed(here: Installation, row: Row[Any], trace: str) -> None:
    """Tried again a little later; quarantined 隔离 after the third time. An exception may quote the
    report in the trace: only who may read the event is shown it, and who reported is in no handler's hands."""
    log.error("event %s of %s failed (try %d)", row.id, row.domain, row.tries)
    if row.tries >= TRIES:
        _quarantine(here, row, trace)
        return
    later = here.clock() + 1_000 * row.tries
    with here.store.write() as tx:
        mine = (events.c.id == row.id) & (events.c.fence == row.fence)
        tx.execute(update(events).where(mine).values(lease_until=0, due_at=later, trace=trace))


def _quarantine(here: Installation, row: Row[Any], trace: str) -> None:
    with here.store.write() as tx:
        mine = (events.c.id == row.id) & (events.c.fence == row.fence)
        given_up = tx.execute(update(events).where(mine).values(lease_until=0, state="quarantined", trace=trace))
        if not given_up.rowcount:
            return  # somebody else has it by now
        codes = {level: getattr(row, level) for level in LEVELS}
        change = Change("event.quarantined", row.domain, codes, event_id=row.id, source=row.source)
        record_changes(tx, [change], here.clock())
