"""Which case a report of the same thing joins: one that is open and not yet reported done, not too long after the last
report and not too far away. What comes after that is a case of its own, which says what it is related to."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select

from citybrain.casework.amendment import Amendment, load_all
from citybrain.casework.case import Status
from citybrain.routing.decision import Decision
from citybrain.store.locks import Lock, take
from citybrain.store.tables import cases

JOINABLE = (Status.FILED, Status.DISPATCHED, Status.ACCEPTED, Status.RETURNED, Status.SUSPENDED)
REPORTED_DONE = (Status.COMPLETED, Status.VERIFIED)
METRES_A_DEGREE = 111_320.0
_SAME = (cases.c.domain == bindparam("of")) & cases.c.merge_key.in_(bindparam("keys", expanding=True))
_LIVE = select(cases.c.id).where(
    _SAME, cases.c.status.in_(JOINABLE), func.coalesce(cases.c.last_event_at, 0) >= bindparam("since")
)
_DONE = (
    select(cases.c.merge_key, func.max(cases.c.id))
    .where(_SAME, cases.c.status.in_(REPORTED_DONE))
    .group_by(cases.c.merge_key)
)


@dataclass
class Known:
    """The cases that a batch may be about, by merge key: those that are joined, and the newest one reported done."""

    open: dict[str, list[Amendment]] = field(default_factory=dict)
    done: dict[str, str] = field(default_factory=dict)

    def add(self, amendment: Amendment) -> None:
        if key := amendment.case["merge_key"]:
            self.open.setdefault(key, []).append(amendment)

    def joined_by(self, row: Row[Any], decision: Decision, now: int) -> Amendment | None:
        """The nearest of those that are near enough, else the newest."""
        fitting = [each for each in self.open.get(decision.merge_key or "", ()) if _is_recent(each, decision, now)]
        if decision.merge_metres is None or not fitting:
            return fitting[-1] if fitting else None
        point = row.place.get("wgs84")
        away = [_away(point, each.case["place"].get("wgs84")) for each in fitting]
        nearest = min(range(len(fitting)), key=away.__getitem__)
        return fitting[nearest] if away[nearest] <= decision.merge_metres else None


def known_to(tx: Connection, decisions: Sequence[Decision], domain: str, actor: str, now: int) -> Known:
    """Locks what may be joined."""
    known = Known()
    keys = sorted({each.merge_key for each in decisions if each.merge_key and not each.triage})
    if not keys:
        return known
    take(tx, Lock.JOINING, of=domain)  # numbers are counted by day: over midnight they keep nobody apart
    minutes = [each.merge_minutes for each in decisions if each.merge_key and not each.triage]
    since = 0 if None in minutes else now - max(minute or 0 for minute in minutes) * 60_000
    asked = {"of": domain, "keys": keys, "since": since}
    ids = tx.execute(_LIVE, asked).scalars().all()
    for amendment in load_all(tx, ids, actor, now) if ids else ():
        if amendment.case["status"] in JOINABLE:  # somebody may have had it locked
            known.add(amendment)
    known.done = {row[0]: row[1] for row in tx.execute(_DONE, asked)}
    return known


def metres_between(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """On a plane that touches the earth there: exact to a thousandth over some kilometres."""
    east = (one["lng"] - other["lng"]) * math.cos(math.radians((one["lat"] + other["lat"]) / 2))
    return math.hypot(east, one["lat"] - other["lat"]) * METRES_A_DEGREE


def _away(one: Mapping[str, float] | None, other: Mapping[str, float] | None) -> float:
    return metres_between(one, other) if one and other else math.inf


def _is_recent(amendment: Amendment, decision: Decision, now: int) -> bool:
    minutes = decision.merge_minutes
    return minutes is None or now - (amendment.case["last_event_at"] or 0) <= minutes * 60_000
