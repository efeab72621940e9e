"""Patrol: rings for whatever is recorded but not moving, numbers the stream, runs the clocks, keeps the latest evidence
ready. It may die at any time: everything it does is found in the store and done again by the next one.

Several may run, on several machines. One acts, by a lease in the store, and each of its writes proves that it still
does; what a frozen one can do after its time is ring once more, which is harmless.
"""

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from threading import Event

from citybrain.casework.followup import follow_up
from citybrain.casework.rescheduling import note_calendar
from citybrain.dispatch import outbox, switching
from citybrain.dispatch.delivery import anything_due
from citybrain.dispatch.queues import raise_alerts
from citybrain.indicators import latest
from citybrain.indicators.activity import note_changes
from citybrain.indicators.snapshots import take_due
from citybrain.installation import Installation
from citybrain.intake import filing
from citybrain.operations import retention
from citybrain.queue import DISPATCH, queue_name
from citybrain.store.database import Store, StoreUnavailable
from citybrain.store.lanes import owner_of
from citybrain.store.lease import Lease, LeasedStore, LeaseLost
from citybrain.store.partitions import make_partitions
from citybrain.store.roots import seal
from citybrain.store.stream import number_committed
from workers.handle import DUE

log = logging.getLogger(__name__)

ROUND_SECONDS = 1.0
LEASE_MS = 5_000  # after a patrol has died the next one acts within that and a round
SWEEP_SECONDS = 600.0
LOOK_SECONDS = 60.0
KEEP_SECONDS = 30.0


def patrol(here: Installation, stop: Event) -> None:
    """Several may run; the one that holds the lease acts."""
    lease = Lease(here.store, "patrol", LEASE_MS)
    acting = LeasedStore(here.store, lease)
    swept_at, looked_at, kept_at = -SWEEP_SECONDS, -LOOK_SECONDS, -KEEP_SECONDS
    while not stop.wait(ROUND_SECONDS):
        try:
            if not lease.held:
                if not lease.take():
                    continue
                log.info("this patrol acts from now on")
            walk_round(here, acting)
            if time.monotonic() - looked_at > LOOK_SECONDS:
                with acting.write() as tx:
                    raise_alerts(tx, here.city.file.webhooks.patience, here.clock())
                looked_at = time.monotonic()
            if time.monotonic() - kept_at > KEEP_SECONDS and latest.keep(acting, here.clock()):
                kept_at = time.monotonic()
            if time.monotonic() - swept_at > SWEEP_SECONDS:
                sweep(here, acting)
                swept_at = time.monotonic()
        except LeaseLost:
            log.warning("this patrol was silent for so long that another one acts")
        except StoreUnavailable as error:
            log.warning("the store does not answer: %s", error)
        except Exception:
            log.exception("a round of the patrol failed; the next one begins in %.0f s", ROUND_SECONDS)
    if lease.held:
        with suppress(StoreUnavailable):
            lease.release()


def sweep(here: Installation, acting: Store) -> None:
    """What need not be done every second."""
    seal(acting, here.clock())  # before the stream, which says what has grown, is shortened
    retention.apply(acting, here.city, here.clock())
    with acting.write() as tx:
        note_changes(tx, here)
    note_calendar(acting, here.city, here.clock())
    with acting.write() as tx:
        make_partitions(tx, here.clock(), here.clock())
    latest.keep(acting, here.clock(), late=latest.LATER_MS)
    # Not under the lease: after a long pause it computes for longer than a lease lasts, and a day that two patrols
    # take at once is the same and kept once.
    take_due(here)


def walk_round(here: Installation, acting: Store) -> None:
    follow_up(acting, here.city, here.clock())
    with acting.write() as tx:
        filing.line_up(tx)
        outbox.line_up(tx)
    switching.finish(acting, ROUND_SECONDS)
    here.ringer.ring(*waiting_queues(here))
    with acting.write() as tx:
        number_committed(tx)


def waiting_queues(here: Installation) -> Sequence[str]:
    """The queues with work that is due and that nobody holds: a bell was lost, or its worker was."""
    with here.store.read() as tx:
        names = [queue_name(domain) for domain in sorted({owner_of(lane) for lane, _ in DUE.due(tx)})]
        return [*names, DISPATCH] if anything_due(tx) else names
