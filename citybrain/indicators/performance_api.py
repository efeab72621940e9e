"""Evaluation 综合评价 for city management: rates by domain, department, division, worker or month."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from sqlalchemy import Connection
from starlette.responses import Response

from citybrain.access import Asker, Here
from citybrain.clock import rfc3339
from citybrain.indicators import sheet
from citybrain.indicators.days import begin_of, day_of, read_day
from citybrain.indicators.performance import RATES, Asked, Counts, performance, rates_of, total
from citybrain.installation import Installation
from citybrain.keys import Key, May
from citybrain.listing import Word
from citybrain.problem import invalid

routes = APIRouter(prefix="/api/v1", tags=["indicators 指标"])
USUAL_DAYS = 30
LONGEST_DAYS = 3660
MONTHS = 36
CLOCK_END = {
    "zh": "处置时限计至责任部门报告完成之时",
    "en": "the handling clock ends with the department's report of completion",
}
By = Literal["domain", "department", "division", "worker", "month"]


@routes.get("/indicators/performance", response_model=None)
def show_performance(
    key: Asker,
    here: Here,
    by: By = "domain",
    level: Word = None,
    from_: Annotated[str | None, Query(alias="from", max_length=40)] = None,
    to: Word = None,
    include_demo: Annotated[bool, Query(description="count the demonstration's cases too")] = False,
    format: Literal["json", "csv", "xlsx"] = "json",
) -> dict[str, Any] | Response:
    """Filing, handling, rework and closing rates, each with numerator, denominator and formula, raw and after appeals.
    `from` and `to` are days, both included; the last 30 without them. `level` is for `by=division`. A worker's are the
    cases that the worker reported first."""
    key.require(May.INDICATORS)
    city = here.city
    level = level or city.first_level
    if level not in city.levels:
        raise invalid("level", f"{level!r} is no level of this city", "one of " + ", ".join(city.levels))
    today = day_of(here.clock(), city.zone)
    last = read_day("to", to) if to else today
    first = read_day("from", from_) if from_ else last - timedelta(days=USUAL_DAYS - 1)
    if not 0 <= (last - first).days < LONGEST_DAYS:
        raise invalid("from", f"{first} to {last} is no period", f"from before to, at most {LONGEST_DAYS} days")
    told = _told(key, here, by, level, first, last, include_demo)
    if format == "json":
        return told
    content, kind = (sheet.as_csv(told), sheet.CSV) if format == "csv" else (sheet.as_xlsx(told), sheet.XLSX)
    name = f"performance-{by}-{first}-{last}.{format}"
    return Response(content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _told(
    key: Key, here: Installation, by: By, level: str, first: date, last: date, include_demo: bool
) -> dict[str, Any]:
    city, now = here.city, here.clock()

    def ask(tx: Connection, dimension: str, since: date, until: date) -> dict[str | None, Counts]:
        ends = min(begin_of(until + timedelta(days=1), city.zone), now + 1)
        period = Asked(dimension, begin_of(since, city.zone), ends, level, key, city, include_demo)
        return performance(tx, period)

    with here.store.read() as tx:
        found = ask(tx, "domain" if by == "month" else by, first, last)
        whole = total(found.values())
        if by == "month":
            months = {day.isoformat()[:7]: (day, end) for day, end in _months(first, last)}
            found = {name: total(ask(tx, "domain", *days).values()) for name, days in months.items()}
    return {
        "by": by,
        "level": level if by == "division" else None,
        "from": first.isoformat(),
        "to": last.isoformat(),
        "at": rfc3339(now, city.zone),
        "clock_end": CLOCK_END,
        "include_demo": include_demo,
        "rates": [rate._asdict() for rate in RATES],
        "total": _figures(whole),
        "items": [
            {"code": code, "name": _name(here, by, code), **_figures(found[code])}
            for code in sorted(found, key=lambda code: (code is None, code))
        ],
        "next": None,
    }


def _figures(counts: Counts) -> dict[str, Any]:
    return {"raw": rates_of(counts, after=False), "after_appeals": rates_of(counts, after=True)}


def _months(first: date, last: date) -> Iterator[tuple[date, date]]:
    """The months of a period, the first and the last as far as they belong to it. Raises Problem for too many."""
    if (last.year - first.year) * 12 + last.month - first.month >= MONTHS:
        raise invalid("from", "there are too many months", f"at most {MONTHS}")
    begin = first
    while begin <= last:
        after = (begin.replace(day=1) + timedelta(days=32)).replace(day=1)
        yield begin, min(last, after - timedelta(days=1))
        begin = after


def _name(here: Installation, by: By, code: str | None) -> str | None:
    if by == "domain" and code and code in here.domains:
        return here.domains[code].manifest.domain.name
    if by == "department" and (department := here.city.departments.get(code or "")):
        return department.name
    if by == "division" and (division := here.city.divisions.get(code or "")):
        return division.name
    return code
