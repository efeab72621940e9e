"""Reads one polygon file into rows of code, name, parent, source and WGS-84 polygon, whatever its format, columns and
coordinate reference system, and says what is wrong with each feature. The compiler makes layers of the rows."""

from __future__ import annotations

import dataclasses
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geo.datum import project, to_wgs84
from geo.fault import SHARE, Fault
from geo.layer import SOURCES, Objects, objects
from geo.mistake import did_you_mean
from geo.unpacking import Source, Unreadable, unpack

FIELDS = ("code", "name", "parent", "source", "level")
_OWN = {"parent": ("parent_code", "parent")}  # names that a column may have without being mapped
_LOW, _HIGH = (-180.0, -90.0), (180.0, 90.0)
_POLYGONS = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)
_CODE = re.compile(r"(?! )[^,;\"'<>\x00-\x1f\x7f]{1,64}(?<! )")  # opaque, but lists of codes and pages stay whole
_NUMBER = re.compile(r"-?\d+\.0+")  # what spreadsheets make of a code
_PLACE = re.compile(r"\[(\S+) (\S+)\]")  # where GEOS says that a ring is wrong
_SHOWN = 60
_DBF_NAME = 10  # bytes


@dataclass(frozen=True, slots=True)
class Given:
    """A file as it is given: its level ("" where a column says it), what its sender calls it, which column has what,
    and what it does not say itself: CRS or datum, encoding of its texts, source of its polygons."""

    path: Path
    level: str
    name: str
    fields: Mapping[str, str] = field(default_factory=dict)
    crs: str | None = None
    encoding: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Scheme:
    """What a city says of its ground: levels coarse to fine, whether they nest, the projected CRS for metres, where the
    city lies, whether villages and cells are drawn where nobody has mapped them."""

    levels: tuple[str, ...]
    crs: str
    nested: bool = True
    envelope: tuple[float, float, float, float] = (*_LOW, *_HIGH)
    drawn: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Parallel arrays, ascending by code. `features` count from 1 in the file; `parents` are "" where none is said."""

    level: str
    file: str
    features: Objects
    codes: Objects
    names: Objects
    parents: Objects
    sources: Objects
    polygons: Objects
    seats: Objects | None = None  # [lng, lat] round which villages are drawn
    about: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.codes)

    def only(self, rows: Any) -> Table:
        changed = {name: getattr(self, name)[rows] for name in _ROWS}
        return dataclasses.replace(self, **changed, seats=None if self.seats is None else self.seats[rows])


_ROWS = ("features", "codes", "names", "parents", "sources", "polygons")


def read(given: Given, scheme: Scheme, level_names: Mapping[str, str] | None = None) -> tuple[list[Table], list[Fault]]:
    """A table a level: one, or several where a column says the level by key or by one of `level_names`. Features with
    an error are left out of it, and named in the faults."""
    with tempfile.TemporaryDirectory(prefix="citybrain-") as folder:
        try:
            frame, about = _frame(given, Path(folder))
            columns = _columns(given, list(frame.columns), about["encoding"])
        except Unreadable as error:
            return [], [Fault(error.kind, True, given.level, given.name, str(error), error.feature)]
    faults: list[Fault] = []
    levels = _levels(frame, columns, given, scheme, level_names or {}, faults)
    tables = []
    for level in dict.fromkeys(level for level in levels if level):
        rows = np.flatnonzero(levels == level)
        table = _table(frame.iloc[rows], rows, columns, dataclasses.replace(given, level=level), about)
        tables.append(_right(table, given, scheme, faults))
    return tables, faults


def _frame(given: Given, folder: Path) -> tuple[Any, dict[str, Any]]:
    import geopandas
    from pyogrio import list_layers

    source = unpack(given.path, folder, given.encoding)
    options: dict[str, Any] = {"encoding": source.encoding} if source.encoding else {}
    try:
        if source.format == "GeoJSON":
            options["DATE_AS_STRING"] = True  # T0101 is a code, and to GDAL one minute past one
        if source.format == "GeoPackage":
            options["layer"] = _layer_name(list_layers(source.path), given.level)
        frame = geopandas.read_file(source.path, engine="pyogrio", on_invalid="ignore", **options)
    except (RuntimeError, ValueError, OSError, KeyError, shapely.GEOSException) as error:
        raise Unreadable(f"no readable polygons ({str(error)[:200]})") from None
    if not len(frame):
        raise Unreadable("no polygon in the file: at least one polygon is expected")
    if "geometry" not in frame.columns:
        raise Unreadable("no geometry in the file")
    if source.count not in (None, len(frame)):
        raise Unreadable(f"{source.count} features in the file, {len(frame)} can be read")
    polygons, crs = _wgs84(frame, given, source)
    about = {"format": source.format, "crs": crs, "encoding": source.encoding}
    return frame.set_geometry(polygons, crs=4326), about


def _layer_name(layers: Any, level: str) -> str:
    names = [str(name) for name, kind in layers if kind]
    if level in names:
        return level
    if len(names) != 1:
        raise Unreadable(f"layers {', '.join(names) or 'none'} in the GeoPackage: one, or one called {level}")
    return names[0]


def _wgs84(frame: Any, given: Given, source: Source) -> tuple[Objects, str]:
    """The polygons in WGS-84, longitude first, without heights; and the name of what they were in."""
    polygons = objects(list(shapely.force_2d(frame.geometry.to_numpy())))
    said = frame.crs if source.says_crs or not given.crs else None
    try:
        if said is not None:
            name = said.to_string() if len(said.to_string()) < _SHOWN else said.name
            moved = polygons if said.to_epsg() == 4326 else frame.set_geometry(polygons, crs=said).to_crs(4326).geometry
            return objects(list(moved)), name
        if given.crs:
            return _turned(polygons, given.crs), given.crs
    except (RuntimeError, ValueError) as error:
        raise Unreadable(f"its coordinates cannot be turned to WGS-84: {str(error)[:200]}", kind="no_crs") from None
    raise Unreadable("it does not say its coordinate reference system", kind="no_crs")


def _turned(polygons: Objects, datum: str) -> Objects:
    def turn(xy: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.column_stack(to_wgs84(xy[:, 0], xy[:, 1], datum))

    return objects(list(shapely.transform(polygons, turn)))


def _columns(given: Given, there: Sequence[str], encoding: str | None) -> dict[str, str]:
    """Which column has what. A column that was named has to be there, under as much of its name as a .dbf holds; of the
    others code and name."""
    found, missing = {}, []
    for what in FIELDS:
        named = given.fields.get(what)
        own = _OWN.get(what, (what,))
        if named:
            own = (named, named.encode(encoding or "utf-8", "ignore")[:_DBF_NAME].decode(encoding or "utf-8", "ignore"))
        column = next((each for each in own if each in there), None)
        if column:
            found[what] = column
        elif named or what in ("code", "name") or (what == "source" and given.source is None):
            missing.append(f"{named or what}{did_you_mean(named, there) if named else ''}")
    if not given.fields.get("level") and given.level:
        found.pop("level", None)
    if missing:
        shown = ", ".join(str(name) for name in there if name != "geometry")[:500]
        raise Unreadable(f"no column {', '.join(missing)}; found {shown or 'none'}", kind="no_field")
    return found


def _levels(
    frame: Any, columns: Mapping[str, str], given: Given, scheme: Scheme, names: Mapping[str, str], faults: list[Fault]
) -> Objects:
    """The level of each row, "" where it is none of the city's."""
    if given.level and "level" not in columns:
        return objects([given.level] * len(frame))
    if "level" not in columns:
        faults.append(Fault("no_field", True, "", given.name, "neither a level for the file nor a column that has it"))
        return objects([""] * len(frame))
    known = {**names, **{level: level for level in scheme.levels}}
    levels = [known.get(str(value).strip(), "") for value in frame[columns["level"]]]
    for number, level in enumerate(levels, start=1):
        if not level:
            value = str(frame[columns["level"]].iloc[number - 1])[:_SHOWN]
            what = f"level {value!r} is none of {', '.join(scheme.levels)}{did_you_mean(value, known)}"
            faults.append(Fault("bad_level", True, "", given.name, what, number))
    return objects([level if given.level in ("", level) else "" for level in levels])


