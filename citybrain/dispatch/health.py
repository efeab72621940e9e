"""How endpoints are: well, failing, unreachable or disabled, since when; what waits for them, how fast they answer."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, literal_column, select

from citybrain.city import City
from citybrain.clock import rfc3339
from citybrain.dispatch.pace import percentile
from citybrain.problem import invalid
from citybrain.store.dispatch_tables import STILL_PENDING, attempts, deliveries, endpoints
from citybrain.store.lanes import in_lanes_of

STATES = ("well", "failing", "unreachable", "disabled", "untried")
LAST = 200  # deliveries whose attempts say how fast an endpoint answers
Waiting = Mapping[str, tuple[int, int]]  # by endpoint: how many, and the gravest grade
OWNER = func.substr(deliveries.c.lane, literal_column("1"), literal_column("32"))
GRADE = func.substr(deliveries.c.lane, literal_column("34"), literal_column("1"))


def state_of(row: Row[Any]) -> str:
    if not row.enabled:
        return "disabled"
    if row.opened_at is not None:
        return "unreachable"
    if row.failures:
        return "failing"
    return "well" if row.succeeded_at is not None else "untried"


def in_state(state: str) -> ColumnElement[bool]:
    """The endpoints of which `state_of` says this."""
    enabled, reached = endpoints.c.enabled.is_(True), endpoints.c.opened_at.is_(None)
    succeeded = endpoints.c.succeeded_at.isnot(None)
    answering = enabled & reached & (endpoints.c.failures == 0)
    conditions = {
        "disabled": ~enabled,
        "unreachable": enabled & ~reached,
        "failing": enabled & reached & (endpoints.c.failures > 0),
        "well": answering & succeeded,
        "untried": answering & ~succeeded,
    }
    if state not in conditions:
        raise invalid("state", f"{state!r} is no state of an endpoint", "one of " + ", ".join(conditions))
    return conditions[state]


def states(tx: Connection, visible: ColumnElement[bool]) -> dict[str, int]:
    """How many endpoints are in each state; `visible`: which may be seen."""
    columns = (endpoints.c[name] for name in ("enabled", "opened_at", "failures", "succeeded_at"))
    rows = tx.execute(select(*columns).where(endpoints.c.deleted_at.is_(None), visible))
    found = Counter(map(state_of, rows))
    return {state: found[state] for state in STATES}


def counted(tx: Connection, endpoint_ids: Sequence[str]) -> dict[str, int]:
    """What waits for each of them, pending or held: read from indexes of what waits."""
    pending = select(OWNER, func.count()).where(STILL_PENDING, OWNER.in_(endpoint_ids)).group_by(OWNER)
    held = (
        select(deliveries.c.endpoint_id, func.count())
        .where(deliveries.c.status == literal_column("'held'"), deliveries.c.endpoint_id.in_(endpoint_ids))
        .group_by(deliveries.c.endpoint_id)
    )
    found = dict.fromkeys(endpoint_ids, 0)
    for query in (pending, held):
        for endpoint_id, number in tx.execute(query):
            found[endpoint_id] += number
    return found


def health(row: Row[Any], waiting: int, now: int, city: City) -> dict[str, Any]:
    """Of one endpoint; next_probe_at: when an unreachable one is tried again, a grave message perhaps sooner."""
    throttled = row.not_before if row.not_before > now else None
    moments = {
        "since": row.state_since,
        "succeeded_at": row.succeeded_at,
        "failed_at": row.failed_at,
        "throttled_until": throttled,
        "next_probe_at": row.probe_at if row.opened_at is not None else None,
    }
    told = {"state": state_of(row), "failures": row.failures, "last_error": row.last_error, "waiting": waiting}
    return told | {name: rfc3339(moment, city.zone) for name, moment in moments.items()}


def lately(tx: Connection, endpoint_id: str, city: City) -> dict[str, Any]:
    """When the oldest that waits was made, and how long the last attempts took."""
    mine = (STILL_PENDING & in_lanes_of(deliveries, endpoint_id), deliveries.c.endpoint_id == endpoint_id)
    held = deliveries.c.status == literal_column("'held'")
    made = [
        tx.execute(select(func.min(deliveries.c.created_at)).where(each)).scalar() for each in (mine[0], mine[1] & held)
    ]
    last = select(deliveries.c.id).where(mine[1]).order_by(deliveries.c.id.desc()).limit(LAST).subquery()
    query = select(attempts.c.duration_ms).where(attempts.c.delivery_id.in_(select(last.c.id)))
    taken = sorted(tx.execute(query).scalars())
    return {
        "oldest_waiting_at": rfc3339(min((at for at in made if at is not None), default=None), city.zone),
        "attempts_ms": {"p50": percentile(taken, 50), "p99": percentile(taken, 99), "of": len(taken)},
    }
