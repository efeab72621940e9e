"""Editions 边界版本 by HTTP: load files, read reports, try an edition out, activate it."""

import asyncio
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict
from starlette.responses import JSONResponse, Response

from citybrain.access import Asker, Here
from citybrain.clock import to_datetime, to_ms
from citybrain.editions import listing
from citybrain.editions.naming import ALL, WORDS
from citybrain.editions.rerouting import MOST_EVENTS, dry_run, reroute
from citybrain.editions.sending import load_form
from citybrain.intake.body import read_form
from citybrain.keys import May, cases_visible, events_visible
from citybrain.listing import Cursor, Limit
from citybrain.problem import invalid

routes = APIRouter(prefix="/api/v1", tags=["editions 边界版本"])
GEOJSON = "application/geo+json"
FORM = {  # for the reference: a framework would parse the files before asking for a key
    "schema": {
        "type": "object",
        "properties": {word: {"type": "string"} for word in WORDS} | {ALL: {"type": "string", "format": "binary"}},
        "additionalProperties": {"type": "string", "format": "binary"},
    }
}


@routes.get("/editions")
def list_editions(key: Asker, here: Here, cursor: Cursor = None, limit: Limit = 50) -> dict[str, Any]:
    """The newest first."""
    key.require(May.READ_EDITIONS)
    return listing.listed_page(here, cursor, limit)


@routes.post("/editions", status_code=201, openapi_extra={"requestBody": {"content": {"multipart/form-data": FORM}}})
async def load_edition(request: Request, key: Asker, here: Here) -> Response:
    """Loads and examines a new edition: multipart, a file a level (`county`, `town`, …), or one file `all` whose mapped
    column `level` says it; GeoJSON, GeoPackage or a zipped Shapefile. Beside the files `name`, `date` (it holds since
    then), `fields` (JSON: which column is `code`, `name`, `parent`, `source`, `level`, for all or by level), `crs`
    (EPSG:n or a datum, of files that do not say theirs), `encoding`, `source` (of polygons that do not say theirs).

    The answer is the report, 201, or 200 for files that were loaded before. Nothing is in use before it is activated.
    """
    key.require(May.LOAD_EDITIONS)
    async with read_form(request, files=10, fields=20) as form:
        report, known = await asyncio.to_thread(load_form, form.multi_items(), key.name, here)
    headers = {"Location": f"/api/v1/editions/{report['id']}"}
    return JSONResponse(report, 200 if known else 201, headers=headers)


@routes.get("/editions/{edition_id}")
def show_edition(edition_id: str, key: Asker, here: Here) -> dict[str, Any]:
    """The report of an edition."""
    key.require(May.READ_EDITIONS)
    return listing.report(here, edition_id)


@routes.get("/editions/{edition_id}/faults.geojson")
def show_faults(edition_id: str, key: Asker, here: Here) -> Response:
    """What the report names, as a layer for the map."""
    key.require(May.READ_EDITIONS)
    return Response(listing.fault_layer(here, edition_id), media_type=GEOJSON)


@routes.get("/editions/{edition_id}/mapping.csv")
def show_mapping(edition_id: str, key: Asker, here: Here, before: str | None = None) -> Response:
    """Codes of the edition `before` (default: the one in use), where their ground lies in this one, with shares."""
    key.require(May.READ_EDITIONS)
    old = listing.locator(here, before) if before else here.locator
    return Response(listing.mapping_csv(old, listing.locator(here, edition_id)), media_type="text/csv; charset=utf-8")


@routes.post("/editions/{edition_id}/dry-run")
def try_edition(edition_id: str, key: Asker, here: Here) -> dict[str, Any]:
    """Which open cases would have another division or department if it were in use; `map` has them as points. Nothing
    is changed."""
    key.require(May.READ_EDITIONS)
    present, locator = here.locator.edition.id, listing.locator(here, edition_id)
    found = dry_run(here, locator, cases_visible(key, here.city))
    return {"edition": edition_id, "in_use": present, **found.as_dict()}


class Past(BaseModel):
    model_config = ConfigDict(extra="forbid")

    since: AwareDatetime
    until: AwareDatetime | None = None


@routes.post("/editions/{edition_id}/reroute")
def reroute_past(edition_id: str, past: Past, key: Asker, here: Here) -> dict[str, Any]:
    """How many of the events received since a moment would land elsewhere in this edition, by division and department.
    Nothing is changed. `complete` is false where there are more than can be told in one answer: ask for less time."""
    key.require(May.READ_EDITIONS)
    since, until = past.since, past.until or to_datetime(here.clock())
    _check_span(since, until)
    locator, scope = listing.locator(here, edition_id), events_visible(key, here.city)
    found = reroute(here, locator, scope, to_ms(since), to_ms(until) + 1, MOST_EVENTS)
    return {"edition": edition_id, "since": since.isoformat(), "until": until.isoformat(), **found.as_dict()}


def _check_span(since: datetime, until: datetime) -> None:
    if not datetime.fromtimestamp(0, since.tzinfo) <= since <= until:
        raise invalid("since", "not before `until`", "a moment in the past")


@routes.post("/editions/{edition_id}/activate")
def activate_edition(edition_id: str, key: Asker, here: Here) -> dict[str, Any]:
    """From now on every place is found in it; other processes follow within seconds. Cases keep their places."""
    key.require(May.LOAD_EDITIONS)
    listing.take(here, edition_id, key.name)
    return listing.report(here, edition_id)