def _table(frame: Any, rows: Any, columns: Mapping[str, str], given: Given, about: Mapping[str, Any]) -> Table:
    def texts(what: str, otherwise: str = "") -> Objects:
        if what not in columns:
            return objects([otherwise] * len(frame))
        return objects([_text(value) for value in frame[columns[what]]])

    seats = None
    if {"seat_lon", "seat_lat"} <= set(frame.columns):
        seats = objects(list(zip(frame["seat_lon"].astype(float), frame["seat_lat"].astype(float), strict=True)))
    polygons = objects(list(frame.geometry.to_numpy()))
    columns_of = (texts("code"), texts("name"), texts("parent"), texts("source", given.source or ""))
    return Table(given.level, given.name, objects([int(row) + 1 for row in rows]), *columns_of, polygons, seats, about)


def _text(value: Any) -> str:
    """As text, "" for nothing. Whole numbers without the point that a table gives them."""
    if value is None or value != value:
        return ""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    text = str(value).strip()
    return text.partition(".")[0] if _NUMBER.fullmatch(text) else text


def _right(table: Table, given: Given, scheme: Scheme, faults: list[Fault]) -> Table:
    """The rows without an error, their rings mended, ascending by code."""
    before = len(faults)
    polygons = _mended(table, scheme, faults)
    table = dataclasses.replace(table, polygons=polygons)
    _check_texts(table, given, faults)
    bad = {fault.feature for fault in faults[before:] if fault.error}
    good = np.array([number for number, row in enumerate(table.features) if row not in bad], dtype=np.int64)
    return table.only(good[np.argsort(table.codes[good].astype(str), kind="stable")])


