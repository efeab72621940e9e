"""Turns a pack's polygon files into an edition's layers: read, validate, draw what is missing, project."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geo import cells, topology
from geo.cache import Compiled
from geo.covering import Covering
from geo.datum import project
from geo.divisions import LEVELS, Divisions
from geo.layer import SOURCES, Layer, Objects, Progress, objects
from geo.mistake import Mistake, Mistakes, did_you_mean
from geo.rasterise import rasterise

_STEP = 0.01  # degrees; the curve is then off by less than 2 cm
_EXTENT = (-180.0, -90.0, 180.0, 90.0)
_SUGGESTED = 20  # "did you mean" compares with every code, which takes minutes when all are wrong


def compile_layers(
    files: Mapping[str, Path],
    divisions: Divisions,
    levels: Sequence[str],
    *,
    crs: str,
    nested: bool,
    progress: Progress | None = None,
) -> Compiled:
    """The layers, their rasters, and what the topology check found. Raises `Mistakes`."""
    mistakes = wrong_crs(crs)
    tables = {}
    for level, path in files.items():
        if progress:
            progress(level, 0, 1)
        tables[level] = _read(path, level, divisions, mistakes)
    if mistakes:
        raise Mistakes(mistakes)
    layers = {level: _layer(level, table, divisions, files, crs) for level, table in tables.items()}
    if set(levels) - set(files):
        _draw(layers, tables["town"], divisions, crs, progress)
    layers = {level: layers[level] for level in LEVELS if level in layers and level in levels}
    if nested:
        layers = _adopt(layers)
    if progress:
        progress("topology", 0, 1)
    findings = _findings(layers, nested, crs)
    if progress:
        progress("raster", 0, 1)
    rasters = {level: rasterise(Covering(layer.polygons)) for level, layer in layers.items()}
    return Compiled(layers, rasters, tuple(findings))


def check_polygons(path: Path, level: str, divisions: Divisions) -> list[Mistake]:
    mistakes: list[Mistake] = []
    _read(path, level, divisions, mistakes)
    return mistakes


def wrong_crs(crs: str) -> list[Mistake]:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        system = CRS.from_user_input(crs)
    except CRSError:
        return [Mistake("city.toml", f"crs {crs!r}", "an EPSG code such as EPSG:4548")]
    if system.is_projected and all(axis.unit_name == "metre" for axis in system.axis_info):
        return []
    return [Mistake("city.toml", f"crs {crs!r}", f"a projected system in metres, this is {system.name}")]


def _read(path: Path, level: str, divisions: Divisions, mistakes: list[Mistake]) -> Any:
    """The file as a table of code, name, source, geometry, sorted by code, with what is wrong added to `mistakes`."""
    import geopandas
    from pyogrio.errors import DataSourceError

    try:
        table = geopandas.read_file(path, engine="pyogrio")
    except (DataSourceError, ValueError, UnicodeDecodeError) as error:
        mistakes.append(Mistake(path.name, "the file", f"readable polygons ({str(error)[:200]})"))
        return None
    if not len(table):
        mistakes.append(Mistake(path.name, "the file", "at least one polygon"))
        return None
    missing = [column for column in ("code", "name", "source") if column not in table.columns]
    if missing or "geometry" not in table.columns:
        wanted, there = ", ".join(missing) or "geometry", [name for name in table.columns if name != "geometry"]
        found = f", found {', '.join(map(str, there))}" if there else ""
        mistakes.append(Mistake(path.name, "the fields", f"{wanted} on every polygon{found}"))
        return None
    if table.crs is not None and table.crs.to_epsg() != 4326:
        table = table.to_crs(4326)
    table["geometry"] = shapely.force_2d(table.geometry.to_numpy())
    before = len(mistakes)
    mistakes += [Mistake(path.name, item, what) for item, what in _wrong(table, level, divisions)]
    if len(table) == 0:
        mistakes.append(Mistake(path.name, "the file", "at least one polygon"))
    if len(mistakes) > before:
        return None
    table["code"] = [str(code) for code in table["code"]]
    return table.sort_values("code", kind="stable").reset_index(drop=True)


def _wrong(table: Any, level: str, divisions: Divisions) -> list[tuple[str, str]]:
    wrong, seen = [], set()
    known = [row.code for row in divisions.level(level)]
    for number, (code, name, source, polygon) in enumerate(
        zip(table["code"], table["name"], table["source"], table.geometry, strict=True), start=1
    ):
        item = f"feature {number} ({code})"
        if not isinstance(code, str | int) or not str(code).strip():
            wrong.append((item, "a code (text)"))
        elif str(code) in seen:
            wrong.append((item, f"code {code} only once"))
        elif level != "cell" and getattr(divisions.get(str(code)), "level", None) != level:
            meant = did_you_mean(str(code), known) if len(wrong) < _SUGGESTED else ""
            wrong.append((item, f"a {level} of divisions.csv{meant}"))
        seen.add(str(code))
        if not isinstance(name, str) or not name.strip():
            wrong.append((item, "a name"))
        if source not in SOURCES:
            wrong.append(
                (item, f"source {source!r} is none of {', '.join(SOURCES)}{did_you_mean(str(source), SOURCES)}")
            )
        shape = _wrong_shape(polygon)
        if shape:
            wrong.append((item, shape))
    return wrong


def _wrong_shape(polygon: Any) -> str:
    if polygon is None or polygon.is_empty:
        return "a polygon that is not empty"
    if polygon.geom_type not in ("Polygon", "MultiPolygon"):
        return f"a Polygon or MultiPolygon, this is a {polygon.geom_type}"
    west, south, east, north = polygon.bounds
    if not (west >= _EXTENT[0] and south >= _EXTENT[1] and east <= _EXTENT[2] and north <= _EXTENT[3]):
        return "WGS-84 degrees, longitude first"
    if not polygon.is_valid:
        return f"a valid polygon ({shapely.is_valid_reason(polygon)})"
    return ""


def _layer(level: str, table: Any, divisions: Divisions, files: Mapping[str, Path], crs: str) -> Layer:
    codes, polygons = objects(list(table["code"])), objects(list(table.geometry))
    above = [other for other in LEVELS[: LEVELS.index(level)] if other in files]
    parents = [divisions.path(code).get(above[-1], "") if above else "" for code in codes]
    names, sources = objects(list(table["name"])), objects(list(table["source"]))
    return Layer(level, codes, names, sources, objects(parents), polygons, _metric(polygons, crs))


def _projected(polygons: Objects, crs: str) -> Objects:
    def turn(xy: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.column_stack(project(xy[:, 0], xy[:, 1], "epsg:4326", crs))

    return objects(list(shapely.transform(polygons, turn)))


def _metric(polygons: Objects, crs: str) -> Objects:
    """In metres, long straight edges in steps, because they are curves there: 20 m aside in the middle of 50 km."""
    return _projected(shapely.segmentize(polygons, _STEP), crs)


def _draw(layers: dict[str, Layer], table: Any, divisions: Divisions, crs: str, progress: Progress | None) -> None:
    """Adds generated villages and cells, and gives the polygons above them the new corners on their borders."""
    town = layers["town"]
    seats = _seats(table, town)
    towns = [cells.Town(*row) for row in zip(town.codes, town.names, town.polygons, seats, strict=True)]
    pieces = cells.generate(towns, divisions, progress)
    drawn = objects([piece.polygon for piece in pieces])
    owners = objects([piece.village for piece in pieces])
    codes, polygons = _united(owners, drawn)
    names = objects([row.name if (row := divisions.get(code)) else code for code in codes])
    home = dict(zip(owners, (piece.town for piece in pieces), strict=True))
    parents = objects([home[code] for code in codes])
    layers["village"] = _generated("village", codes, names, parents, polygons, crs)
    labels, serials = objects([piece.name for piece in pieces]), objects([piece.code for piece in pieces])
    layers["cell"] = _generated("cell", serials, labels, owners, drawn, crs)
    layers["town"] = _refit(town, parents, polygons, crs)
    if "county" in layers:
        layers["county"] = _refit(layers["county"], town.parents, layers["town"].polygons, crs)


def _seats(table: Any, town: Layer) -> list[tuple[float, float]]:
    if {"seat_lon", "seat_lat"} <= set(table.columns):
        return [(float(lng), float(lat)) for lng, lat in zip(table["seat_lon"], table["seat_lat"], strict=True)]
    middles = shapely.get_coordinates(shapely.point_on_surface(town.polygons))
    return [(float(lng), float(lat)) for lng, lat in middles]


def _generated(level: str, codes: Objects, names: Objects, parents: Objects, polygons: Objects, crs: str) -> Layer:
    sources = objects(["generated"] * len(codes))
    return Layer(level, codes, names, sources, parents, polygons, _metric(polygons, crs))


def _united(owners: Objects, polygons: Objects) -> tuple[Objects, Objects]:
    """Each owner's polygons as one, by owner. Corners on straight borders stay, so that layers share every vertex."""
    codes = sorted(set(owners))
    starts = np.argsort(owners, kind="stable")
    groups = np.split(starts, np.flatnonzero(owners[starts][1:] != owners[starts][:-1]) + 1)
    return objects(codes), objects([shapely.coverage_union_all(polygons[group]) for group in groups])


