"""What is kept and dispatched to nobody: events under a silence 静默 that somebody set, and single alarms that a
warning for their area inhibits 抑制. Both are cases like others, filed, and say what mutes them. When that has ended,
they wait for a dispatcher like others, and the next report of the same thing dispatches them.

The gravest are never silenced, and a warning inhibits nothing graver than itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, func, select

from citybrain.casework.amendment import Amendment
from citybrain.casework.case import ENDED, Status, is_muted
from citybrain.casework.silences import in_force, matches
from citybrain.casework.supervision import MINUTE_MS, NEVER
from citybrain.city import City
from citybrain.routing.decision import Decision
from citybrain.store.silence_tables import silences
from citybrain.store.tables import IN_WORK, cases, events

NEVER_SILENCED = 2  # grades Ⅰ and Ⅱ
NAMES = ("silence_id", "inhibited_by")
WAITING = (Status.TRIAGE, Status.FILED)  # a warning that nobody decided about, or that is muted itself, mutes nothing


@dataclass(frozen=True, slots=True)
class Mute:
    """What the case keeps of it, and what its ledger says. A silence says when to look again."""

    columns: dict[str, str | int]
    told: dict[str, Any]


@dataclass
class Mutes:
    """Everything in force while one batch is decided."""

    city: City
    silences: Sequence[Row[Any]]
    warnings: dict[str, list[tuple[Row[Any], str]]] = field(default_factory=dict)  # by inhibited type, with the level

    def of(self, row: Row[Any], decision: Decision) -> Mute | None:
        if mute := self.silence_of(row, decision.type, decision.grade):
            return mute
        for warning, level in self.warnings.get(decision.type or "", ()):
            if decision.grade >= warning.grade and _lies_in(row, warning, level):
                return Mute({"inhibited_by": warning.id}, {"by": "warning", "into": warning.number})
        return None

    def silence_of(self, row: Row[Any], type_: str | None, grade: int) -> Mute | None:
        if grade <= NEVER_SILENCED:
            return None
        for silence in self.silences:
            if matches(silence, type_, row, self.city):
                told = {"silence": silence.id, "reason": silence.reason, "until": silence.ends_at}
                return Mute({"silence_id": silence.id, "look_at": silence.ends_at}, {"by": "silence", **told})
        return None


def in_force_for(
    tx: Connection,
    domain: str,
    decisions: Sequence[Decision],
    inhibitors: Mapping[str, Mapping[str, str]],
    city: City,
    now: int,
) -> Mutes:
    """Two small queries a batch, the second only where one of its types can be inhibited at all."""
    mutes = Mutes(city, in_force(tx, domain, now))
    wanted = {each.type: inhibitors[each.type] for each in decisions if each.type and each.type in inhibitors}
    if not wanted:
        return mutes
    types = sorted({type_ for each in wanted.values() for type_ in each})
    columns = (cases.c[name] for name in ("id", "number", "type", "grade", "county", "town", "village", "cell"))
    standing = select(*columns).where(IN_WORK, cases.c.type.in_(types), cases.c.status.not_in(WAITING))
    for warning in tx.execute(standing.order_by(cases.c.id)):
        for inhibited, by in wanted.items():
            if warning.type in by:
                mutes.warnings.setdefault(inhibited, []).append((warning, by[warning.type]))
    return mutes


def unmute(tx: Connection, amendments: Sequence[Amendment], city: City) -> None:
    """Those that are due to be looked at: they wait for a dispatcher from now, if nothing mutes them any more."""
    muted = [each for each in amendments if is_muted(each.case)]
    if not muted:
        return
    ids = {name: sorted({each.case[name] for each in muted if each.case[name]}) for name in NAMES}
    ends = select(silences.c.id, silences.c.ends_at).where(silences.c.id.in_(ids["silence_id"]))
    until = {row.id: row.ends_at for row in tx.execute(ends)}
    over = select(cases.c.id).where(cases.c.id.in_(ids["inhibited_by"]), cases.c.status.in_(ENDED))
    ended = set(tx.execute(over).scalars())
    others = _silenced_again(tx, [each for each in muted if until.get(each.case["silence_id"], NEVER) <= each.at], city)
    for amendment in muted:
        case = amendment.case
        again = until.get(case["silence_id"])
        if again is not None and again > amendment.at:
            case["look_at"] = again
        elif other := others.get(case["id"]):
            case.update(other.columns)
            amendment.note("muted", **other.told)
        elif case["inhibited_by"] and case["inhibited_by"] not in ended:
            case["look_at"] = None  # until that is closed or void
        else:
            case["stage_due_at"] = amendment.at + city.practice.dispatch_minutes * MINUTE_MS
            case["stage_supervised"] = False
            amendment.note("unmuted", reason="silence_ended" if case["silence_id"] else "warning_ended")


def _silenced_again(tx: Connection, over: Sequence[Amendment], city: City) -> dict[str, Mute]:
    """By case: silences may overlap, and the end of one is not the end of the other."""
    if not over:
        return {}
    domains = {each.case["domain"] for each in over}
    standing = {domain: Mutes(city, in_force(tx, domain, over[0].at)) for domain in domains}
    wanted = {each.case["id"]: each.case for each in over if standing[each.case["domain"]].silences}
    first = select(func.min(events.c.id)).where(events.c.case_id.in_(wanted)).group_by(events.c.case_id)
    rows = tx.execute(select(events).where(events.c.id.in_(first))).all() if wanted else ()
    cases_of = ((row, wanted[row.case_id]) for row in rows)
    found = ((case, standing[case["domain"]].silence_of(row, case["type"], case["grade"])) for row, case in cases_of)
    return {case["id"]: mute for case, mute in found if mute}


def _lies_in(row: Row[Any], warning: Row[Any], level: str) -> bool:
    """Whether the event lies in the warning's division of that level."""
    if level == "city":
        return True
    code = getattr(warning, level)
    return code is not None and getattr(row, level) == code