def _check_texts(table: Table, given: Given, faults: list[Fault]) -> None:
    first: dict[str, int] = {}
    for feature, code, name, source, polygon in zip(
        table.features, table.codes, table.names, table.sources, table.polygons, strict=True
    ):

        def fault(kind: str, what: str) -> None:
            faults.append(Fault(kind, True, table.level, table.file, what, feature, code[:_SHOWN], polygon))  # noqa: B023

        if not _CODE.fullmatch(code):
            fault("bad_code", f"{code[:_SHOWN]!r} is no code" if code else "a code, it has none")
        elif first.setdefault(code, feature) != feature:
            fault("duplicate_code", f"code {code} only once, feature {first[code]} has it")
        if not name:
            fault("no_name", "a name")
        if source not in SOURCES:
            meant = did_you_mean(source, SOURCES)
            fault("bad_source", f"source {source[:_SHOWN]!r} is none of {', '.join(SOURCES)}{meant}")


def _mended(table: Table, scheme: Scheme, faults: list[Fault]) -> Objects:
    """The polygons, None where there is none to work with."""
    shapes, kept = table.polygons, table.polygons.copy()

    def fault(
        row: int, kind: str, what: str, spot: Any = None, *, error: bool = True, area: float | None = None
    ) -> None:
        kept[row] = None if error else kept[row]
        about = (table.level, table.file, what, table.features[row], table.codes[row][:_SHOWN])
        faults.append(Fault(kind, error, *about, spot, area))

    nothing = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    bounds = shapely.bounds(shapes)
    degrees = ((bounds[:, :2] >= _LOW) & (bounds[:, 2:] <= _HIGH)).all(axis=1)
    polygonal = np.isin(shapely.get_type_id(shapes), _POLYGONS)
    for row in _rows(nothing):
        fault(row, "no_polygon", "a polygon that is not empty, with closed rings")
    for row in _rows(~nothing & ~polygonal):
        spot = shapes[row] if degrees[row] else None
        fault(row, "not_a_polygon", f"a Polygon or MultiPolygon, this is a {shapes[row].geom_type}", spot)
    for row in _rows(~nothing & polygonal & ~degrees):
        east, north = bounds[row][2:].tolist()
        fault(row, "no_degrees", f"WGS-84 degrees, longitude first; it reaches to {east:g}, {north:g}")
    _check_envelope(table, ~nothing & polygonal & degrees, bounds, scheme, fault, faults)
    left = ~shapely.is_missing(kept)
    left[left] = ~shapely.is_valid(kept[left])
    for row in _rows(left):
        _mend(row, kept, scheme, fault)
    return kept


def _rows(chosen: Any) -> list[int]:
    found: list[int] = np.flatnonzero(chosen).tolist()
    return found


def _check_envelope(table: Table, asked: Any, bounds: Any, scheme: Scheme, fault: Any, faults: list[Fault]) -> None:
    """Polygons of another city; one fault where all of a file are, as when its axes are exchanged."""
    west, south, east, north = scheme.envelope
    apart = (bounds[:, 0] > east) | (bounds[:, 2] < west) | (bounds[:, 1] > north) | (bounds[:, 3] < south)
    wanted = f"inside the envelope {list(scheme.envelope)}, it lies in "
    if asked.any() and apart[asked].all():
        lies = shapely.total_bounds(table.polygons[asked]).round(4).tolist()
        faults.append(Fault("elsewhere", True, table.level, table.file, f"{wanted}{lies}", spot=shapely.box(*lies)))
        return
    for row in _rows(asked & apart):
        fault(row, "elsewhere", f"{wanted}{bounds[row].round(4).tolist()}", table.polygons[row])


def _mend(row: int, kept: Objects, scheme: Scheme, fault: Any) -> None:
    """GEOS's own way of mending, taken where it moves little ground. The area that an invalid ring encloses counts
    what it goes round clockwise against the rest, so a bow tie encloses nothing."""
    before = kept[row]
    reason = shapely.is_valid_reason(before)
    after = shapely.make_valid(before, method="structure", keep_collapsed=False)
    place = _PLACE.search(reason)
    spot = shapely.Point(float(place[1]), float(place[2])) if place else None
    why = reason.partition("[")[0].strip()
    if shapely.is_empty(after) or shapely.get_dimensions(after) != 2:
        fault(row, "broken", f"a valid polygon ({reason}), nothing is left when it is mended", spot)
        return
    areas = shapely.area(shapely.transform(np.array([before, after]), lambda xy: _metres(xy, scheme.crs)))
    moved, kept[row] = abs(float(areas[1] - areas[0])), after
    if not moved <= SHARE * areas[1]:
        fault(row, "broken", f"a valid polygon ({reason}); mending would change too much ground", spot, area=moved)
    else:
        fault(row, "mended", f"{why}: mended", spot, error=False, area=moved)


def _metres(xy: np.ndarray[Any, Any], crs: str) -> np.ndarray[Any, Any]:
    return np.column_stack(project(xy[:, 0], xy[:, 1], "epsg:4326", crs))
