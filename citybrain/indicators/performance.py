"""Evaluation 综合评价: how much of what was reported, dispatched and due was filed, handled and closed, and in time; by
domain, department, division or worker, over a period, as the record gives it: raw, and after appeals that were upheld.

The handling clock ends with the department's report of completion; verification and closure come after it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, case, exists, false, func, or_, select, true

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


def performance(tx: Connection, asked: Asked) -> dict[str | None, Counts]:
    """By domain, department, division or worker; four aggregates, whatever the number of cases."""
    found: dict[str | None, Counts] = {}
    for query, rates in _queries(asked):
        for group, *numbers in tx.execute(query):
            counts = found.setdefault(group, {})
            for index, rate in enumerate(rates):
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


def _queries(asked: Asked) -> Iterator[tuple[Select[Any], tuple[str, ...]]]:
    if asked.by != "department":  # a report has none yet
        yield _filing(asked), ("filing",)
    yield _handling(asked), ("handling", "handling_in_time")
    yield _reworks(asked), ("rework",)
    yield _closing(asked), ("closing", "closing_in_time")


def _filing(asked: Asked) -> Select[Any]:
    filed = (events.c.state == "cased") & func.coalesce(cases.c.status != Status.VOID, false())
    made = events.c.id >= f"{asked.since - BELOW:012x}"
    group = {"domain": events.c.domain, "worker": events.c.source}.get(asked.by, events.c[asked.level])
    query = _counted(asked, group, [filed], events, None)
    query = query.select_from(events.join(cases, cases.c.id == events.c.case_id, isouter=True))
    return query.where(made, _inside(events.c.received_at, asked))


def _handling(asked: Asked) -> Select[Any]:
    done, due = work_orders.c.completed_at, work_orders.c.due_at
    handled = _inside(done, asked)
    late = _inside(due, asked) & or_(done.is_(None), done >= asked.until)
    in_time = handled & func.coalesce(done <= due, true())
    group = _of_case(asked, work_orders.c.department)
    query = _counted(asked, group, [handled, in_time], cases, _order_upheld("overdue"))
    query = query.select_from(work_orders.join(cases, cases.c.id == work_orders.c.case_id))
    return query.where(work_orders.c.status.in_(COUNTED), or_(handled, late))


def _reworks(asked: Asked) -> Select[Any]:
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
    done = case((completed, 1), else_=0)
    group = _of_case(asked, work_orders.c.department)
    sums = [reworks, done, case((_order_upheld("rework"), 0), else_=reworks), done]
    joined = work_orders.join(cases, cases.c.id == work_orders.c.case_id)
    query = select(group, *(func.sum(each).label(f"n{index}") for index, each in enumerate(sums)))
    query = query.select_from(joined.join(times, times.c.id == work_orders.c.id, isouter=True)).group_by(group)
    return _scoped(query, asked, cases, group).where(or_(completed, work_orders.c.id.in_(select(times.c.id))))


def _closing(asked: Asked) -> Select[Any]:
    closed = _inside(cases.c.closed_at, asked)
    open_still = or_(cases.c.closed_at.is_(None), cases.c.closed_at >= asked.until)
    late = _inside(cases.c.due_at, asked) & open_still & (cases.c.status != Status.VOID)
    leads = (work_orders.c.case_id == cases.c.id) & (work_orders.c.role == "lead")
    reported = select(func.max(work_orders.c.completed_at)).where(leads).scalar_subquery()
    in_time = closed & func.coalesce(reported <= cases.c.due_at, true())
    upheld = _upheld(cases.c.id, "overdue")
    query = _counted(asked, _of_case(asked, cases.c.lead), [closed, in_time], cases, upheld)
    return query.select_from(cases).where(or_(closed, late))


def _counted(
    asked: Asked, group: Any, tests: Sequence[ColumnElement[bool]], scope: Table, upheld: ColumnElement[bool] | None
) -> Select[Any]:
    """By group, for each test: how many rows pass it and how many there are; both without what an appeal took out."""
    stays = true() if upheld is None else ~upheld
    sums = [each for test in tests for each in (test, true(), and_(test, stays), stays)]
    counts = (func.sum(case((each, 1), else_=0)).label(f"n{index}") for index, each in enumerate(sums))
    return _scoped(select(group, *counts).group_by(group), asked, scope, group)


def _scoped(query: Select[Any], asked: Asked, scope: Table, group: Any) -> Select[Any]:
    query = query.where(within(asked.key, asked.city, scope))
    if not asked.demo:
        query = query.where(scope.c.demo.is_(False))
    if asked.by == "worker":
        query = query.where(group.in_(select(keys.c.name).where(keys.c.role == Role.WORKER)))
    return query


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
