"""Sending again: what an endpoint has received or given up, by time, kind, state or case; or single deliveries. The ids
stay the same, so that a receiver knows what it has."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import ColumnElement, Connection, func, select, update

from citybrain.clock import to_ms
from citybrain.dispatch.endpoint import find_to_change, log_change
from citybrain.dispatch.outbox import hold_back, lane_at, state_at
from citybrain.problem import Problem
from citybrain.store.dispatch_tables import deliveries
from citybrain.store.ledger import Entry, append_to_city
from citybrain.store.locks import Lock, take

Word = Annotated[str, Field(min_length=1, max_length=64)]
ENDED = ("delivered", "failed")


class Replay(BaseModel):
    """What is sent again: made since then, or of that case; `dry_run` only counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    types: list[Word] = Field([], max_length=20, description="of messages, such as work_order.dispatched")
    status: list[Literal["delivered", "failed"]] = Field([], max_length=2)
    case: Word | None = None
    dry_run: bool = False

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.since is None and self.case is None:
            raise ValueError("`since`, or the `case` whose messages are meant")
        return self


class Retries(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    ids: Annotated[list[Word], Field(min_length=1, max_length=500)]


def replay(tx: Connection, endpoint_id: str, asked: Replay, actor: str, now: int) -> int:
    """To a disabled endpoint when it is enabled. Returns how many are sent again, or would be."""
    row = find_to_change(tx, endpoint_id)
    meant = (deliveries.c.endpoint_id == endpoint_id) & deliveries.c.status.in_(asked.status or ENDED)
    meant &= deliveries.c.body != ""  # or retention has erased what was said
    if asked.since:
        meant &= deliveries.c.created_at >= to_ms(asked.since)
    if asked.until:
        meant &= deliveries.c.created_at < to_ms(asked.until)
    if asked.types:
        meant &= deliveries.c.type.in_(asked.types)
    if asked.case:
        meant &= deliveries.c.case_id == asked.case
    if asked.dry_run:
        counted: int = tx.execute(select(func.count()).where(meant)).scalar_one()
        return counted
    again = {"due_at": now, "tries": 0, "lane": lane_at(endpoint_id), **state_at(row)}
    number = tx.execute(update(deliveries).where(meant).values(**again)).rowcount
    told = asked.model_dump(mode="json", exclude_defaults=True, exclude={"dry_run"})
    log_change(tx, "endpoint.replayed", endpoint_id, actor, now, **told, deliveries=number)
    return number


def retry(tx: Connection, ids: Sequence[str], visible: ColumnElement[bool], actor: str, now: int) -> dict[str, str]:
    """Due at once, with the whole schedule before them again. Returns of each that may be seen what it was: those that
    were neither failed nor pending stay as they are."""
    take(tx, Lock.ENDPOINTS, shared=True)
    found = select(deliveries.c.id, deliveries.c.status).where(deliveries.c.id.in_(ids), visible)
    was = {row.id: row.status for row in tx.execute(found.order_by(deliveries.c.id).with_for_update())}
    chosen = [id_ for id_, status in was.items() if status in ("failed", "pending")]
    if chosen:
        again = {"status": "pending", "due_at": now, "tries": 0, "lane": lane_at(deliveries.c.endpoint_id)}
        tx.execute(update(deliveries).where(deliveries.c.id.in_(chosen)).values(**again))
        hold_back(tx, chosen)
        which: dict[str, Any] = {"delivery": chosen[0]} if len(chosen) == 1 else {"deliveries": chosen}
        append_to_city(tx, Entry("delivery.retried", actor, which), now)
    return was


def not_retried(status: str) -> Problem:
    return Problem(409, f"only failed and pending deliveries are retried; this one is {status}")
