"""What is kept and dispatched to nobody: events under a silence 静默 that somebody set, and single alarms that a
warning for their area inhibits 抑制. Both are cases like others, filed, and say what mutes them.

The gravest are never silenced, and a warning inhibits nothing graver than itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, select

from citybrain.casework.case import Status
from citybrain.casework.silences import in_force, matches
from citybrain.city import City
from citybrain.routing.decision import Decision
from citybrain.store.tables import IN_WORK, cases

NEVER_SILENCED = 2  # grades Ⅰ and Ⅱ
WAITING = (Status.TRIAGE, Status.FILED)  # a warning that nobody decided about, or that is muted itself, mutes nothing


@dataclass(frozen=True, slots=True)
class Mute:
    """What the case keeps of it, and what its ledger says."""

    columns: dict[str, str]
    told: dict[str, Any]


@dataclass
class Mutes:
    """Everything in force while one batch is decided."""

    city: City
    silences: Sequence[Row[Any]]
    warnings: dict[str, list[tuple[Row[Any], str]]] = field(default_factory=dict)  # by inhibited type, with the level

    def of(self, row: Row[Any], decision: Decision) -> Mute | None:
        if decision.grade > NEVER_SILENCED:
            for silence in self.silences:
                if matches(silence, decision.type, row, self.city):
                    told = {"silence": silence.id, "reason": silence.reason, "until": silence.ends_at}
                    return Mute({"silence_id": silence.id}, {"by": "silence", **told})
        for warning, level in self.warnings.get(decision.type or "", ()):
            if decision.grade >= warning.grade and _lies_in(row, warning, level):
                return Mute({"inhibited_by": warning.id}, {"by": "warning", "into": warning.number})
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


def _lies_in(row: Row[Any], warning: Row[Any], level: str) -> bool:
    """Whether the event lies in the warning's division of that level."""
    if level == "city":
        return True
    code = getattr(warning, level)
    return code is not None and getattr(row, level) == code
