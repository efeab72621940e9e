"""Which cases decide at a moment: of each domain and division the one whose evidence stays longest in the window, with
and without that of the demonstration. The rest, most of a month's record, would change nothing.

About the present `latest` has them; about the past the record is asked, which takes as long as its month is large.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, case, func, or_, select

from citybrain.indicators.kinds import (
    MOVED,
    PLACED,
    VERIFIED_LEVEL,
    completed_feedback,
    completing,
    delivered_messages,
    passed_verifications,
)
from citybrain.indicators.latest import Latest
from citybrain.indicators.scope import Scope
from citybrain.store.ledger_tables import ledger
from citybrain.store.tables import cases, work_orders


def deciding_cases(tx: Connection, scopes: Sequence[Scope], at: int, now: int) -> set[str]:
    """Their ids; a case that was moved at any time is among the past's, since it may have decided where it was."""
    since = at - scopes[0].window
    latest = Latest.at(tx, at, now)
    if latest:
        return latest.deciding(scopes, since)
    moved = tx.execute(completing(since, at).where(work_orders.c.case_id.in_(MOVED)))
    longest = (tx.execute(_longest(scope, since, at)).scalars() for scope in scopes)
    return {row.case_id for row in moved}.union(*longest)


def _longest(scope: Scope, since: int, at: int) -> Select[Any]:
    """Ids of the cases whose evidence leaves the window last, of each domain and division of the scope's level. The
    latest of each kind decides, since all of it is there already; moved cases are left out."""
    kinds = [completed_feedback(since, at), delivered_messages(since, at)]
    kinds += [passed_verifications(since, at)] if scope.level == VERIFIED_LEVEL else []
    latest = [_latest(kind, since, at) for kind in kinds]
    chosen = cases.join(latest[0], latest[0].c.case_id == cases.c.id)
    for each in latest[1:]:
        chosen = chosen.join(each, each.c.case_id == cases.c.id)
    place = [cases.c[scope.level]] if scope.level in PLACED else []
    located = or_(*(column.isnot(None) for column in place or [cases.c[level] for level in PLACED]))
    within = [~MOVED.where(ledger.c.chain == cases.c.id).exists(), located]
    if scope.division and scope.division.level in PLACED:
        within.append(cases.c[scope.division.level] == scope.division.code)
    ranks = []
    for name in ("at", "real_at"):
        ends = _earliest([each.c[name] for each in latest])
        holds = case((cases.c.demo.is_(True), None), else_=ends) if name == "real_at" else ends
        order = (holds.is_(None), holds.desc(), cases.c.id)
        ranks.append(func.row_number().over(partition_by=[cases.c.domain, *place], order_by=order).label(name))
    ranked = select(cases.c.id, *ranks).select_from(chosen).where(*within).subquery()
    return select(ranked.c.id).where(or_(ranked.c.at == 1, ranked.c.real_at == 1))


def _latest(kind: Select[Any], since: int, at: int) -> Any:
    """By case; of messages also those are asked for that were answered a little earlier or later."""
    told = kind.subquery()
    real = func.max(case((told.c.demo.is_(True), None), else_=told.c.at))
    return (
        select(told.c.case_id, func.max(told.c.at).label("at"), real.label("real_at"))
        .where(told.c.at > since, told.c.at <= at)
        .group_by(told.c.case_id)
        .subquery()
    )


def _earliest(moments: Sequence[Any]) -> Any:
    """Of two or three; nothing where one of them is not there."""
    first = moments[0]
    for other in moments[1:]:
        first = case((first <= other, first), (first > other, other))
    return first
