"""What a worker takes along while it writes: the first messages of new cases are born claimed by the one that sends
them next, so that no second transaction has to claim them. What it does not take waits in the store for any claim."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from citybrain.dispatch.delivery import LANES, LEASE_MS, outgoing
from citybrain.dispatch.gates import is_free
from citybrain.dispatch.outbox import MESSAGES_A_VERSION
from citybrain.dispatch.sender import Outgoing
from citybrain.store.database import now_ms
from citybrain.store.lanes import owner_of

AFTERWARDS = 2 * MESSAGES_A_VERSION  # from a case's second version on, something earlier of it may be waiting
_NOW = select(now_ms())


class Claim(NamedTuple):
    """What must be known of a delivery to record its attempt; the rows of other claims have it too."""

    id: str
    endpoint_id: str
    grade: int
    fence: int = 1
    tries: int = 1


class Pouch:
    """For one transaction. `takes` says of an endpoint whether one more message to it can be sent at once."""

    def __init__(self, takes: Callable[[str], bool]) -> None:
        self._takes = takes
        self.begun = time.monotonic()  # the leases begin later
        self.claimed: list[tuple[Claim, Outgoing]] = []

    def fill(self, tx: Connection, rows: Sequence[dict[str, Any]], endpoints: Iterable[Row[Any]]) -> None:
        """Claims those of the new deliveries that may go now and for which there is room, the gravest first; none
        for an endpoint for which older ones wait, or that gets its messages by measure."""
        firsts = sorted(_first(rows, known := {row.id: row for row in endpoints}), key=lambda row: int(row["grade"]))
        if not firsts:
            return
        now: int = tx.execute(_NOW).scalar_one()
        busy = {owner_of(lane) for lane, _ in LANES.due(tx)}
        for row in firsts:
            endpoint = known[row["endpoint_id"]]
            if endpoint.id in busy or not is_free(endpoint, now) or not self._takes(endpoint.id):
                continue
            claim = Claim(row["id"], endpoint.id, row["grade"])
            row.update(lease_until=now + LEASE_MS, fence=claim.fence, tries=claim.tries)
            self.claimed.append((claim, outgoing(claim.id, endpoint, row["body"].encode(), now)))


def _first(rows: Iterable[dict[str, Any]], known: Mapping[str, Row[Any]]) -> Iterable[dict[str, Any]]:
    """The first message of each new case to each endpoint, unless persons are to be put into it."""
    told: set[tuple[str, str]] = set()
    for row in rows:
        pair = row["case_id"], row["endpoint_id"]
        if row["status"] != "pending" or row["case_order"] >= AFTERWARDS or pair in told:
            continue
        told.add(pair)
        if not known[row["endpoint_id"]].unmasked:
            yield row
