"""Editions 边界版本 by HTTP: load files, read reports, try an edition out, activate it."""

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from fastapi import APIRouter, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict
from starlette.datastructures import FormData, UploadFile
from starlette.responses import JSONResponse, Response

from citybrain.access import Asker, Here
from citybrain.clock import to_datetime, to_ms
from citybrain.editions import listing
from citybrain.editions.loading import load
from citybrain.editions.naming import ALL, WORDS, day_of, given_files
from citybrain.editions.rerouting import dry_run, reroute
from citybrain.installation import Installation
from citybrain.intake.body import MIB
from citybrain.keys import Key, May, cases_visible, events_visible
from citybrain.problem import Problem, invalid
from geo.datum import UnknownDatum

routes = APIRouter(prefix="/api/v1", tags=["editions 边界版本"])
UPLOAD_BYTES = 256 * MIB
MOST_EVENTS = 200_000  # rerouted by one request; the command line has no limit
GEOJSON = "application/geo+json"
FORM = {  # for the reference: a framework would parse the files before asking for a key
    "schema": {
        "type": "object",
        "properties": {word: {"type": "string"} for word in WORDS} | {ALL: {"type": "string", "format": "binary"}},
        "additionalProperties": {"type": "string", "format": "binary"},
    }
}
_loading = threading.Lock()


@routes.get("/editions")
def list_editions(key: Asker, here: Here) -> dict[str, Any]:
    key.require(May.READ_EDITIONS)
    return {"items": listing.listed(here), "next": None}


@routes.post("/editions", status_code=201, openapi_extra={"requestBody": {"content": {"multipart/form-data": FORM}}})
async def load_edition(request: Request, key: Asker, here: Here) -> Response:
    """Loads and examines a new edition: multipart, a file a level (`county`, `town`, …), or one file `all` whose mapped
    column `level` says it; GeoJSON, GeoPackage or a zipped Shapefile. Beside the files `name`, `date` (it holds since
    then), `fields` (JSON: which column is `code`, `name`, `parent`, `source`, `level`, for all or by level), `crs`
    (EPSG:n or a datum, of files that do not say theirs), `encoding`, `source` (of polygons that do not say theirs).

    The answer is the report, 201, or 200 for files that were loaded before. Nothing is in use before it is activated.
    """
    key.require(May.LOAD_EDITIONS)
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise invalid("body", "no multipart/form-data", "send a file for each level, as a form with files does")
    async with request.form(max_files=10, max_fields=20) as form:
        return await asyncio.to_thread(_load, form, key, here)


def _load(form: FormData, key: Key, here: Installation) -> Response:
    if not _loading.acquire(blocking=False):
        raise Problem(429, "another edition is being examined", retry_after=10)
    try:
        with tempfile.TemporaryDirectory(prefix="citybrain-") as folder:
            files = _files(form, Path(folder), here)
            texts = {name: str(value) for name, value in form.items() if not isinstance(value, UploadFile)}
            for name in texts.keys() - set(WORDS):
                raise invalid(name, "no such part of an edition", f"one of {', '.join(WORDS)}, or a file a level")
            given = given_files(files, texts, _fields(texts.get("fields", "{}")))
            dated = day_of(texts.get("date"), here)
            report = load(here, given, name=texts.get("name", dated)[:200], dated=dated, actor=key.name)
    except UnknownDatum as error:
        raise invalid("crs", str(error), "the coordinate system that the numbers really are in") from None
    finally:
        _loading.release()
    status = 200 if report.pop("known", False) else 201
    return JSONResponse(report, status, headers={"Location": f"/api/v1/editions/{report['id']}"})


def _files(form: FormData, folder: Path, here: Installation) -> dict[str, tuple[Path, str]]:
    files: dict[str, tuple[Path, str]] = {}
    for name, upload in form.multi_items():
        if not isinstance(upload, UploadFile):
            continue
        if name != ALL and name not in here.city.levels:
            known = ", ".join([*map(here.city.level_in_english, here.city.levels), ALL])
            raise invalid(name[:50], "no level of this city", f"call each file by its level: {known}")
        if name in files:
            raise invalid(name, "two files for one level", "one file a level")
        path = folder / name
        with path.open("wb") as out:
            shutil.copyfileobj(upload.file, out, MIB)
        files[name] = path, (upload.filename or name)[:100]
    if not files:
        raise invalid("body", "no file", f"a file for each level: {', '.join(here.city.levels)}")
    return files


def _fields(text: str) -> Mapping[str, Any]:
    try:
        fields = orjson.loads(text)
    except orjson.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict):
        raise invalid("fields", "no JSON object", 'as in {"code": "XZQDM", "name": "XZQMC"}, or that by level')
    return fields


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
