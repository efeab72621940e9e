"""Which case a report of the same thing joins: one that is open and not yet reported done, not too long after the last
report and not too far away. What comes after that is a case of its own, which says what it is related to."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, func, select

from citybrain.casework.amendment import Amendment, load_all
from citybrain.casework.case import Status
from citybrain.routing.decision import Decision, Merge
from citybrain.store.locks import Lock, take
from citybrain.store.tables import cases

JOINABLE = (Status.FILED, Status.DISPATCHED, Status.ACCEPTED, Status.RETURNED, Status.SUSPENDED)
REPORTED_DONE = (Status.COMPLETED, Status.VERIFIED)
METRES_A_DEGREE = 111_320.0
KEYS = ("merge_key", "second_key")  # a case is known by a key for each rule of its type


def _same(name: str) -> ColumnElement[bool]:
    return (cases.c.domain == bindparam("of")) & cases.c[name].in_(bindparam("keys", expanding=True))


def _live(name: str) -> Select[str]:
    recent = func.coalesce(cases.c.last_event_at, 0) >= bindparam("since")
    return select(cases.c.id).where(_same(name), cases.c.status.in_(JOINABLE), recent)


def _done(name: str) -> Select[str, str]:
    newest = select(cases.c[name], func.max(cases.c.id)).where(_same(name), cases.c.status.in_(REPORTED_DONE))
    return newest.group_by(cases.c[name])


_LIVE, _DONE = [_live(name) for name in KEYS], [_done(name) for name in KEYS]  # put together once


@dataclass
class Known:
    """The cases that a batch may be about, by merge key: those that are joined, and the newest one reported done."""

    open: dict[str, list[Amendment]] = field(default_factory=dict)
    done: dict[str, str] = field(default_factory=dict)

    def add(self, amendment: Amendment) -> None:
        """Also what is known by one more key now."""
        for key in filter(None, (amendment.case[name] for name in KEYS)):
            if all(each is not amendment for each in self.open.setdefault(key, [])):
                self.open[key].append(amendment)

    def joined_by(self, row: Row[Any], decision: Decision, now: int) -> Amendment | None:
        """By the first rule that finds one."""
        return next(filter(None, (self._found(row, merge, now) for merge in decision.merges)), None)

    def _found(self, row: Row[Any], merge: Merge, now: int) -> Amendment | None:
        """The nearest of those that are near enough, else the newest."""
        fitting = [each for each in self.open.get(merge.key or "", ()) if _is_recent(each, merge, now)]
        if merge.metres is None or not fitting:
            return fitting[-1] if fitting else None
        point = row.place.get("wgs84")
        away = [_away(point, each.case["place"].get("wgs84")) for each in fitting]
        nearest = min(range(len(fitting)), key=away.__getitem__)
        return fitting[nearest] if away[nearest] <= merge.metres else None


def known_to(tx: Connection, decisions: Sequence[Decision], domain: str, actor: str, now: int) -> Known:
    """Locks what may be joined."""
    known = Known()
    decided = [each.merges for each in decisions if not each.triage]
    wanted = [[each[rule] for each in decided if len(each) > rule and each[rule].key] for rule in range(len(KEYS))]
    if not any(wanted):
        return known
    take(tx, Lock.JOINING, of=domain)  # numbers are counted by day: over midnight they keep nobody apart
    asked = [(rule, _asked(merges, domain, now)) for rule, merges in enumerate(wanted) if merges]
    ids = {case_id for rule, about in asked for case_id in tx.execute(_LIVE[rule], about).scalars()}
    for amendment in load_all(tx, sorted(ids), actor, now) if ids else ():
        if amendment.case["status"] in JOINABLE:  # somebody may have had it locked
            known.add(amendment)
    known.done = {row[0]: row[1] for rule, about in asked for row in tx.execute(_DONE[rule], about)}
    return known


def _asked(merges: Sequence[Merge], domain: str, now: int) -> dict[str, Any]:
    minutes = [merge.minutes for merge in merges]
    since = 0 if None in minutes else now - max(minute or 0 for minute in minutes) * 60_000
    return {"of": domain, "keys": sorted({merge.key or "" for merge in merges}), "since": since}


def metres_between(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """On a plane that touches the earth there: exact to a thousandth over some kilometres."""
    east = (one["lng"] - other["lng"]) * math.cos(math.radians((one["lat"] + other["lat"]) / 2))
    return math.hypot(east, one["lat"] - other["lat"]) * METRES_A_DEGREE


def _away(one: Mapping[str, float] | None, other: Mapping[str, float] | None) -> float:
    return metres_between(one, other) if one and other else math.inf


def _is_recent(amendment: Amendment, merge: Merge, now: int) -> bool:
    return merge.minutes is None or now - (amendment.case["last_event_at"] or 0) <= merge.minutes * 60_000
