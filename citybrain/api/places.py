"""Where things are: points and divisions, for who asks without reporting anything."""

import asyncio
from typing import Annotated, Any

import numpy as np
import orjson
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from citybrain.access import Asker, Here, described
from citybrain.installation import Installation
from citybrain.intake.body import MIB, read_body
from citybrain.intake.placing import explain_place, place_of
from citybrain.keys import Key
from citybrain.problem import Problem, field_errors, invalid, not_found
from citybrain.strict_json import parse_json
from geo.compile import geojson
from geo.datum import Floats, UnknownDatum, to_wgs84
from geo.divisions import Division

routes = APIRouter(prefix="/api/v1", tags=["places 位置"])
MOST_POINTS = 100_000
LOCATE_BYTES = 8 * MIB  # 100,000 points with all their digits take five
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class _Bulk(BaseModel):
    model_config = ConfigDict(extra="forbid")

    datum: str | None = None
    levels: list[str] = []


class Points(_Bulk):
    points: list[tuple[Finite, Finite]] = Field(max_length=MOST_POINTS, fail_fast=True)


class Columns(_Bulk):
    """The same points as two columns."""

    lng: list[Finite] = Field(max_length=MOST_POINTS, fail_fast=True)
    lat: list[Finite] = Field(max_length=MOST_POINTS, fail_fast=True, description="as many as lng")


def _read(raw: bytes) -> tuple[_Bulk, Floats, Floats]:
    asked = parse_json(raw)
    model = Columns if isinstance(asked, dict) and "points" not in asked and {"lng", "lat"} & asked.keys() else Points
    try:
        body = model.model_validate(asked)
    except ValidationError as error:
        raise Problem(422, "the points cannot be read", errors=field_errors(error.errors())) from None
    if isinstance(body, Columns):
        if len(body.lng) != len(body.lat):
            raise invalid("lat", f"{len(body.lat)} numbers beside {len(body.lng)} in lng", "as many as in lng")
        return body, np.array(body.lng, float), np.array(body.lat, float)
    points = np.array(body.points, float).reshape(-1, 2)
    return body, points[:, 0], points[:, 1]


async def _asked(
    key: Asker,
    here: Here,
    lng: Annotated[float, Query(allow_inf_nan=False)],
    lat: Annotated[float, Query(allow_inf_nan=False)],
    datum: Annotated[str | None, Query(max_length=20)] = None,
    accuracy_m: Annotated[float | None, Query(allow_inf_nan=False, ge=0, le=100_000)] = None,
) -> dict[str, Any]:
    location = {"lng": lng, "lat": lat, "datum": datum or key.datum or here.city.default_datum}
    return location if accuracy_m is None else {**location, "accuracy_m": accuracy_m}


Asked = Annotated[dict[str, Any], Depends(_asked)]


@routes.get("/locate")
async def locate_point(location: Asked, here: Here) -> Response:
    """The place of one point."""
    return _json(place_of(location, here))


@routes.get("/locate/explain")
def explain_point(location: Asked, here: Here) -> dict[str, Any]:
    """The place of one point, and level by level every polygon that was tried and why the winner won."""
    return explain_place(location, here)


@routes.post("/locate", openapi_extra=described(Points, Columns))
async def locate_points(request: Request, key: Asker, here: Here) -> Response:
    """Codes by level, in the order of the points; null outside. Columns in, columns out."""
    body = await read_body(request, LOCATE_BYTES)
    return await asyncio.to_thread(_located, body, key, here)


def _located(raw: bytes, key: Key, here: Installation) -> Response:
    body, x, y = _read(raw)
    levels = body.levels or list(here.city.levels)
    for level in levels:
        if level not in here.city.levels:
            raise invalid("levels", f"{level!r} is no level of this city", _levels(here))
    try:
        lng, lat = to_wgs84(x, y, body.datum or key.datum or here.city.default_datum)
    except UnknownDatum as error:
        raise invalid("datum", str(error), "name the datum that the points really use") from None
    found = here.locator.codes(lng, lat, levels)
    return _json({level: list(found[level]) for level in levels})


def _json(answer: Any) -> Response:
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
