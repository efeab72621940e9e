"""Evaluation 综合评价: how much of what was reported, dispatched and due was filed, handled and closed, and in time; by
domain, department, division or worker, over a period, as the record gives it: raw, and after appeals that were upheld.

The handling clock ends with the department's report of completion; verification and closure come after it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Table,
    and_,
    case,
    exists,
    false,
    func,
    or_,
    select,
    true,
)

from citybrain.casework.case import ACTIVE_ORDERS, OrderStatus, Status
from citybrain.city import City
from citybrain.keys import Key, Role, within
from citybrain.store.ledger_tables import MILESTONES, ledger
from citybrain.store.tables import cases, events, keys, work_orders

DIMENSIONS = ("domain", "department", "division", "worker")
BELOW = 3_600_000  # ids begin with the time they were made: nothing that came in the period is older than that
COUNTED = (*ACTIVE_ORDERS, OrderStatus.COMPLETED)


class Rate(NamedTuple):
    """`per` says of what both numbers are."""

    code: str
    name: str
    name_en: str
    per: str
    formula: str
    formula_en: str


RATES = (
    Rate("filing", "立案率", "Filing rate", "event",
         "期内上报中已立案（未作废）的件数 ÷ 期内上报件数",
         "reports of the period that were filed and not voided / reports of the period"),
    Rate("handling", "处置率", "Handling rate", "work order",
         "期内报告完成的派遣单数 ÷（期内报告完成的 + 期内到期而期末仍未完成的）",
         "work orders reported complete in the period / these and those that fell due in it and were not complete at "
         "its end"),
    Rate("handling_in_time", "按时处置率", "Handling rate in time", "work order",
         "期内在时限之前报告完成的派遣单数 ÷（期内报告完成的 + 期内到期而期末仍未完成的）",
         "work orders reported complete in the period by their due time / the same as for the handling rate"),
    Rate("rework", "返工率", "Rework rate", "work order",
         "期内返工次数 ÷ 期内报告完成的派遣单数（可大于 100%）",
         "reworks ordered in the period / work orders reported complete in it (may exceed 100 %)"),
    Rate("closing", "结案率", "Closing rate", "case",
         "期内结案数 ÷（期内结案的 + 期内到期而期末仍未结案的）",
         "cases closed in the period / these and those that fell due in it and were not closed at its end"),
    Rate("closing_in_time", "按期结案率", "Closing rate in time", "case",
         "期内结案且主办部门在时限之前报告完成的案件数 ÷（期内结案的 + 期内到期而期末仍未结案的）",
         "cases closed in the period whose lead had reported completion by the due time / the same as for the closing "
         "rate"),
)  # fmt: skip

Counts = dict[str, list[int]]  # by rate: numerator and denominator, raw, then both after appeals


@dataclass(frozen=True, slots=True)
class Asked:
    """`since` is in the period, `until` no longer; `level` is that of `by="division"`."""

    by: str
    since: int
    until: int
    level: str
    key: Key
    city: City
    demo: bool = False


@dataclass(frozen=True, slots=True)
class Population:
    """The rows that some rates count, and how each of them does: by rate what a row adds to the numerator and to the
    denominator, then both after appeals. `row` identifies one, `case_id` is its case."""

    rows: FromClause
    counted: ColumnElement[bool]
    group: ColumnElement[Any]
    row: ColumnElement[str]
    case_id: ColumnElement[str]
    adds: Mapping[str, Sequence[ColumnElement[int]]]


def performance(tx: Connection, asked: Asked) -> dict[str | None, Counts]:
    """By domain, department, division or worker; four aggregates, whatever the number of cases."""
    found: dict[str | None, Counts] = {}
    for each in populations(asked):
        added = [number for numbers in each.adds.values() for number in numbers]
        sums = (func.sum(number).label(f"n{index}") for index, number in enumerate(added))
        query = select(each.group, *sums).select_from(each.rows).where(each.counted).group_by(each.group)
        for group, *numbers in tx.execute(query):
            counts = found.setdefault(group, {})
            for index, rate in enumerate(each.adds):
                counts[rate] = [int(number or 0) for number in numbers[index * 4 : index * 4 + 4]]
    return found


def total(found: Iterable[Counts]) -> Counts:
    summed: Counts = {}
    for counts in found:
        for rate, numbers in counts.items():
            summed[rate] = [a + b for a, b in zip(summed.get(rate, [0] * 4), numbers, strict=True)]
    return summed


def rates_of(counts: Mapping[str, list[int]], after: bool) -> dict[str, dict[str, Any]]:
    """Each rate with its numerator and denominator; null where there is nothing to divide by."""
    told = {}
    for rate in RATES:
        above, below = counts.get(rate.code, [0] * 4)[2 * after : 2 * after + 2]
        percent = round(100 * above / below, 1) if below else None
        told[rate.code] = {"numerator": above, "denominator": below, "percent": percent}
    return told


def populations(asked: Asked) -> Iterator[Population]:
    if asked.by != "department":  # a report has none yet
        yield _filing(asked)
    yield _handling(asked)
    yield _reworks(asked)
    yield _closing(asked)


def _filing(asked: Asked) -> Population:
    filed = (events.c.state == "cased") & func.coalesce(cases.c.status != Status.VOID, false())
    made = events.c.id >= f"{asked.since - BELOW:012x}"
    group = {"domain": events.c.domain, "worker": events.c.source}.get(asked.by, events.c[asked.level])
    rows = events.join(cases, cases.c.id == events.c.case_id, isouter=True)
    counted = _scoped(asked, events, group) & made & _inside(events.c.received_at, asked)
    return Population(rows, counted, group, events.c.id, events.c.case_id, {"filing": _adds(filed)})


def _handling(asked: Asked) -> Population:
    done, due = work_orders.c.completed_at, work_orders.c.due_at
    handled = _inside(done, asked)
    late = _inside(due, asked) & or_(done.is_(None), done >= asked.until)
    in_time = handled & func.coalesce(done <= due, true())
    group = _of_case(asked, work_orders.c.department)
    upheld = _order_upheld("overdue")
    rows = work_orders.join(cases, cases.c.id == work_orders.c.case_id)
    counted = _scoped(asked, cases, group) & work_orders.c.status.in_(COUNTED) & or_(handled, late)
    adds = {"handling": _adds(handled, upheld), "handling_in_time": _adds(in_time, upheld)}
    return Population(rows, counted, group, work_orders.c.id, cases.c.id, adds)


def _reworks(asked: Asked) -> Population:
    """Each order with whether it was completed in the period and how often it was sent back in it. A rework is that of
    the leading order that was completed last before."""
    earlier = work_orders.alias("earlier")
    blamed = (
        select(earlier.c.id)
        .where(earlier.c.case_id == ledger.c.chain, earlier.c.role == "lead", earlier.c.completed_at <= ledger.c.at)
        .order_by(earlier.c.completed_at.desc(), earlier.c.id.desc())
        .limit(1)
    )
    ordered = MILESTONES & (ledger.c.action == "reworked") & _inside(ledger.c.at, asked)
    sent_back = select(blamed.scalar_subquery().label("id")).where(ordered).subquery()
    times = select(sent_back.c.id, func.count().label("times")).group_by(sent_back.c.id).subquery()
    reworks = func.coalesce(times.c.times, 0)
    completed = (work_orders.c.status == OrderStatus.COMPLETED) & _inside(work_orders.c.completed_at, asked)
    done = _one(completed)
    group = _of_case(asked, work_orders.c.department)
    adds = {"rework": (reworks, done, case((_order_upheld("rework"), 0), else_=reworks), done)}
    joined = work_orders.join(cases, cases.c.id == work_orders.c.case_id)
    rows = joined.join(times, times.c.id == work_orders.c.id, isouter=True)
    counted = _scoped(asked, cases, group) & or_(completed, work_orders.c.id.in_(select(times.c.id)))
    return Population(rows, counted, group, work_orders.c.id, cases.c.id, adds)


def _closing(asked: Asked) -> Population:
    closed = _inside(cases.c.closed_at, asked)
    open_still = or_(cases.c.closed_at.is_(None), cases.c.closed_at >= asked.until)
    late = _inside(cases.c.due_at, asked) & open_still & (cases.c.status != Status.VOID)
    leads = (work_orders.c.case_id == cases.c.id) & (work_orders.c.role == "lead")
    reported = select(func.max(work_orders.c.completed_at)).where(leads).scalar_subquery()
    in_time = closed & func.coalesce(reported <= cases.c.due_at, true())
    upheld = _upheld(cases.c.id, "overdue")
    group = _of_case(asked, cases.c.lead)
    counted = _scoped(asked, cases, group) & or_(closed, late)
    adds = {"closing": _adds(closed, upheld), "closing_in_time": _adds(in_time, upheld)}
    return Population(cases, counted, group, cases.c.id, cases.c.id, adds)


def _adds(passes: ColumnElement[bool], upheld: ColumnElement[bool] | None = None) -> Sequence[ColumnElement[int]]:
    """Every row counts, those that pass above the line too; neither once an appeal took it out."""
    stays = true() if upheld is None else ~upheld
    return _one(passes), _one(true()), _one(and_(passes, stays)), _one(stays)


def _one(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, 1), else_=0)


def _scoped(asked: Asked, scope: Table, group: Any) -> ColumnElement[bool]:
    mine = within(asked.key, asked.city, scope)
    if not asked.demo:
        mine &= scope.c.demo.is_(False)
    if asked.by == "worker":
        mine &= group.in_(select(keys.c.name).where(keys.c.role == Role.WORKER))
    return mine


def _inside(moment: Any, asked: Asked) -> ColumnElement[bool]:
    return and_(moment.isnot(None), moment >= asked.since, moment < asked.until)


def _of_case(asked: Asked, department: ColumnElement[Any]) -> Any:
    """What a case's figures are counted by; for workers, by who reported it first."""
    if asked.by == "department":
        return department
    if asked.by == "worker":
        theirs = events.c.case_id == cases.c.id
        return select(events.c.source).where(theirs).order_by(events.c.id).limit(1).scalar_subquery()
    return cases.c[asked.level] if asked.by == "division" else cases.c.domain


def _order_upheld(against: str) -> ColumnElement[bool]:
    return _upheld(work_orders.c.case_id, against, ledger.c.data.contains('"work_order":"' + work_orders.c.id + '"'))


def _upheld(case_id: Any, against: str, whose: Any = None) -> ColumnElement[bool]:
    """Whether an appeal against this was upheld. An entry's data are JSON without spaces, keys sorted."""
    data = ledger.c.data
    said = data.contains('"outcome":"upheld"') & data.contains(f'"against":"{against}"')
    mine = MILESTONES & (ledger.c.action == "judged") & (ledger.c.chain == case_id)
    return exists().where(mine, said, true() if whose is None else whose)
