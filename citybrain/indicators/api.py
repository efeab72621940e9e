"""The indicators and the registry behind them, for city management and its auditors."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query

from citybrain.access import Asker, Here, JsonBody
from citybrain.indicators import declared, snapshots
from citybrain.indicators.coverage import coverage, figures
from citybrain.indicators.days import day_of, read_day, read_moment
from citybrain.indicators.scope import Scope, scope_of
from citybrain.installation import Installation
from citybrain.keys import Key, May
from citybrain.listing import Limit, Word
from citybrain.problem import invalid

routes = APIRouter(prefix="/api/v1", tags=["indicators 指标"])
Demo = Annotated[bool, Query(description="count the demonstration's evidence too")]
LONGEST_DAYS = 3660
USUAL_DAYS = 30


@routes.get("/industries")
def list_industries(_key: Asker, here: Here) -> dict[str, Any]:
    """The coverage registry: industries with what is declared, and the bases they may be counted by."""
    registry = here.city.registry
    with here.store.read() as tx:
        items = list(declared.industries(tx, here.city, here.clock(), list(here.domains)))
    return {
        "items": items,
        "next": None,
        "bases": [basis.model_dump() for basis in registry.bases.values()],
        "default_basis": registry.default,
        "registry_begins": registry.begins.isoformat(),
    }


@routes.post("/industries/{code}/declarations", status_code=201)
def declare(code: str, key: Asker, here: Here, body: JsonBody) -> dict[str, Any]:
    """Declares an industry covered from a day on: `level`, `divisions` (codes or "all"), `from`, `to`, `approver`."""
    key.require(May.MANAGE)
    with here.store.write() as tx:
        row = declared.declare(tx, here.city, code, body, key.name, here.clock())
        return declared.row_dict(row, here.city, here.clock())


@routes.post("/industries/{code}/declarations/{declaration_id}/end")
def end_declaration(code: str, declaration_id: str, key: Asker, here: Here, body: JsonBody) -> dict[str, Any]:
    """Ends it with the day `to` (today): needs `approver` and `reason`. Rows of the city pack are ended there."""
    key.require(May.MANAGE)
    with here.store.write() as tx:
        row = declared.end(tx, here.city, code, declaration_id, body, key.name, here.clock())
        return declared.row_dict(row, here.city, here.clock())


@routes.get("/indicators/coverage")
def show_coverage(
    key: Asker,
    here: Here,
    level: Word = None,
    division: Word = None,
    at: Word = None,
    include_demo: Demo = False,
    basis: Word = None,
) -> dict[str, Any]:
    """Declared and earned coverage at a moment (`at`: RFC 3339, or a date for its end; now without it). Without
    `division` the level's divisions add up; with one above the level, those inside it."""
    scope = _scope(key, here, level, division, basis)
    with here.store.read() as tx:
        return coverage(tx, here, scope, _moment(here, at), include_demo)


@routes.get("/indicators/coverage/divisions")
def coverage_by_division(
    key: Asker,
    here: Here,
    level: Word = None,
    division: Word = None,
    at: Word = None,
    include_demo: Demo = False,
    basis: Word = None,
    cursor: Word = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """The figures of each division of the level, by code; with `division`, of those inside it."""
    whole = _scope(key, here, level, division, basis)
    rest = [each for each in whole.divisions if not cursor or each.code > cursor]
    moment = _moment(here, at)
    with here.store.read() as tx:
        found, _ = figures(tx, here, whole, [moment], include_demo)
    each_figure = found.by_division(0)
    items = [{"code": each.code, "name": each.name, **each_figure[whole.position[each.code]]} for each in rest[:limit]]
    return {"items": items, "next": rest[limit - 1].code if len(rest) > limit else None}


@routes.get("/indicators/coverage/history")
def coverage_history(
    key: Asker,
    here: Here,
    level: Word = None,
    division: Word = None,
    from_: Annotated[str | None, Query(alias="from", max_length=40)] = None,
    to: Word = None,
    include_demo: Demo = False,
    basis: Word = None,
    recompute: bool = False,
) -> dict[str, Any]:
    """A figure a day, both days included; the last 30 without them. A day is judged by its end, today by now."""
    scope = _scope(key, here, level, division, basis)
    today = day_of(here.clock(), here.city.zone)
    last = read_day("to", to) if to else today
    first = read_day("from", from_) if from_ else last - timedelta(days=USUAL_DAYS - 1)
    if not 0 <= (last - first).days < LONGEST_DAYS or last > today + timedelta(days=LONGEST_DAYS):
        raise invalid("from", f"{first} to {last} is no period", f"from before to, at most {LONGEST_DAYS} days")
    with here.store.read() as tx:
        items = snapshots.history(tx, here, scope, first, last, include_demo, recompute)
    return {
        "level": scope.level,
        "division": scope.division.code if scope.division else None,
        "from": first.isoformat(),
        "to": last.isoformat(),
        "basis": scope.basis_dict(),
        "window_days": here.city.file.coverage.window_days,
        "include_demo": include_demo,
        "items": items,
        "next": None,
    }


def _scope(key: Key, here: Installation, level: str | None, division: str | None, basis: str | None) -> Scope:
    key.require(May.INDICATORS)
    return scope_of(here.city, key, level, division, basis)


def _moment(here: Installation, at: str | None) -> int:
    now = here.clock()
    return read_moment("at", at, now, here.city.zone) if at else now
