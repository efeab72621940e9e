"""Gates 闸门: which endpoints get nothing now, or less than they have room for: those that are disabled or asked for
time, whose circuit breaker is open, or that have a limit of their own. The same for all workers: the store says so."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, func, literal_column, or_, select, update

from citybrain.dispatch.turns import Room
from citybrain.store.database import now_ms
from citybrain.store.dispatch_tables import deliveries, endpoints

_now = select(now_ms()).scalar_subquery()
_columns = ("enabled", "concurrency", "per_minute", "not_before", "opened_at", "probe_at", "grave_probe_at")
_NARROW = select(endpoints.c.id, *(endpoints.c[name] for name in _columns), _now.label("now")).where(
    or_(
        endpoints.c.enabled.is_(False),
        endpoints.c.not_before > _now,
        endpoints.c.opened_at.isnot(None),
        endpoints.c.concurrency.isnot(None),
        endpoints.c.per_minute.isnot(None),
    ),
)
_MINE = _NARROW.order_by(endpoints.c.id).with_for_update(key_share=True)
# Written out, since a planner does not use a partial index for values that it does not see.
_CLAIMED = (deliveries.c.status == literal_column("'pending'")) & (deliveries.c.lease_until > literal_column("0"))
_ON_THEIR_WAY = (
    select(deliveries.c.endpoint_id, func.count())
    .where(_CLAIMED, deliveries.c.lease_until > _now, deliveries.c.endpoint_id.in_(bindparam("ids", expanding=True)))
    .group_by(deliveries.c.endpoint_id)
)


class Gate(NamedTuple):
    """`most`: for all together, where there is a limit; `only_grave`: the next ordinary probe is not due yet."""

    most: int
    only_grave: bool = False
    per_minute: int | None = None
    begins: int = 0


class Gates:
    """Nobody else passes them until the transaction has ended, if it is to claim."""

    def __init__(self, tx: Connection, *, to_claim: bool = False) -> None:
        rows = tx.execute(_MINE if to_claim else _NARROW).all()
        self.closed = {row.id for row in rows if _is_shut(row)}
        narrow = [row for row in rows if row.id not in self.closed]
        on_their_way = _counted(tx, narrow)
        self._gates = {row.id: _gate(row, on_their_way.get(row.id, 0)) for row in narrow}
        self.closed |= {id_ for id_, gate in self._gates.items() if not gate.most}

    def narrowed(self, room: Room) -> Room:
        def narrow(endpoint_id: str, grave: bool) -> int:
            gate = self._gates.get(endpoint_id)
            if gate is None:
                return room(endpoint_id, grave)
            return 0 if gate.only_grave and not grave else min(gate.most, room(endpoint_id, grave))

        return narrow

    def passed(self, tx: Connection, numbers: Mapping[str, int]) -> None:
        """After so many of an endpoint with a rate, the next ones wait."""
        for endpoint_id, number in numbers.items():
            gate = self._gates.get(endpoint_id)
            if gate and gate.per_minute:
                later = gate.begins + number * 60_000 // gate.per_minute
                tx.execute(update(endpoints).where(endpoints.c.id == endpoint_id).values(not_before=later))


def is_free(endpoint: Row[Any], now: int) -> bool:
    """No gate stands before it."""
    limits = (endpoint.opened_at, endpoint.concurrency, endpoint.per_minute)
    return endpoint.not_before <= now and limits == (None, None, None)


def _is_shut(row: Any) -> bool:
    waits_for_probe = row.opened_at is not None and min(row.probe_at, row.grave_probe_at) > row.now
    return not row.enabled or row.not_before > row.now or waits_for_probe


def _gate(row: Any, on_their_way: int) -> Gate:
    if row.opened_at is not None:
        return Gate(0 if on_their_way else 1, only_grave=row.probe_at > row.now)
    most = 10**6 if row.concurrency is None else max(row.concurrency - on_their_way, 0)
    if row.per_minute is not None:
        most = min(most, max(row.per_minute // 60, 1))  # what it may in a second: patrol rings once in one
    return Gate(most, per_minute=row.per_minute, begins=row.now)


def _counted(tx: Connection, rows: Sequence[Any]) -> Mapping[str, int]:
    ids = [row.id for row in rows if row.opened_at is not None or row.concurrency is not None]
    found = tx.execute(_ON_THEIR_WAY, {"ids": ids}).all() if ids else ()
    return {row[0]: row[1] for row in found}
