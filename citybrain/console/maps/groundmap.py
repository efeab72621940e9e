"""The ground of the map, from our own polygons alone: outlines of the coarse levels as shapes, the finest levels as one
image in the map's own projection. An edition never changes, so each is drawn once a machine, into a file beside the
edition's own, and kept by the browser for good."""

import gzip
import hashlib
import io
import logging
import os
import re
import tempfile
from collections.abc import Callable
from functools import cache, partial
from math import isfinite
from pathlib import Path
from threading import Lock
from typing import Annotated, Any

import numpy as np
import orjson
import shapely
from fastapi import Query, Request, Response
from numpy.typing import NDArray
from PIL import Image

from citybrain.access import Here
from citybrain.console.door import Visitor, page_routes
from citybrain.console.maps.ground import demonstration_note
from citybrain.console.rendering import FOR_GOOD
from citybrain.editions import listing
from citybrain.installation import Installation
from citybrain.keys import Key, May
from citybrain.problem import invalid, not_found
from geo.locator import Locator

OUTLINED = ("county", "town")
DRAWN = ("village", "cell")
TOLERANCE = 0.0002  # degrees, 20 m: less than a pixel where whole towns are looked at
WIDTH = 4096  # pixels: 40 m each in a city of 160 km, where cells are a kilometre
MOST = 1_500  # polygons of a level at once: the map asks when it is near
ROWS = 64  # at once
INK = {"cell": (1, (128, 140, 150, 110)), "village": (2, (90, 105, 118, 200))}  # palette number and colour

Box = tuple[float, float, float, float]  # west, south, east, north

log = logging.getLogger(__name__)
_ID = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9a-f]{8}")
_boxes: dict[str, Box] = {}
_drawing = Lock()

routes = page_routes()


@routes.get("/ground/{edition}/outlines.json")
def outlines(edition: str, request: Request, key: Visitor, here: Here) -> Response:
    packed = kept(edition, key, here, "outlines", _outlines)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(packed, headers=_KEPT | {"Content-Encoding": "gzip"}, media_type="application/json")
    return Response(gzip.decompress(packed), headers=_KEPT, media_type="application/json")


@routes.get("/ground/{edition}/cells.png")
def cells(edition: str, key: Visitor, here: Here) -> Response:
    return Response(kept(edition, key, here, "cells", _image), headers=_KEPT, media_type="image/png")


@routes.get("/ground/{edition}/cells.json")
def shapes(edition: str, key: Visitor, here: Here, box: Annotated[str, Query(max_length=100)]) -> Response:
    """The finest levels' polygons that touch a small box."""
    locator, (west, south, east, north) = _locator(edition, key, here), box_of(box)
    told: list[dict[str, Any]] = []
    for level in DRAWN:
        if (layer := locator.edition.layers.get(level)) is None:
            continue
        near = locator.touching(level, west, south, east, north)
        if len(near) > MOST:
            continue
        shapes = shapely.to_geojson(shapely.set_precision(layer.polygons[near], 1e-6, mode="pointwise"))
        named = zip(layer.codes[near], shapes, strict=True)
        told += [
            {"type": "Feature", "properties": {"level": level, "code": code}, "geometry": orjson.Fragment(shape)}
            for code, shape in named
        ]
    return Response(orjson.dumps(told), headers=_KEPT, media_type="application/json")


def box_of(text: str) -> Box:
    """Raises Problem 422 for what is no west,south,east,north."""
    try:
        west, south, east, north = map(float, text.split(","))
        if not isfinite(west + south + east + north):
            raise ValueError
    except ValueError:
        raise invalid("box", f"{text!r} is no box", "west,south,east,north in degrees") from None
    return west, south, east, north


_KEPT = {"Cache-Control": f"private, {FOR_GOOD}", "X-Content-Type-Options": "nosniff", "Vary": "Accept-Encoding"}


def view_of(here: Installation) -> dict[str, Any]:
    """What a page's map is made from."""
    locator = here.locator
    west, south, east, north = _box(locator)
    return {
        "edition": locator.edition.id,
        "box": [[south, west], [north, east]],
        "image": any(level in locator.levels for level in DRAWN),
        "note": demonstration_note(locator.edition, here.city),
    }


def _locator(edition: str, key: Key, here: Installation) -> Locator:
    """Of the edition in use, or another for who may see those. Raises Problem 404, or 409 for one with errors."""
    if edition == here.locator.edition.id:
        return here.locator
    if not key.may(May.READ_EDITIONS):
        raise not_found("edition in use")
    return listing.locator(here, edition)


