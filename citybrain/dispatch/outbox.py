"""Decides which endpoints a message goes to and writes one delivery for each: pending, or visibly held.

Called inside the transaction that made the decision, so that a decision and its messages are one thing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from sqlalchemy import ColumnElement, Connection, Row, Text, cast, func, literal, select, update

from citybrain.dispatch.turns import lane_of
from citybrain.store.bulk import insert_rows
from citybrain.store.dispatch_tables import STILL_PENDING, UNSENT, deliveries, endpoints
from citybrain.store.ids import new_id
from citybrain.store.lanes import in_lanes_of
from citybrain.store.locks import Lock, take

NO_ENDPOINT = "no_endpoint"
DISABLED = "disabled"
MESSAGES_A_VERSION = 256  # case_order = version x this + position: order within a case, whoever writes
LEVELS = ("county", "town", "village", "cell")
_ENDPOINTS = select(endpoints).where(endpoints.c.deleted_at.is_(None))


class Structure(Protocol):
    """What matching needs to know of the city."""

    def departments_below(self, code: str) -> frozenset[str]: ...
    def level_of(self, code: str) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to tell: `case` has the case's columns; `data` is the webhook's `data`."""

    type: str
    at: str  # RFC 3339
    case: dict[str, Any]
    department: str | None
    work_order_id: str | None
    position: int
    data: dict[str, Any]


class Directory:
    """Every endpoint there is, enabled or not, by the narrowest of its filters: a message looks at few of them. None
    comes, goes or is switched until the transaction has ended."""

    def __init__(self, tx: Connection, city: Structure) -> None:
        take(tx, Lock.ENDPOINTS, shared=True)
        self._city = city
        self._under: dict[tuple[str | None, str | None], list[Row[Any]]] = {}
        self.rows = tx.execute(_ENDPOINTS).all()
        for row in self.rows:
            for word in set(row.types or row.domains) or (None,):
                self._under.setdefault((row.department, word), []).append(row)
        self._departments = {department for department, _ in self._under if department}
        self._above: dict[str | None, list[str | None]] = {}

    def wanting(self, delivery: dict[str, Any]) -> list[Row[Any]]:
        department, words = delivery["department"], {delivery["case_type"], delivery["domain"], None}
        if department not in self._above:
            below = self._city.departments_below
            self._above[department] = [None, *(each for each in self._departments if department in below(each))]
        near = ((above, word) for above in self._above[department] for word in words)
        return [row for key in near for row in self._under.get(key, ()) if wants(row, delivery, self._city)]


class Taker(Protocol):
    """May claim deliveries while they are being written."""

    def fill(self, tx: Connection, rows: Sequence[dict[str, Any]], endpoints: Iterable[Row[Any]]) -> None: ...


def post(tx: Connection, messages: Sequence[Message], city: Structure, now: int, taker: Taker | None = None) -> int:
    """Writes the deliveries; returns how many are due at once and claimed by nobody."""
    if not messages:
        return 0
    directory = Directory(tx, city)
    rows = [row for message in messages for row in _deliveries(message, directory, now)]
    if taker:
        taker.fill(tx, rows, directory.rows)
    insert_rows(tx, deliveries, rows)
    return sum(row["status"] == "pending" and not row["fence"] for row in rows)


def _deliveries(message: Message, directory: Directory, now: int) -> Iterable[dict[str, Any]]:
    case = message.case
    body = orjson.dumps({"type": message.type, "timestamp": message.at, "data": message.data}).decode()
    row: dict[str, Any] = {
        "case_id": case["id"],
        "work_order_id": message.work_order_id,
        "department": message.department,
        "case_order": case["version"] * MESSAGES_A_VERSION + message.position,
        "domain": case["domain"],
        **{level: case[level] for level in LEVELS},
        "type": message.type,
        "case_type": case["type"],
        "grade": case["grade"],
        "body": body,
        "created_at": now,
        "due_at": now,
        "lease_until": 0,
        "fence": 0,
        "tries": 0,
    }
    matched = directory.wanting(row)
    for endpoint in matched:
        lane = lane_of(endpoint.id, row["grade"], row["domain"], row["county"])
        yield row | {"id": _message_id(), "endpoint_id": endpoint.id, "lane": lane, **state_at(endpoint)}
    if not matched:
        yield row | {"id": _message_id(), "endpoint_id": None, "lane": "", **state_because(NO_ENDPOINT)}