def _refit(layer: Layer, parents: Objects, children: Objects, crs: str) -> Layer:
    """The layer with each polygon that its children fill made their union, which moves no border by a millimetre."""
    codes, unions = _united(parents, children)
    found = dict(zip(codes, unions, strict=True))
    polygons = layer.polygons.copy()
    for number, code in enumerate(layer.codes):
        union = found.get(code)
        if union is not None and shapely.symmetric_difference(union, polygons[number]).area < 1e-6 * union.area:
            polygons[number] = union
    return Layer(
        layer.level,
        layer.codes,
        layer.names,
        layer.sources,
        layer.parents,
        polygons,
        _metric(polygons, crs),
    )


def _adopt(layers: Mapping[str, Layer]) -> dict[str, Layer]:
    """Gives each polygon without a known parent the one its middle lies in; cells have no other way."""
    adopted: dict[str, Layer] = {}
    above: Layer | None = None
    for level, layer in layers.items():
        parents = layer.parents.copy()
        orphans = np.flatnonzero(parents == "")
        if above is not None and len(orphans):
            tree = shapely.STRtree(above.polygons)
            child, parent = tree.query(shapely.point_on_surface(layer.polygons[orphans]), predicate="intersects")
            for number, home in sorted(zip(child, parent, strict=True), reverse=True):
                parents[orphans[number]] = above.codes[home]
        adopted[level] = above = Layer(
            level, layer.codes, layer.names, layer.sources, parents, layer.polygons, layer.projected
        )
    return adopted