def kept(edition: str, key: Key, here: Installation, what: str, draw: Callable[[Locator], bytes]) -> bytes:
    """What was drawn of an edition by this version of the program, by whichever process came first."""
    known = edition == here.locator.edition.id or key.may(May.READ_EDITIONS)
    if not known or not _ID.fullmatch(edition):
        raise not_found("edition in use")
    path = _path(edition, here, what)
    return path.read_bytes() if path.is_file() else _drawn(path, lambda: draw(_locator(edition, key, here)))


def draw_ahead(here: Installation) -> None:
    """What the map of the edition in use is made from, before anybody asks: drawing cells takes a second or two."""
    locator = here.locator
    wanted = [("outlines", _outlines)]
    if any(level in locator.levels for level in DRAWN):
        wanted.append(("cells", _image))
    for what, draw in wanted:
        path = _path(locator.edition.id, here, what)
        if not path.is_file():
            _drawn(path, partial(draw, locator))


def _path(edition: str, here: Installation, what: str) -> Path:
    return here.config.data / "editions" / f"{edition}.{_drawn_by()}.{what}"


def _drawn(path: Path, draw: Callable[[], bytes]) -> bytes:
    with _drawing:
        return path.read_bytes() if path.is_file() else _keep(path, draw())


def _keep(path: Path, drawn: bytes) -> bytes:
    """Beside it and renamed, so that nobody reads half of it; a full disk costs the next one the drawing."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".part")
        with os.fdopen(handle, "wb") as out:
            out.write(drawn)
        os.replace(name, path)
    except OSError as error:
        log.warning("the drawing %s could not be kept: %s", path.name, error)
    return drawn


@cache
def _drawn_by() -> str:
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]


def _box(locator: Locator) -> Box:
    """Remembered by the edition's id: whoever holds on to a locator holds all its ground."""
    if (found := _boxes.get(locator.edition.id)) is None:
        ground = next(iter(locator.edition.layers.values())).polygons
        west, south, east, north = shapely.total_bounds(ground).tolist()
        found = _boxes[locator.edition.id] = west, south, east, north
    return found


def _outlines(locator: Locator) -> bytes:
    """GeoJSON by level, simplified so that neighbours still share every corner."""
    told = {}
    for level in OUTLINED:
        if (layer := locator.edition.layers.get(level)) is None:
            continue
        shapes = shapely.set_precision(shapely.coverage_simplify(layer.polygons, TOLERANCE), 1e-5, mode="pointwise")
        rows = zip(layer.codes, layer.names, shapely.to_geojson(shapes), strict=True)
        told[level] = [
            {"type": "Feature", "properties": {"code": code, "name": name}, "geometry": orjson.Fragment(shape)}
            for code, name, shape in rows
            if shape is not None
        ]
    return gzip.compress(orjson.dumps(told), 6)


def _image(locator: Locator) -> bytes:
    """Where the polygon changes from one pixel to the next there is a line; rows are as far apart as Mercator has them,
    so that the image lies right from north to south."""
    lng, lat = _pixels(_box(locator))
    drawn = np.zeros((len(lat), len(lng)), np.uint8)
    for level in reversed(DRAWN):
        if level in locator.levels:
            number, _ = INK[level]
            drawn[_lines(locator, level, lng, lat)] = number
    image = Image.fromarray(drawn).convert("P")
    palette = [(0, 0, 0, 0), *(colour for _, colour in sorted(INK.values()))]
    image.putpalette([part for colour in palette for part in colour[:3]])
    out = io.BytesIO()
    image.save(out, "PNG", bits=2, transparency=bytes(colour[3] for colour in palette))
    return out.getvalue()


def _pixels(box: Box) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitude of each column and latitude of each row, at their middles."""
    west, south, east, north = box
    top, bottom = (np.arcsinh(np.tan(np.radians(lat))) for lat in (north, south))
    height = max(1, round(WIDTH * float(top - bottom) / np.radians(east - west)))
    height = min(height, 2 * WIDTH)
    lng = west + (np.arange(WIDTH) + 0.5) / WIDTH * (east - west)
    mercator = top - (np.arange(height) + 0.5) / height * (top - bottom)
    return lng, np.degrees(np.arctan(np.sinh(mercator)))


def _lines(locator: Locator, level: str, lng: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.bool_]:
    polygon = np.empty((len(lat), len(lng)), np.int32)
    for first in range(0, len(lat), ROWS):
        rows = lat[first : first + ROWS]
        x, y = np.meshgrid(lng, rows)
        polygon[first : first + ROWS] = locator.indices(level, x.ravel(), y.ravel()).reshape(x.shape)
    line = np.zeros(polygon.shape, np.bool_)
    line[:, :-1] |= polygon[:, :-1] != polygon[:, 1:]
    line[:-1] |= polygon[:-1] != polygon[1:]
    return line
