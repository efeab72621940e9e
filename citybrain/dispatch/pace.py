"""How endpoints have answered lately: of how many attempts how many arrived, and how long they took. The attempts
themselves tell, the newest of them by the index of their times."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, TextClause, and_, literal, select, union_all

from citybrain.store.dispatch_tables import ANSWERED, FAILED, attempts, deliveries

MOST = 5_000  # attempts of each kind; where there are more, what is told is about less time
HOUR_MS, DAY_MS = 3_600_000, 86_400_000


class Pace(NamedTuple):
    """`percent` arrived of all that were tried; the times are those of all attempts, in ms."""

    arrived: int
    tried: int
    p50: int | None
    p99: int | None

    @property
    def percent(self) -> float:
        return round(100 * self.arrived / self.tried, 1)


class Paces(NamedTuple):
    since: int
    of: dict[str, Pace]  # by endpoint: those that tried anything


def paces(tx: Connection, since: int, only: str | None = None) -> Paces:
    """Of all endpoints, or of one, since that time or since the last MOST attempts, whatever is later."""
    begins = max([since, *(_begin(tx, kind, since) for kind in (ANSWERED, FAILED))])
    mine = deliveries.c.endpoint_id.isnot(None) if only is None else deliveries.c.endpoint_id == only
    query = union_all(*(_tried(kind, arrived, begins, mine) for kind, arrived in ((ANSWERED, 1), (FAILED, 0))))
    taken: dict[str, list[int]] = {}
    arrived: dict[str, int] = {}
    for endpoint_id, duration_ms, came in tx.execute(query):
        taken.setdefault(endpoint_id, []).append(duration_ms)
        arrived[endpoint_id] = arrived.get(endpoint_id, 0) + came
    return Paces(begins, {id_: _pace(arrived[id_], sorted(times)) for id_, times in taken.items()})


def percentile(ordered: Sequence[int], percent: int) -> int | None:
    return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)] if ordered else None


def _pace(arrived: int, ordered: list[int]) -> Pace:
    return Pace(arrived, len(ordered), percentile(ordered, 50), percentile(ordered, 99))


def _begin(tx: Connection, kind: TextClause, since: int) -> int:
    """When the first attempt was made that is more than MOST ago, or `since`."""
    late = select(attempts.c.at).where(kind, attempts.c.at >= since).order_by(attempts.c.at.desc())
    found: int | None = tx.execute(late.offset(MOST).limit(1)).scalar()
    return since if found is None else found + 1


def _tried(kind: TextClause, arrived: int, since: int, mine: ColumnElement[bool]) -> Select[Any]:
    joined = attempts.join(deliveries, deliveries.c.id == attempts.c.delivery_id)
    columns = (deliveries.c.endpoint_id, attempts.c.duration_ms, literal(arrived))
    return select(*columns).select_from(joined).where(and_(kind, attempts.c.at >= since, mine))
