"""边界版本: what ground the city is located on, what is wrong with another one, what it would change; to load, to put
into use, to go back. The editions' own functions do it; a trial comes before every activation."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

import orjson
from fastapi import Query, Request, Response
from starlette.datastructures import UploadFile

from citybrain.access import Here
from citybrain.console.door import Posted, Visitor, one, page_routes, same_token, see
from citybrain.console.maps import faultwords
from citybrain.console.maps.groundmap import view_of
from citybrain.console.problem_words import in_words
from citybrain.console.rendering import render
from citybrain.editions import listing
from citybrain.editions.naming import ALL
from citybrain.editions.rerouting import MOST_EVENTS, dry_run, reroute
from citybrain.editions.sending import Parts, load_form
from citybrain.indicators.days import begin_of, day_of, read_day
from citybrain.installation import Installation
from citybrain.intake.body import read_form
from citybrain.keys import Key, May, cases_visible, events_visible, narrowed
from citybrain.problem import Problem, invalid
from geo.edition import Edition
from geo.layer import SOURCES
from geo.reading import FIELDS

ROWS = 100  # faults on one page of a report
CASES = 200  # of a trial that are listed; all are counted
PAIRS = 30
USUAL_DAYS = 30  # whose events a trial may be asked to place again

Id = Annotated[str, Query(max_length=100)]

routes = page_routes()


@routes.get("/boundaries")
def boundaries(
    request: Request, key: Visitor, here: Here, edition: Id = "", kind: Id = "",
    page: Annotated[int, Query(ge=1, le=100)] = 1, known: bool = False,
) -> Response:  # fmt: skip
    key.require(May.READ_EDITIONS)
    return _page(request, here, edition=edition, kind=kind, page=page, known=known)


def _page(
    request: Request, here: Installation, code: int = 200, *, edition: str = "", kind: str = "", page: int = 1,
    known: bool = False, said: list[str] | None = None, given: Mapping[str, str] | None = None,
) -> Response:  # fmt: skip
    items = listing.listed(here)
    present = next(item for item in items if item["in_use"])
    shown = next((item for item in items if item["id"] == edition), present)
    report = listing.report(here, edition or present["id"])
    faults = [each for each in report["items"] if kind in ("", each["kind"])]
    first = (page - 1) * ROWS
    return render(
        request,
        "boundaries.html",
        code,
        editions=items,
        present=present,
        shown=shown,
        report=report,
        detail_of=lambda fault: faultwords.detail(fault, here.city),
        counted={word: sum(kinds.values()) for word, kinds in report["counts"].items()},
        faults=faults[first : first + ROWS],
        found=len(faults),
        kind=kind,
        page=page,
        rows=ROWS,
        known=known,
        said=said or [],
        given=given or {},
        view=view_of(here),
        all_levels=ALL,
        sources=SOURCES,
        columns=FIELDS,
        today=day_of(here.clock(), here.city.zone),
    )


@routes.post("/boundaries")
async def send(request: Request, key: Visitor, here: Here) -> Response:
    """Files to an edition: leads to its report, whatever is in it."""
    key.require(May.LOAD_EDITIONS)
    async with read_form(request, files=10, fields=20) as form:
        token = form.get("csrf")
        same_token(token if isinstance(token, str) else None, key.csrf)
        texts = {name: value.strip() for name, value in form.items() if isinstance(value, str) and value.strip()}
        try:
            report, known = await asyncio.to_thread(load_form, _parts(form.multi_items(), texts), key.name, here)
        except Problem as problem:
            said = in_words(problem)
            return await asyncio.to_thread(_page, request, here, problem.status, said=said, given=texts)
    return see(f"/boundaries?edition={report['id']}{'&known=1' if known else ''}")


def _parts(sent: Parts, texts: Mapping[str, str]) -> Parts:
    """As the API takes them: without what was left empty, and with the columns' names as `fields`."""
    files = [(name, value) for name, value in sent if isinstance(value, UploadFile) and value.filename]
    plain = [(name, text) for name, text in texts.items() if name not in _COLUMNS and name != "csrf"]
    fields = {column: texts[name] for name, column in _COLUMNS.items() if name in texts}
    return [*files, *plain, ("fields", orjson.dumps(fields).decode())]


_COLUMNS = {f"column_{name}": name for name in FIELDS}


@routes.get("/boundaries/{edition}/trial")
def trial(edition: str, request: Request, key: Visitor, here: Here, since: Id = "") -> Response:
    """What would change for the open cases, and, since a day, for what was reported. Nothing is changed by asking."""
    key.require(May.READ_EDITIONS)
    item = next((each for each in listing.listed(here) if each["id"] == edition), None)
    locator = listing.locator(here, edition)  # raises 404 before anything is counted
    tried = dry_run(here, locator, cases_visible(key, here.city))
    past = _past(since, key, here, edition) if since else None
    names = _names(here.locator.edition, locator.edition)
    return render(
        request,
        "boundary_trial.html",
        item=item,
        report=listing.report(here, edition),
        tried=tried,
        past=past,
        name_of=lambda code: names.get(code) or code,
        shown=CASES,
        pairs=PAIRS,
        divisions=tried.divisions.most_common(PAIRS),
        owners=tried.departments.most_common(PAIRS),
        narrowed=narrowed(key),
        since=since or str(day_of(here.clock(), here.city.zone) - timedelta(days=USUAL_DAYS)),
        today=day_of(here.clock(), here.city.zone),
        most_events=MOST_EVENTS,
    )


def _names(*editions: Edition) -> dict[str, str]:
    """Of every code of these editions; villages share their names, and are told with what they lie in."""
    names: dict[str, str] = {}
    for edition in editions:
        layers = [layer for level, layer in edition.layers.items() if level != "cell"]
        for depth, layer in enumerate(layers):
            for code, name, parent in zip(layer.codes, layer.names, layer.parents, strict=True):
                names[code] = f"{names.get(parent, '')} {name}".strip() if depth > 1 else name
    return names


def _past(since: str, key: Key, here: Installation, edition: str) -> dict[str, Any]:
    day, now = read_day("since", since), here.clock()
    if begin_of(day, here.city.zone) > now:
        raise invalid("since", f"{day} is in the future", "a day in the past")
    scope = events_visible(key, here.city)
    found = reroute(here, listing.locator(here, edition), scope, begin_of(day, here.city.zone), now + 1, MOST_EVENTS)
    return found.as_dict() | {"since": day}


@routes.post("/boundaries/{edition}/activate")
def activate(edition: str, request: Request, key: Visitor, here: Here, fields: Posted) -> Response:
    key.require(May.LOAD_EDITIONS)
    if one(fields, "seen") is None:
        raise invalid("seen", "Field required", "tick it")
    listing.take(here, edition, key.name)
    return see("/boundaries")