def _findings(layers: Mapping[str, Layer], nested: bool, crs: str) -> list[Mistake]:
    found: list[Mistake] = []
    above: Layer | None = None
    ground_above = objects([])
    for level, layer in layers.items():
        # Without the densified edges' corners, which each neighbour rounds its own way.
        ground = _projected(layer.polygons, crs)
        found += topology.overlaps(level, layer.codes, ground)
        if nested and above is not None:
            index = {code: number for number, code in enumerate(above.codes)}
            home = np.array([index.get(code, -1) for code in layer.parents])
            found += topology.outside_parents(level, layer.codes, ground, objects([*ground_above, None])[home])
            found += topology.gaps(level, above.codes, ground_above, home, ground)
        above, ground_above = layer, ground
    return found


def geojson(layer: Layer) -> str:
    """The layer as a GeoJSON feature collection, for those who draw it."""
    shapes = shapely.to_geojson(layer.polygons)
    rows = zip(layer.codes, layer.names, layer.sources, shapes, strict=True)
    features = []
    for code, name, source, shape in rows:
        properties = json.dumps({"code": code, "name": name, "source": source}, ensure_ascii=False)
        features.append(f'{{"type":"Feature","properties":{properties},"geometry":{shape}}}')
    return '{"type":"FeatureCollection","features":[' + ",\n".join(features) + "]}"
