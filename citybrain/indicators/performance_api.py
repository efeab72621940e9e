"""Evaluation 综合评价 for city management: rates by domain, department, division, worker or month."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from sqlalchemy import Connection
from starlette.responses import Response

from citybrain.access import Asker, Here
from citybrain.clock import rfc3339
from citybrain.indicators import sheet
from citybrain.indicators.behind import behind
from citybrain.indicators.days import begin_of, day_of, read_day
from citybrain.indicators.performance import RATES, Asked, Counts, performance, rates_of, total
from citybrain.installation import Installation
from citybrain.keys import Key, May
from citybrain.listing import Cursor, Limit, Word
from citybrain.problem import invalid

routes = APIRouter(prefix="/api/v1", tags=["indicators 指标"])
From = Annotated[str | None, Query(alias="from", max_length=40)]
USUAL_DAYS = 30
LONGEST_DAYS = 3660
MONTHS = 36
CLOCK_END = {
    "zh": "处置时限计至责任部门报告完成之时",
    "en": "the handling clock ends with the department's report of completion",
}
By = Literal["domain", "department", "division", "worker", "month"]
RateCode = Literal["filing", "handling", "handling_in_time", "rework", "closing", "closing_in_time"]
Part = Literal["numerator", "denominator"]
Kind = Literal["raw", "after_appeals"]


@routes.get("/indicators/performance/behind")
def show_behind(
    key: Asker,
    here: Here,
    rate: RateCode,
    part: Part = "denominator",
    kind: Kind = "raw",
    of: Word = None,
    by: By = "domain",
    level: Word = None,
    from_: From = None,
    to: Word = None,
    include_demo: bool = False,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """What a number of the evaluation counts, the newest first: reports for filing, work orders for handling and
    rework, cases for closing. `of`: one code of `by`, or `none` for those without; all of them where it is left out."""
    key.require(May.INDICATORS)
    question = ask(key, here, by, level, from_, to, include_demo)
    dimension, first, last, group = by, question.first, question.last, of
    if by == "month":
        first, last = question.months().get(of, (first, last)) if of else (first, last)
        dimension, group = "domain", None
    asked = question.asked(here, dimension, first, last)
    number = (0 if kind == "raw" else 2) + (0 if part == "numerator" else 1)
    with here.store.read() as tx:
        return behind(tx, asked, rate, number, group, cursor, limit)


@routes.get("/indicators/performance", response_model=None)
def show_performance(
    key: Asker,
    here: Here,
    by: By = "domain",
    level: Word = None,
    from_: From = None,
    to: Word = None,
    include_demo: Annotated[bool, Query(description="count the demonstration's cases too")] = False,
    format: Literal["json", "csv", "xlsx"] = "json",
) -> dict[str, Any] | Response:
    """Filing, handling, rework and closing rates, each with numerator, denominator and formula, raw and after appeals.
    `from` and `to` are days, both included; the last 30 without them. `level` is for `by=division`. A worker's are the
    cases that the worker reported first."""
    key.require(May.INDICATORS)
    question = ask(key, here, by, level, from_, to, include_demo)
    first, last = question.first, question.last
    told = evaluation(here, question)
    if format == "json":
        return told
    content, kind = (sheet.as_csv(told), sheet.CSV) if format == "csv" else (sheet.as_xlsx(told), sheet.XLSX)
    name = f"performance-{by}-{first}-{last}.{format}"
    return Response(content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


@dataclass(frozen=True, slots=True)
class Question:
    """What is evaluated: `first` and `last` are days, both of them in the period."""

    key: Key
    by: By
    level: str
    first: date
    last: date
    include_demo: bool

    def asked(self, here: Installation, dimension: str, first: date, last: date) -> Asked:
        zone = here.city.zone
        ends = min(begin_of(last + timedelta(days=1), zone), here.clock() + 1)
        begins = begin_of(first, zone)
        return Asked(dimension, begins, ends, self.level, self.key, here.city, self.include_demo)

    def months(self) -> dict[str, tuple[date, date]]:
        """The months of the period, the first and the last as far as they belong to it. Raises Problem for too many."""
        first, last = self.first, self.last
        if (last.year - first.year) * 12 + last.month - first.month >= MONTHS:
            raise invalid("from", "there are too many months", f"at most {MONTHS}")
        found, begin = {}, first
        while begin <= last:
            after = (begin.replace(day=1) + timedelta(days=32)).replace(day=1)
            found[begin.isoformat()[:7]] = begin, min(last, after - timedelta(days=1))
            begin = after
        return found


def ask(
    key: Key, here: Installation, by: By, level: str | None, from_: str | None, to: str | None, include_demo: bool
) -> Question:
    """What an address asks for, with what is usual where it says nothing."""
    city = here.city
    level = level or city.first_level
    if level not in city.levels:
        raise invalid("level", f"{level!r} is no level of this city", "one of " + ", ".join(city.levels))
    last = read_day("to", to) if to else day_of(here.clock(), city.zone)
    first = read_day("from", from_) if from_ else last - timedelta(days=USUAL_DAYS - 1)
    if not 0 <= (last - first).days < LONGEST_DAYS:
        raise invalid("from", f"{first} to {last} is no period", f"from before to, at most {LONGEST_DAYS} days")
    return Question(key, by, level, first, last, include_demo)


def evaluation(here: Installation, question: Question) -> dict[str, Any]:
    by, first, last = question.by, question.first, question.last

    def counted(tx: Connection, dimension: str, since: date, until: date) -> dict[str | None, Counts]:
        return performance(tx, question.asked(here, dimension, since, until))

    with here.store.read() as tx:
        found = counted(tx, "domain" if by == "month" else by, first, last)
        whole = total(found.values())
        if by == "month":
            found = {name: total(counted(tx, "domain", *days).values()) for name, days in question.months().items()}
    return {
        "by": by,
        "level": question.level if by == "division" else None,
        "from": first.isoformat(),
        "to": last.isoformat(),
        "at": rfc3339(here.clock(), here.city.zone),
        "clock_end": CLOCK_END,
        "include_demo": question.include_demo,
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


def _name(here: Installation, by: By, code: str | None) -> str | None:
    if by == "domain" and code and code in here.domains:
        return here.domains[code].manifest.domain.name
    if by == "department" and (department := here.city.departments.get(code or "")):
        return department.name
    if by == "division" and (division := here.city.divisions.get(code or "")):
        return division.name
    return code