def wants(endpoint: Row[Any], delivery: Any, city: Structure) -> bool:
    """Whether an endpoint receives this: the orders of its department and of those below, within its filters; without
    a department, whatever lies in its domains and divisions."""
    get = delivery.get if isinstance(delivery, dict) else lambda name: getattr(delivery, name)
    if endpoint.department and get("department") not in city.departments_below(endpoint.department):
        return False
    if endpoint.domains and get("domain") not in endpoint.domains:
        return False
    if endpoint.types and get("case_type") not in endpoint.types:
        return False
    return not endpoint.divisions or any(_inside(code, get, city) for code in endpoint.divisions)


def _inside(code: str, get: Any, city: Structure) -> bool:
    level = city.level_of(code)
    return level == "city" or (level in LEVELS and get(level) == code)


def adopt(tx: Connection, endpoint: Row[Any], city: Structure, now: int) -> int:
    """Gives an endpoint what was held for want of one. Returns how many."""
    waiting = UNSENT & (deliveries.c.status == "held") & deliveries.c.endpoint_id.is_(None)
    if endpoint.department:
        below = sorted(city.departments_below(endpoint.department))
        waiting &= deliveries.c.department.in_(below)
    seen = (deliveries.c[name] for name in ("id", "department", "domain", "case_type", *LEVELS))  # not the bodies
    found = [row.id for row in tx.execute(select(*seen).where(waiting)) if wants(endpoint, row, city)]
    for start in range(0, len(found), 500):
        chosen = deliveries.c.id.in_(found[start : start + 500])
        own = {"endpoint_id": endpoint.id, "lane": lane_at(endpoint.id), "due_at": now, **state_at(endpoint)}
        tx.execute(update(deliveries).where(chosen).values(**own))
    return len(found)


def lane_at(endpoint_id: str | ColumnElement[str]) -> ColumnElement[str]:
    """`lane_of`, for rows that change hands or go again."""
    domain, county = func.coalesce(deliveries.c.domain, ""), func.coalesce(deliveries.c.county, "")
    owner = literal(endpoint_id) if isinstance(endpoint_id, str) else func.coalesce(endpoint_id, "")
    return owner + "." + cast(deliveries.c.grade, Text) + "." + domain + "." + county


def line_up(tx: Connection) -> None:
    """What an older version of this program has written stands in no lane yet."""
    lost = STILL_PENDING & (deliveries.c.lane == "") & deliveries.c.endpoint_id.isnot(None)
    tx.execute(update(deliveries).where(lost).values(lane=lane_at(deliveries.c.endpoint_id)))


def hold_back(tx: Connection, ids: Sequence[str]) -> None:
    """What was made pending although its endpoint has been disabled or deleted meanwhile waits like the rest."""
    if not ids:
        return
    mine = deliveries.c.id.in_(ids) & (deliveries.c.status == "pending")
    deleted = deliveries.c.endpoint_id.in_(select(endpoints.c.id).where(endpoints.c.deleted_at.isnot(None)))
    nobodys = mine & (deliveries.c.endpoint_id.is_(None) | deleted)
    tx.execute(update(deliveries).where(nobodys).values(endpoint_id=None, lane="", **state_because(NO_ENDPOINT)))
    disabled = deliveries.c.endpoint_id.in_(select(endpoints.c.id).where(endpoints.c.enabled.is_(False)))
    tx.execute(update(deliveries).where(mine & disabled).values(**state_because(DISABLED)))


def orphan(tx: Connection, endpoint_id: str) -> None:
    """A deleted endpoint leaves what it had not received to the department's next one, with all its tries. What is on
    its way changes hands too: whoever sends it has lost the claim."""
    afresh = {"fence": deliveries.c.fence + 1, "lease_until": 0, "tries": 0, "lane": ""}
    held = UNSENT & (deliveries.c.status == "held") & (deliveries.c.endpoint_id == endpoint_id)
    for mine in (STILL_PENDING & in_lanes_of(deliveries, endpoint_id), held):
        tests = mine & deliveries.c.case_id.is_(None)  # nobody else's
        tx.execute(update(deliveries).where(tests).values(status="failed", held_because=None))
        tx.execute(update(deliveries).where(mine).values(endpoint_id=None, **afresh, **state_because(NO_ENDPOINT)))


def state_at(endpoint: Row[Any]) -> dict[str, Any]:
    """Of what is to go to this endpoint."""
    return state_because(None if endpoint.enabled else DISABLED)


def state_because(held_because: str | None) -> dict[str, Any]:
    return {"status": "held" if held_because else "pending", "held_because": held_because}


def _message_id() -> str:
    return f"msg_{new_id()}"
