"""A domain's bell has rung: claims what is due, lets the domain's handler decide, and commits every consequence.

One batch, then it ends; when work is left it rings again, behind the other queues: a quiet domain never waits for a
busy one to have nothing left.
"""

import logging
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, literal_column, update

from citybrain.casework.opening import open_cases
from citybrain.dispatch.pouch import Pouch
from citybrain.installation import Installation
from citybrain.queue import DISPATCH, queue_name
from citybrain.routing.record import shorten
from citybrain.routing.report import Filed
from citybrain.store.bulk import update_rows
from citybrain.store.claims import ClaimLost
from citybrain.store.database import StoreUnavailable
from citybrain.store.lanes import Lanes
from citybrain.store.stream import Change, record_changes
from citybrain.store.tables import events
from workers.deliver import PostRoom, post_room
from workers.process import heard, installation

log = logging.getLogger(__name__)

AT_ONCE = 1_000
FEW = 32  # of a dead worker's events: one of them may have killed it
LEASE_MS = 10_000  # a batch takes a tenth of that; a dead worker's events wait no longer
TRIES = 3
LEVELS = ("county", "town", "village", "cell")
NEEDED = [column for column in events.c if column.name not in ("location", "explanation")]  # JSON nobody reads here


def received(event: Any) -> ColumnElement[bool]:
    # Written out, since a planner does not use a partial index for a value that it does not see.
    waits: ColumnElement[bool] = event.state == literal_column("'received'")
    return waits


FRESH = Lanes(events, received, lambda event: event.tries == 0, NEEDED)
SECOND = Lanes(events, received, lambda event: event.tries == 1, NEEDED)
AGAIN = Lanes(events, received, lambda event: event.tries > 0, NEEDED)
DUE = Lanes(events, received)


def handle(domain: str) -> None:
    here = installation()
    room = post_room() if DISPATCH in heard else None
    number = handle_batch(here, domain, room)
    left_over = bool(number) and _anything_left_over(here, domain)
    if left_over:  # beside the fresh ones, of which there may always be some
        handle_batch(here, domain, room, fresh=False)
    if number >= AT_ONCE or left_over:
        here.ringer.ring(queue_name(domain))


def _anything_left_over(here: Installation, domain: str) -> bool:
    """Asked as a reader: a claim that finds nothing would have waited for its turn to write."""
    with here.store.read() as tx:
        return AGAIN.any(tx, of=domain)


def handle_batch(here: Installation, domain: str, room: PostRoom | None = None, *, fresh: bool = True) -> int:
    """Claims one batch and handles it; returns how many events it held. Fresh events go together, at their second try
    a few, then each alone: an event that kills its worker takes no other along for good, and the many that died with
    it do not wait for one another. `room` is this worker's, if it delivers."""
    with here.store.write() as tx:
        rows = claim_some(tx, FRESH, domain, AT_ONCE) if fresh else []
        rows = rows or claim_some(tx, SECOND, domain, FEW) or claim_some(tx, AGAIN, domain, 1)
    if not rows:
        return 0
    if rows[0].tries > TRIES:
        _quarantine(here, rows[0], rows[0].trace or "its worker died three times while it was being handled")
        return 1
    _decide_and_commit(here, domain, room, sorted(rows, key=lambda row: row.id))
    return len(rows)


def claim_some(tx: Connection, lanes: Lanes, domain: str, number: int) -> list[Row[Any]]:
    """Of a domain's events the grave ones first; then of each county as many, the oldest first."""
    due = sorted(lanes.due(tx, of=domain), key=lambda found: found.due_at)
    grave = [found.lane for found in due if is_grave(found.lane)]
    rows = lanes.claim_evenly(tx, grave, number, LEASE_MS)
    others = [found.lane for found in due if not is_grave(found.lane)]
    return rows + lanes.claim_evenly(tx, others, number - len(rows), LEASE_MS)


def is_grave(lane: str) -> bool:
    return lane.split(".", 2)[1] == "1"


def _decide_and_commit(here: Installation, domain: str, room: PostRoom | None, rows: Sequence[Row[Any]]) -> None:
    about = {"domain": domain, "event": rows[0].id if len(rows) == 1 else None}
    try:
        now = here.clock()
        filed = [Filed.of_record(row, here.city.zone) for row in rows]
        decisions = here.domains[domain].decide(filed, here.context(domain, now))
        explanations = [shorten(one.explanation, event) for one, event in zip(decisions, filed, strict=True)]
        basis = here.basis(domain)

        def open_all(tx: Connection) -> tuple[int, Pouch | None]:
            pouch = room.pouch() if room else None
            return open_cases(tx, rows, decisions, explanations, basis, here, now, pouch), pouch

        due, pouch = here.store.transact(open_all)
    except ClaimLost:
        log.warning("batch of %d events of %s was claimed by another worker meanwhile", len(rows), domain, extra=about)
    except StoreUnavailable as error:
        log.warning("batch of %d events of %s is left to its lease: %s", len(rows), domain, error, extra=about)
        _give_tries_back(here, rows)
    except Exception:
        if len(rows) > 1:
            log.exception("batch of %d events of %s failed; its halves are tried", len(rows), domain, extra=about)
            for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
                _decide_and_commit(here, domain, room, half)
        else:
            _failed(here, rows[0], traceback.format_exc(limit=-8))
    else:
        if room and pouch:
            room.send(pouch)
        if due:
            _dispatch(here, room)


def _dispatch(here: Installation, room: PostRoom | None) -> None:
    """A bell would come back to this very worker, if it delivers at all, and cost more than a message."""
    if room:
        room.claim()
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
    about = {"event": row.id, "domain": row.domain}
    log.error("event %s of %s failed (try %d)", row.id, row.domain, row.tries, exc_info=True, extra=about)
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
