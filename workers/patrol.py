"""Patrol: rings for whatever is recorded but not moving, numbers the stream, runs the clocks. It may die at any time:
everything it does is found in the store and done again by the next one."""

import logging
import time
from collections.abc import Sequence
from threading import Event

from sqlalchemy import select

from citybrain.casework.followup import follow_up
from citybrain.dispatch.delivery import anything_due
from citybrain.indicators.activity import note_changes
from citybrain.indicators.snapshots import take_due
from citybrain.installation import Installation
from citybrain.queue import DISPATCH, queue_name
from citybrain.store.claims import due
from citybrain.store.database import StoreUnavailable
from citybrain.store.partitions import make_partitions
from citybrain.store.stream import forget_before, number_committed
from citybrain.store.tables import events

log = logging.getLogger(__name__)

ROUND_SECONDS = 1.0
STREAM_KEPT_MS = 7 * 24 * 3600 * 1000
SWEEP_SECONDS = 600.0


def patrol(here: Installation, stop: Event) -> None:
    swept_at = 0.0
    while not stop.wait(ROUND_SECONDS):
        try:
            walk_round(here)
            if time.monotonic() - swept_at > SWEEP_SECONDS:
                sweep(here)
                swept_at = time.monotonic()
        except StoreUnavailable as error:
            log.warning("the store does not answer: %s", error)
        except Exception:
            log.exception("a round of the patrol failed; the next one begins in %.0f s", ROUND_SECONDS)


def sweep(here: Installation) -> None:
    """What need not be done every second."""
    with here.store.write() as tx:
        forget_before(tx, here.clock() - STREAM_KEPT_MS)
        note_changes(tx, here)
    take_due(here)
    with here.store.write() as tx:
        make_partitions(tx, here.clock(), here.clock())


def walk_round(here: Installation) -> None:
    follow_up(here.store, here.city, here.clock())
    here.ringer.ring(*waiting_queues(here))
    with here.store.write() as tx:
        number_committed(tx)


def waiting_queues(here: Installation) -> Sequence[str]:
    """The queues with work that is due and that nobody holds: a bell was lost, or its worker was."""
    waiting = (events.c.state == "received") & due(events)
    with here.store.read() as tx:
        domains = tx.execute(select(events.c.domain).where(waiting).distinct()).scalars().all()
        names = [queue_name(domain) for domain in domains]
        return [*names, DISPATCH] if anything_due(tx) else names
