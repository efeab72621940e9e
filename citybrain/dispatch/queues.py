"""What waits for an endpoint and does not move by itself: a department without an endpoint, an endpoint that is
unreachable or disabled. Each is a queue with a deadline of its own; past it somebody is told, once."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, literal_column, select, true

from citybrain.cityfile import PatienceTable
from citybrain.dispatch.health import GRADE, OWNER
from citybrain.dispatch.lane import GRAVE
from citybrain.store.dispatch_tables import STILL_PENDING, deliveries, dispatch_alerts, endpoints
from citybrain.store.lanes import in_lanes_of
from citybrain.store.ledger import Entry, append_to_city
from citybrain.store.stream import Change, record_changes

CLOCK = "clock"  # the actor of what only the passing of time decided
PLACES = ("county", "town")  # finer ones would be told a hundred times over
QUEUES = MISSING, UNREACHABLE, DISABLED = "missing_endpoint", "unreachable", "disabled"
_HELD = deliveries.c.status == literal_column("'held'")


@dataclass(frozen=True, slots=True)
class Stuck:
    """`since` and `due_at` in ms; `gravest` is the gravest grade of what waits."""

    queue: str
    department: str | None
    endpoint_id: str | None
    endpoint: str | None
    waiting: int
    gravest: int
    since: int
    due_at: int

    @property
    def subject(self) -> str:
        return self.endpoint_id or self.department or ""


def stuck(tx: Connection, patience: PatienceTable, visible: ColumnElement[bool] | None = None) -> list[Stuck]:
    """The first deadline first. `visible`: of deliveries, what may be seen."""
    visible = true() if visible is None else visible
    found = [*_missing(tx, patience, visible), *_not_taken(tx, patience, visible)]
    return sorted(found, key=lambda each: (each.due_at, each.subject))


def _missing(tx: Connection, patience: PatienceTable, visible: ColumnElement[bool]) -> Sequence[Stuck]:
    department = deliveries.c.department
    what = (func.count(), func.min(deliveries.c.grade), func.min(deliveries.c.created_at))
    held = select(department, *what).where(_HELD, deliveries.c.endpoint_id.is_(None), visible).group_by(department)
    minutes = patience.missing_endpoint_minutes
    return [
        Stuck(MISSING, code, None, None, number, gravest, since, _due(since, minutes, gravest, patience))
        for code, number, gravest, since in tx.execute(held)
    ]


def _not_taken(tx: Connection, patience: PatienceTable, visible: ColumnElement[bool]) -> Sequence[Stuck]:
    away = (endpoints.c.opened_at.isnot(None) | endpoints.c.enabled.is_(False)) & endpoints.c.deleted_at.is_(None)
    rows = {row.id: row for row in tx.execute(select(endpoints).where(away))}
    if not rows:
        return []
    pending = (
        select(OWNER, func.count(), func.min(GRADE)).where(STILL_PENDING, OWNER.in_(rows), visible).group_by(OWNER)
    )
    owner = deliveries.c.endpoint_id
    held = (
        select(owner, func.count(), func.min(deliveries.c.grade)).where(_HELD, owner.in_(rows), visible).group_by(owner)
    )
    found: list[Stuck] = []
    for query in (pending, held):
        for endpoint_id, number, gravest in tx.execute(query):
            row = rows[endpoint_id]
            queue, minutes = (
                (UNREACHABLE, patience.unreachable_minutes) if row.enabled else (DISABLED, patience.disabled_minutes)
            )
            since = row.opened_at or row.state_since or row.created_at
            due_at = _due(since, minutes, int(gravest), patience)
            found.append(Stuck(queue, row.department, row.id, row.name, number, int(gravest), since, due_at))
    return found


def _due(since: int, minutes: int, gravest: int, patience: PatienceTable) -> int:
    return since + 60_000 * (min(minutes, patience.grave_minutes) if gravest <= GRAVE else minutes)


def raise_alerts(tx: Connection, patience: PatienceTable, now: int) -> int:
    """Tells, in the ledger and the stream, of each queue that is past its deadline, once until it is empty. Returns of
    how many."""
    late = {(each.queue, each.subject): each for each in stuck(tx, patience) if each.due_at <= now}
    told = {(row.queue, row.subject) for row in tx.execute(select(dispatch_alerts))}
    for queue, subject in told - set(late):
        tx.execute(
            delete(dispatch_alerts).where(dispatch_alerts.c.queue == queue, dispatch_alerts.c.subject == subject)
        )
    new = [each for key, each in late.items() if key not in told]
    for each in new:
        row = {"queue": each.queue, "subject": each.subject, "since": each.since, "raised_at": now}
        tx.execute(insert(dispatch_alerts).values(**row))
        append_to_city(tx, Entry("dispatch.overdue", CLOCK, asdict(each)), now)
        record_changes(tx, _changes(tx, each), now)
    return len(new)


def _changes(tx: Connection, each: Stuck) -> Iterator[Change]:
    """One for each domain and place in which something of it waits, so that whoever is limited to some sees theirs;
    `waiting` is how many there. Test messages are about no domain."""
    place = (deliveries.c.domain, *(deliveries.c[level] for level in PLACES))
    if each.endpoint_id is None:
        waiting = [_HELD & deliveries.c.endpoint_id.is_(None) & (deliveries.c.department == each.department)]
    else:
        held = _HELD & (deliveries.c.endpoint_id == each.endpoint_id)
        waiting = [STILL_PENDING & in_lanes_of(deliveries, each.endpoint_id), held]
    found: Counter[tuple[Any, ...]] = Counter()
    for condition in waiting:
        for *where, number in tx.execute(select(*place, func.count()).where(condition).group_by(*place)):
            found[tuple(where)] += number
    for (domain, *codes), number in found.items():
        told = _shown(each) | {"waiting": number}
        yield Change("dispatch.overdue", domain or "", dict(zip(PLACES, codes, strict=True)), data=told)


def _shown(each: Stuck) -> dict[str, Any]:
    return {name: value for name, value in asdict(each).items() if name != "gravest"}
