"""Where things are: points and divisions, for who asks without reporting anything."""

import asyncio
from typing import Annotated, Any

import numpy as np
import orjson
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from citybrain.access import Asker, Here, described
from citybrain.installation import Installation
from citybrain.intake.body import MIB, read_body
from citybrain.intake.placing import place_of
from citybrain.keys import Key
from citybrain.problem import Problem, field_errors, invalid, not_found
from citybrain.strict_json import parse_json
from geo.compile import geojson
from geo.datum import UnknownDatum, to_wgs84
from geo.divisions import Division

routes = APIRouter(prefix="/api/v1", tags=["places 位置"])
LOCATE_BYTES = 8 * MIB  # 100,000 points with all their digits take five
Datum = Annotated[str | None, Query(max_length=20)]
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class Points(BaseModel):
    model_config = ConfigDict(extra="forbid")

    points: list[tuple[Finite, Finite]] = Field(max_length=100_000, fail_fast=True)
    datum: str | None = None
    levels: list[str] = []


@routes.get("/locate")
def locate_point(
    key: Asker,
    here: Here,
    lng: Annotated[float, Query(allow_inf_nan=False)],
    lat: Annotated[float, Query(allow_inf_nan=False)],
    datum: Datum = None,
) -> dict[str, Any]:
    """The place of one point."""
    location = {"lng": lng, "lat": lat, "datum": datum or key.datum or here.city.default_datum}
    return place_of(location, here)


@routes.post("/locate", openapi_extra=described(Points))
async def locate_points(request: Request, key: Asker, here: Here) -> Response:
    """Codes by level, in the order of the points; null outside."""
    body = await read_body(request, LOCATE_BYTES)
    return await asyncio.to_thread(_located, body, key, here)


def _located(raw: bytes, key: Key, here: Installation) -> Response:
    try:
        body = Points.model_validate(parse_json(raw))
    except ValidationError as error:
        raise Problem(422, "the points cannot be read", errors=field_errors(error.errors())) from None
    levels = body.levels or list(here.city.levels)
    for level in levels:
        if level not in here.city.levels:
            raise invalid("levels", f"{level!r} is no level of this city", _levels(here))
    points = np.array(body.points, float).reshape(-1, 2)
    try:
        lng, lat = to_wgs84(points[:, 0], points[:, 1], body.datum or key.datum or here.city.default_datum)
    except UnknownDatum as error:
        raise invalid("datum", str(error), "name the datum that the points really use") from None
    found = here.locator.codes(lng, lat, levels)
    answer = {level: list(found[level]) for level in levels}
    return Response(orjson.dumps(answer), media_type="application/json")


@routes.get("/divisions")
def list_divisions(_key: Asker, here: Here, level: str | None = None) -> dict[str, Any]:
    """All divisions of one level, the coarsest unless another is named."""
    level = level or here.city.first_level
    if level not in ("city", *here.city.levels):
        raise invalid("level", f"{level!r} is no level of this city", "city, or " + _levels(here))
    return {"items": [_division(each) for each in here.city.divisions.level(level)], "next": None}


@routes.get("/divisions/{code}")
def show_division(code: str, _key: Asker, here: Here) -> dict[str, Any]:
    return _division(_known(code, here)) | {"path": dict(here.city.divisions.path(code))}


@routes.get("/divisions/{code}/children")
def children(code: str, _key: Asker, here: Here) -> dict[str, Any]:
    _known(code, here)
    return {"items": [_division(each) for each in here.city.divisions.children(code)], "next": None}


@routes.get("/boundaries/{level}.geojson")
def boundaries(level: str, _key: Asker, here: Here) -> Response:
    """The active edition's polygons of one level, WGS-84."""
    if level not in here.city.levels:
        raise not_found("level")
    return Response(geojson(here.locator.edition.layers[level]), media_type="application/geo+json")


def _levels(here: Installation) -> str:
    return "one of " + ", ".join(map(here.city.level_in_english, here.city.levels))


def _known(code: str, here: Here) -> Division:
    division = here.city.divisions.get(code)
    if division is None:
        raise not_found("division")
    return division


def _division(each: Division) -> dict[str, Any]:
    return {"code": each.code, "name": each.name, "level": each.level, "parent_code": each.parent_code}
