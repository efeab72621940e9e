"""Compares four ledgers, in the manner of Jepsen's total-queue: what the clients were told, the events, the deliveries,
and what the receivers noted. Nothing of the running campaign is believed; docs/faults.md defines every word.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from citybrain.store.database import Store
from citybrain.store.dispatch_tables import attempts, deliveries
from citybrain.store.ledger_tables import ledger
from citybrain.store.tables import events, feedbacks, work_orders
from faults.ledgers import lines
from faults.receiver import TAKEN, WELL
from faults.settling import source_ids

WRONG = ("lost", "undelivered", "unexpected", "duplicated", "unsettled", "broken", "down")
SOURCE = "gateway"
AT_ONCE_MS = 2_000  # two answers to one message within this: two workers held it at one time
SLACK_MS = 2_000  # timestamps of attempts are whole seconds
SKEW_MS = 600_000  # of the clocks that the campaign sets wrong


@dataclass
class Findings:
    """Counts, and lists of what must be empty."""

    attempted: int = 0
    acknowledged: int = 0
    recovered: int = 0
    webhooks: int = 0
    repeats: int = 0
    answers: int = 0
    lost: list[str] = field(default_factory=list)
    undelivered: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    down: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> dict[str, list[str]]:
        return {name: found for name in WRONG if (found := getattr(self, name))}

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def check(clients: Path, receivers: Path, store: Store, found: Findings, source: str = SOURCE) -> None:
    """Once everything has ended. The store's own promises are `citybrain check --store`'s."""
    with store.read() as tx:
        _events(tx, source, clients, found)
        found.duplicated += _effects(tx)
        _feedback(tx, clients, found)
        _deliveries(tx, receivers, found)


def _events(tx: Connection, source: str, clients: Path, found: Findings) -> None:
    attempted: set[int] = set()
    told: dict[int, set[str]] = defaultdict(set)
    for _, what, *rest in lines(clients):
        if what == "attempted":
            attempted.update(map(int, rest))
        elif what == "acknowledged":
            told[int(rest[0])].add(rest[1])
    rows = tx.execute(
        select(events.c.id, events.c.source_event_id, events.c.state).where(events.c.source == source)
    ).all()
    kept = Counter(row.source_event_id for row in rows)
    ids = {row.id for row in rows}
    known = source_ids(attempted)
    found.attempted, found.acknowledged = len(attempted), len(told)
    found.recovered = sum(known[id_] not in told for id_ in kept if id_ in known)
    found.lost += [f"event {number}, acknowledged as {id_}" for number, its in told.items() for id_ in its - ids]
    found.unexpected += [f"event {id_}, never posted" for id_ in kept if id_ not in known]
    found.duplicated += [
        f"event {number} acknowledged as {len(its)} events" for number, its in told.items() if len(its) > 1
    ]
    found.duplicated += [f"{id_} is {times} events" for id_, times in kept.items() if times > 1]
    found.unsettled += [f"{row.source_event_id} is still received" for row in rows if row.state == "received"]


def _effects(tx: Connection) -> Iterator[str]:
    """What one event or one decision may bring about once."""
    opened = Counter(
        data["event"]
        for (text,) in tx.execute(select(ledger.c.data).where(ledger.c.action.in_(("filed", "triage"))))
        if "event" in (data := json.loads(text)) and "from" not in data
    )
    yield from (f"event {id_} opened {times} cases" for id_, times in opened.items() if times > 1)
    whose = (work_orders.c.case_id, work_orders.c.department, work_orders.c.role)
    doubled = select(*whose).group_by(*whose).having(func.count() > 1)
    yield from (f"case {row.case_id} has two {row.role} orders for {row.department}" for row in tx.execute(doubled))
    sent = (deliveries.c.work_order_id, deliveries.c.endpoint_id)
    first = deliveries.c.type == "work_order.dispatched"
    twice = select(*sent).where(first).group_by(*sent).having(func.count() > 1)
    yield from (f"work order {row.work_order_id} has two messages to one endpoint" for row in tx.execute(twice))
    answered = (attempts.c.status >= 200) & (attempts.c.status < 300)
    again = select(attempts.c.delivery_id).where(answered).group_by(attempts.c.delivery_id).having(func.count() > 1)
    yield from (f"delivery {row.delivery_id} was recorded as delivered twice" for row in tx.execute(again))


def _feedback(tx: Connection, clients: Path, found: Findings) -> None:
    taken = {(row.work_order_id, row.feedback_id) for row in tx.execute(select(feedbacks))}
    given = [(order, id_) for _, what, *rest in lines(clients) if what == "answered" for order, id_ in [rest]]
    found.answers = len(given)
    found.lost += [f"feedback {id_}" for order, id_ in given if (order, id_) not in taken]
    told = (json.loads(text) for (text,) in tx.execute(select(ledger.c.data).where(ledger.c.action == "feedback")))
    effects = Counter((each["work_order"], each["feedback_id"]) for each in told if each["effect"])
    found.duplicated += [f"feedback {id_} applied {times} times" for (_, id_), times in effects.items() if times > 1]


@dataclass(slots=True)
class Copy:
    """One time that a message was taken; in ms, `begun` by its sender's clock. `surely`: its sender was told so."""

    arrived: int
    begun: int
    surely: bool


def _deliveries(tx: Connection, receivers: Path, found: Findings) -> None:
    copies: dict[str, list[Copy]] = defaultdict(list)
    for at, _receiver, id_, _type, _order, _number, timestamp, manner in lines(receivers):
        found.webhooks += 1
        seen = copies[id_]
        if manner in TAKEN:
            seen.append(Copy(int(at), 1000 * int(timestamp), manner == WELL))
    columns = (deliveries.c.id, deliveries.c.status, deliveries.c.delivered_at, deliveries.c.held_because)
    rows = {row.id: row for row in tx.execute(select(*columns))}
    found.unexpected += [f"webhook {id_} of no delivery" for id_ in copies if id_ not in rows]
    found.repeats = sum(len(seen) - 1 for seen in copies.values() if len(seen) > 1)
    for id_, row in rows.items():
        if row.status != "delivered":
            found.undelivered.append(f"delivery {id_} is {row.status} {row.held_because or ''}".strip())
        elif not copies.get(id_):
            found.undelivered.append(f"delivery {id_} is recorded as delivered, and no receiver took it")
        else:
            found.duplicated += _forbidden(id_, copies[id_], row.delivered_at)


def _forbidden(id_: str, seen: list[Copy], recorded: int) -> Iterable[str]:
    """Repeats that no lost record explains."""
    seen.sort(key=lambda copy: copy.arrived)
    for before, after in pairwise(seen):
        if before.surely and after.surely and after.arrived - before.arrived < AT_ONCE_MS:
            yield f"delivery {id_} was sent by two at once"
        if _true(after.begun, after.arrived) > _true(recorded, after.arrived) + SLACK_MS:
            yield f"delivery {id_} was sent after it was recorded"


def _true(moment: int, near: int) -> int:
    """Without the skew of a clock that was set wrong."""
    return moment - round((moment - near) / SKEW_MS) * SKEW_MS
