"""Earned coverage, the evidence: delivered messages, reports of completion, verifications, and where their cases were.
`proofs` joins them. A case counts where it was located then, not where it was moved to later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
from sqlalchemy import Connection, Row, Select, or_, select

from citybrain.indicators.deciding import deciding_cases
from citybrain.indicators.kinds import (
    AT_ONCE,
    MOVED,
    PLACED,
    VERIFIED_LEVEL,
    completed_feedback,
    completing,
    delivered_messages,
    passed_verifications,
    relocations_of,
)
from citybrain.indicators.scope import Scope
from citybrain.store.tables import cases, work_orders

Move = tuple[int, dict[str, Any], dict[str, Any]]  # when, from where, to where


@dataclass(frozen=True)
class Evidence:
    """What the record has about the cases that completed something; read once, it proves for every level."""

    cases: Sequence[Row[Any]]
    number: Mapping[str, int]  # of each case
    moves: Mapping[int, list[Move]]  # by case
    deliveries: Sequence[Row[Any]]
    feedbacks: Sequence[Row[Any]]
    verifications: Sequence[Row[Any]]


def read_evidence(tx: Connection, scope: Scope, since: int, until: int) -> Evidence:
    """Of the cases that are or were in the scope's division, all that counts at some moment from `since` to `until`."""
    since -= scope.window
    return _read(tx, since, until, [_completing(scope, since, until)], scope.level == VERIFIED_LEVEL)


def evidence_at(tx: Connection, scopes: Sequence[Scope], moments: Sequence[int], now: int) -> Evidence:
    """What decides at each of a few moments, in all of the scopes."""
    chosen = sorted({id_ for at in moments for id_ in deciding_cases(tx, scopes, at, now)})
    parts = [chosen[start : start + AT_ONCE] for start in range(0, len(chosen), AT_ONCE)]
    verified = any(scope.level == VERIFIED_LEVEL for scope in scopes)
    return _read(tx, moments[0] - scopes[0].window, moments[-1], parts, verified)


def _read(tx: Connection, since: int, until: int, mine: Sequence[Any], verified: bool) -> Evidence:
    """The evidence of the cases whose ids the parts of `mine` have."""

    def rows(ask: Callable[[Any], Select[Any]]) -> list[Row[Any]]:
        return [row for part in mine for row in tx.execute(ask(part))]

    columns = (cases.c.id, cases.c.number, cases.c.domain, cases.c.demo, *(cases.c[level] for level in PLACED))
    known = rows(lambda of: select(*columns).where(cases.c.id.in_(of)))
    number = {row.id: index for index, row in enumerate(known)}

    def of_these(kind: Callable[..., Select[Any]]) -> Sequence[Row[Any]]:
        return [row for row in rows(partial(kind, since, until)) if row.case_id in number]

    return Evidence(
        known,
        number,
        _moves(rows(relocations_of), number),
        of_these(delivered_messages),
        of_these(completed_feedback),
        of_these(passed_verifications) if verified else (),
    )


def _completing(scope: Scope, since: int, until: int) -> Select[Any]:
    """Of one division only those that are or once were there."""
    query, asked = completing(since, until), scope.asked
    if asked is None:
        return query
    here = or_(cases.c[asked.level] == asked.code, cases.c.id.in_(MOVED))
    return query.join(cases, cases.c.id == work_orders.c.case_id).where(here)


def _moves(rows: Sequence[Row[Any]], number: Mapping[str, int]) -> Mapping[int, list[Move]]:
    moves: dict[int, list[Move]] = {}
    for row in rows:
        data = orjson.loads(row.data)
        after = {level: (data["place"].get(level) or {}).get("code") for level in PLACED}
        moves.setdefault(number[row.chain], []).append((row.at, data["before"], after))
    return moves
