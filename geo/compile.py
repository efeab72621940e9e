"""Turns polygon files into an edition's layers: read, draw what nobody has mapped, find parents, check, project.

A pack's own boundaries and those that somebody uploads go through here alike."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from geo import changes, topology
from geo.cache import Compiled, redrawn
from geo.datum import project
from geo.divisions import LEVELS, Division, Divisions
from geo.drawing import draw
from geo.fault import Fault, counts, most_telling
from geo.layer import Layer, Objects, Progress, metric, objects, projected
from geo.mistake import Mistake, Mistakes, did_you_mean
from geo.reading import Given, Scheme, Table, read

_SUGGESTED = 20  # "did you mean" compares with every code, which takes minutes when all are wrong
_USUAL = 0.9  # of a level's codes have the same number of digits, where that is the custom
_MANY = 10


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the files: the most telling faults, how many of each kind there are, and the edition's content
    unless one of them is an error."""

    faults: tuple[Fault, ...]
    counts: Mapping[str, Mapping[str, int]]
    compiled: Compiled | None = None
    divisions: Divisions | None = None
    tables: Mapping[str, Table] = dataclasses.field(default_factory=dict)


def compile_files(
    given: Sequence[Given],
    divisions: Divisions,
    scheme: Scheme,
    *,
    base: Mapping[str, Layer] | None = None,
    closed: bool = True,
    level_names: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Levels without a file are drawn, where the city has them drawn and its towns are given, else taken from `base`,
    the edition in use. `closed`: divisions.csv stands beside the files and has to know every code above the cells; else
    names and parents are the files' own, and a code that nobody knows is told. Raises `Mistakes` where the scheme
    itself is wrong."""
    step = progress or _silent
    if unusable := wrong_crs(scheme.crs):
        raise Mistakes(unusable)
    faults: list[Fault] = []
    tables: dict[str, Table] = {}
    for number, file in enumerate(given):
        step(file.name, number, len(given))
        found, wrong = read(file, scheme, level_names)
        faults += wrong
        for table in found:
            if table.level in tables:
                faults.append(Fault("bad_level", True, table.level, table.file, "one file a level, this is another"))
            tables[table.level] = table
    step("files", len(given), len(given))
    faults += _code_faults(tables, divisions, closed)
    tables = {level: tables[level] for level in LEVELS if level in tables}
    if closed is False:
        divisions = _widened(divisions, tables)
    if any(fault.error for fault in faults) or not tables:
        return Outcome(tuple(most_telling(faults)), counts(faults), divisions=divisions, tables=tables)
    layers = _layers(tables, divisions, scheme, base or {}, faults, step)
    if scheme.nested:
        layers = _adopt(layers)
    step("topology", 0, 1)
    faults += _findings(layers, scheme, tables)
    if base:
        faults += changes.faults(base, layers)
    if not closed:
        divisions = _parented(divisions, layers)
    told = tuple(most_telling(faults))
    if any(fault.error for fault in told):
        return Outcome(told, counts(faults), divisions=divisions, tables=tables)
    step("raster", 0, 1)
    rasters = redrawn(layers)
    step("raster", 1, 1)
    return Outcome(told, counts(faults), Compiled(layers, rasters, told), divisions, tables)


def check_files(given: Sequence[Given], divisions: Divisions, scheme: Scheme) -> list[Mistake]:
    """The errors that a look at the files alone finds, without drawing anything."""
    tables: dict[str, Table] = {}
    faults = []
    for file in given:
        found, wrong = read(file, scheme)
        faults += wrong
        tables |= {table.level: table for table in found}
    faults += _code_faults(tables, divisions, closed=True)
    return [fault.as_mistake() for fault in faults if fault.error]


def _silent(_what: str, _done: int, _total: int) -> None:
    return


def _code_faults(tables: Mapping[str, Table], divisions: Divisions, closed: bool) -> list[Fault]:
    faults: list[Fault] = []
    levels: dict[str, str] = {}
    for level, table in tables.items():
        known = [row.code for row in divisions.level(level)]
        odd = _odd(table.codes)
        for row, code in enumerate(table.codes):
            about = (level, table.file)
            where = (table.features[row], code, table.polygons[row])
            if levels.setdefault(code, level) != level:
                faults.append(
                    Fault("duplicate_code", True, *about, f"code {code} only once, level {levels[code]} has it", *where)
                )
            elif level != "cell" and (division := divisions.get(code)) is not None and division.level != level:
                what = f"a {level} of divisions.csv, {code} is a {division.level} there"
                faults.append(Fault("unknown_code", True, *about, what, *where))
            elif level != "cell" and code not in divisions:
                meant = did_you_mean(code, known) if len(faults) < _SUGGESTED else ""
                kind = "unknown_code" if closed else "new_code"
                faults.append(Fault(kind, closed, *about, f"a {level} of divisions.csv{meant}", *where))
            if odd[row]:
                faults.append(Fault("odd_code", False, *about, "a code of as many digits as the others", *where))
    return faults


def _odd(codes: Objects) -> Any:
    """Codes that are not like the others, where nearly all are numbers of the same length."""
    shape = np.array([len(code) if code.isdecimal() else 0 for code in codes], dtype=np.int64)
    if len(shape) < _MANY:
        return np.zeros(len(shape), dtype=np.bool_)
    lengths, counted = np.unique(shape, return_counts=True)
    usual = lengths[counted.argmax()]
    return shape != usual if usual and counted.max() >= _USUAL * len(shape) else np.zeros(len(shape), dtype=np.bool_)


def _widened(divisions: Divisions, tables: Mapping[str, Table]) -> Divisions:
    """The divisions with what the files say of them: names, and new codes. Parents follow when they are settled."""
    rows = {row.code: row for level in LEVELS for row in divisions.level(level)}
    for level, table in tables.items():
        if level != "cell":
            for code, name, parent in zip(table.codes, table.names, table.parents, strict=True):
                before = rows.get(code)
                above = parent or (before.parent_code if before else "")
                if before is None or before.level == level:
                    rows[code] = Division(code, name, level, above)
    return Divisions(rows.values())


def _parented(divisions: Divisions, layers: Mapping[str, Layer]) -> Divisions:
    """With the parents that were found by the ground where nobody said them, and the city above what has none."""
    rows = {row.code: row for level in LEVELS for row in divisions.level(level)}
    city = next((row.code for row in divisions.level(LEVELS[0])), "")
    for level, layer in layers.items():
        if level != "cell":
            for code, name, parent in zip(layer.codes, layer.names, layer.parents, strict=True):
                row = rows.get(code) or Division(code, name, level, "")  # of a level that was kept as it was
                if row.parent_code not in rows:
                    rows[code] = dataclasses.replace(row, parent_code=parent or city)
    return Divisions(rows.values())


def _layers(
    tables: Mapping[str, Table], divisions: Divisions, scheme: Scheme, base: Mapping[str, Layer],
    faults: list[Fault], step: Progress,
) -> dict[str, Layer]:  # fmt: skip
    """Coarse to fine; what is missing in the end is a fault."""
    drawn = scheme.drawn and "town" in tables and "village" not in tables and "cell" not in tables
    kept = {level: layer for level, layer in base.items() if level not in tables}
    kept = {level: layer for level, layer in kept.items() if not (drawn and level in ("village", "cell"))}
    made = [level for level in LEVELS if level in tables or level in kept]
    layers: dict[str, Layer] = {}
    above: Layer | None = None
    for level in made:
        layer = kept[level] if level in kept else _layer(tables[level], scheme.crs)
        parents = _parents(layer, above, divisions, tables.get(level), scheme, faults)
        layers[level] = above = dataclasses.replace(layer, parents=parents)
    if drawn:
        draw(layers, tables["town"], divisions, scheme.crs, step)
    for level in scheme.levels:
        if level not in layers:
            what = "a file for this level of the city"
            faults.append(Fault("no_file", True, level, level, what))
    return {level: layers[level] for level in LEVELS if level in layers and level in scheme.levels}


def _parents(
    layer: Layer, above: Layer | None, divisions: Divisions, table: Table | None, scheme: Scheme, faults: list[Fault]
) -> Objects:
    """The polygon above each, as the file says it, else as divisions.csv does; "" is found by the ground later."""
    if above is None or not scheme.nested:
        return objects([""] * len(layer))
    known = set(above.codes)
    parents = []
    for row, (code, said) in enumerate(zip(layer.codes, layer.parents, strict=True)):
        if table is not None and said and said not in known and divisions.path(said).get(above.level) is None:
            what = f"a parent among the {len(above)} of level {above.level}, found {said[:60]!r}"
            told = (layer.level, table.file, what, table.features[row], code, table.polygons[row])
            faults.append(Fault("missing_parent", True, *told))
        home = said if said in known else divisions.path(said).get(above.level) if said else None
        home = home or divisions.path(code).get(above.level, "")
        parents.append(home if table is not None or home in known else "")
    return objects(parents)


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


def _layer(table: Table, crs: str) -> Layer:
    codes, names, sources, parents = table.codes, table.names, table.sources, table.parents
    return Layer(table.level, codes, names, sources, parents, table.polygons, metric(table.polygons, crs))


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


def _findings(layers: Mapping[str, Layer], scheme: Scheme, tables: Mapping[str, Table]) -> list[Fault]:
    found: list[Fault] = []
    above: Layer | None = None
    ground_above = objects([])
    for layer in layers.values():
        ground = _valid(projected(layer.polygons, scheme.crs))
        found += topology.check(layer, ground, above, ground_above, scheme.nested)
        above, ground_above = layer, ground
    features = {
        (level, code): (table.file, feature)
        for level, table in tables.items()
        for code, feature in zip(table.codes, table.features, strict=True)
    }
    spots = _in_degrees(objects([fault.spot for fault in found]), scheme.crs)
    told = []
    for fault, spot in zip(found, spots, strict=True):
        file, feature = features.get((fault.level, fault.code), ("", None)) if fault.kind != "gap" else ("", None)
        told.append(dataclasses.replace(fault, spot=spot, file=file, feature=feature))
    return told


def _valid(ground: Objects) -> Objects:
    """What is a hair's breadth wide may cross itself when its corners are rounded anew."""
    wrong = ~shapely.is_valid(ground)
    ground[wrong] = shapely.make_valid(ground[wrong], method="structure", keep_collapsed=False)
    return ground


def _in_degrees(shapes: Objects, crs: str) -> Objects:
    def back(xy: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.column_stack(project(xy[:, 0], xy[:, 1], crs, "epsg:4326"))

    return objects(list(shapely.transform(shapes, back))) if len(shapes) else shapes


def geojson(layer: Layer) -> str:
    """The layer as a GeoJSON feature collection, for those who draw it."""
    shapes = shapely.to_geojson(layer.polygons)
    rows = zip(layer.codes, layer.names, layer.sources, shapes, strict=True)
    features = []
    for code, name, source, shape in rows:
        properties = json.dumps({"code": code, "name": name, "source": source}, ensure_ascii=False)
        features.append(f'{{"type":"Feature","properties":{properties},"geometry":{shape}}}')
    return '{"type":"FeatureCollection","features":[' + ",\n".join(features) + "]}"
