"""行业覆盖率: the figure that the city is judged by, declared beside earned, for a division and a level on any day,
with what proves it, what is missing and how it went. The indicator computes; this page asks and shows."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlencode

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, select

from citybrain.access import Here
from citybrain.city import City
from citybrain.console.door import Visitor, page_routes
from citybrain.console.indicators.coverage_ladder import Standing, home, level_name
from citybrain.console.indicators.coverage_map import FOCUSED, STEPS, drawing, shade
from citybrain.console.indicators.history_chart import chart
from citybrain.console.rendering import render
from citybrain.indicators import snapshots
from citybrain.indicators.coverage import Figures, answer, figures
from citybrain.indicators.days import day_of, read_day, state_of
from citybrain.indicators.evidence import evidence_at
from citybrain.indicators.proofs import Proofs
from citybrain.indicators.scope import Scope, scope_of
from citybrain.installation import Installation
from citybrain.keys import Key, May, cases_visible
from citybrain.problem import invalid, not_found
from citybrain.store.tables import cases
from geo.divisions import Division

ROWS = 50  # divisions on one page of the table
BESIDE = 20  # as many rows stand beside the industries; a longer table below them
PERIODS = (30, 90, 365)

Code = Annotated[str, Field(max_length=100)]

routes = page_routes()


class Asked(BaseModel):
    """The page's address; what is as usual is left out of it."""

    model_config = ConfigDict(frozen=True)

    division: Code = ""
    level: Code = ""
    basis: Code = ""
    at: Code = ""
    days: Annotated[int, Field(ge=7, le=366)] = PERIODS[0]
    include_demo: bool = False
    order: Literal["highest", "lowest"] = "highest"
    page: Annotated[int, Field(ge=1, le=1_000)] = 1

    def href(self, path: str = "/coverage", /, **changes: Any) -> str:
        """The same question with some of it changed, at this page or another."""
        given = self.model_copy(update={"page": 1} | changes).model_dump(exclude_defaults=True)
        return path + (f"?{urlencode(given)}" if given else "")


class Rung(NamedTuple):
    scope: Scope
    found: Figures
    proofs: Proofs


class Row(NamedTuple):
    division: Division
    within: str  # the names between it and the division that was asked for
    figure: dict[str, Any]


@dataclass(frozen=True)
class Table:
    """The divisions of a level in the order of their percentages, a page of them."""

    level: str
    rows: list[Row]
    first: int  # number of the first row
    total: int
    figure: dict[str, dict[str, Any]]  # of every division by its code
    names: dict[str, str]


@routes.get("/coverage")
def coverage_page(request: Request, key: Visitor, here: Here, asked: Annotated[Asked, Query()]) -> Response:
    key.require(May.INDICATORS)
    told = told_of(key, here, asked)
    table: Table | None = told["table"]
    return render(
        request,
        "coverage.html",
        **told,
        drawing=drawing(here.locator.edition, table.level, sorted(table.figure)) if table else None,
        shade=shade,
        focused=FOCUSED,
        steps=STEPS,
        chart=chart(told["history"]),
        periods=PERIODS,
        beside=BESIDE,
    )


def told_of(key: Key, here: Installation, asked: Asked, whole: bool = False) -> dict[str, Any]:
    """What the page says, and a workbook of it; `whole`: with every row of the table."""
    city, now = here.city, here.clock()
    chosen = scope_of(city, key, asked.level or None, asked.division or home(key, city), asked.basis or None)
    if chosen.division is None:
        raise not_found("division")
    standing = Standing(chosen, chosen.division, key)
    day = _day(asked.at, now, city)
    if day == day_of(now, city.zone):
        asked = asked.model_copy(update={"at": ""})  # links that are kept lead to the present, not to this day
    at = state_of(day, now, city.zone)
    first = max(day - timedelta(days=asked.days - 1), city.registry.begins)
    with here.store.read() as tx:
        scopes = list(standing.ladder())
        evidence = evidence_at(tx, scopes, [at], now)
        rungs = [Rung(scope, *figures(tx, here, scope, [at], asked.include_demo, evidence)) for scope in scopes]
        place = [rung.scope.level for rung in rungs].index(chosen.level)
        shown = answer(tx, here, rungs[place].found, rungs[place].proofs, asked.include_demo)
        history = snapshots.history(tx, here, chosen, first, day, asked.include_demo, recompute=False)
        readable = _readable(tx, key, here, shown["industries"])
    return {
        "asked": asked,
        "scope": chosen,
        "own": standing.own,
        "shown": shown,
        "day": day,
        "today": day_of(now, city.zone),
        "rungs": rungs,
        "table": _table(standing, rungs[place:], asked, whole),
        "choices": standing.nearby(),
        "above": standing.above(),
        "level_name": lambda level: level_name(city, level),
        "readable": readable,
        "history": history,
    }


def _day(text: str, now: int, city: City) -> date:
    today = day_of(now, city.zone)
    if not text:
        return today
    day, begins = read_day("at", text), city.registry.begins
    if day < begins:
        raise invalid("at", f"{day} is before the registry begins ({begins})", f"{begins} or a later day")
    last = today + timedelta(days=city.file.coverage.window_days)
    if day > last:
        raise invalid("at", f"{day} is after {last}, when all present evidence will have left the window", f"by {last}")
    return day


def _table(standing: Standing, rungs: list[Rung], asked: Asked, whole: bool) -> Table | None:
    """The divisions that the figure adds up, or those just below when it is the figure of one."""
    below = [rung for rung in rungs if rung.scope.level != standing.own.level]
    if not below:
        return None
    scope, divisions = below[0].scope, standing.chosen.city.divisions
    own = divisions.path(standing.own.code).values()

    def within(division: Division) -> str:
        codes = [code for code in divisions.path(division.parent_code).values() if code not in own]
        return " ".join(each.name for code in codes if (each := divisions.get(code)))

    figure = dict(zip(scope.divisions, below[0].found.by_division(0), strict=True))
    ordered = sorted(scope.divisions, key=lambda each: _rank(figure[each], asked.order == "lowest"))
    first = (asked.page - 1) * ROWS
    rows = [Row(each, within(each), figure[each]) for each in (ordered if whole else ordered[first : first + ROWS])]
    by_code, names = {each.code: figure[each] for each in ordered}, {each.code: each.name for each in ordered}
    return Table(scope.level, rows, first + 1, len(ordered), by_code, names)


def _rank(figure: dict[str, Any], lowest: bool) -> tuple[int, int]:
    covered = (figure["earned"]["covered"], figure["declared"]["covered"])
    return covered if lowest else (-covered[0], -covered[1])


def _readable(tx: Connection, key: Key, here: Installation, industries: list[dict[str, Any]]) -> set[str]:
    """Which of the cases that prove something the reader may open."""
    proving = [case["id"] for each in industries if (case := each["evidence"].get("case"))]
    if not key.may(May.READ_CASES):
        return set()
    mine = cases.c.id.in_(proving) & cases_visible(key, here.city)
    return set(tx.execute(select(cases.c.id).where(mine)).scalars())
