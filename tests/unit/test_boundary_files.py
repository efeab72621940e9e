"""Any common file of polygons is read, whatever its columns, encoding and coordinate system; a bad one is refused with
its reason, and nothing crashes."""

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import geopandas
import pytest
import shapely
from plots import ENVELOPE, Plots, collection, feature

from geo import unpacking
from geo.fault import Fault
from geo.reading import Given, Scheme, Table, read

PLOTS = Plots()
SCHEME = Scheme(("county", "town"), "EPSG:4548", envelope=ENVELOPE)
CHINESE = {"code": "区划代码", "name": "名称", "parent": "上级"}


def frame(crs: str = "EPSG:4326", columns: Any = CHINESE) -> Any:
    rows = [(code, f"第{code}镇", home, shape) for code, (home, shape) in PLOTS.rows.items()]
    names = [columns[what] for what in ("code", "name", "parent")]
    return geopandas.GeoDataFrame(rows, columns=[*names, "geometry"], crs="EPSG:4326").to_crs(crs)


def zipped(
    folder: Path, table: Any, encoding: str, *, without: tuple[str, ...] = (), cut: str = "", **more: str
) -> bytes:
    table.to_file(folder / "乡镇.shp", driver="ESRI Shapefile", encoding=encoding, engine="pyogrio")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.glob("乡镇.*")):
            raw = path.read_bytes()
            if path.suffix not in without:
                archive.writestr(f"数据/{path.name}", raw[: len(raw) // 2] if path.suffix == cut else raw)
        for suffix, text in more.items():
            archive.writestr(f"数据/乡镇.{suffix}", text)
    return out.getvalue()


def reading(folder: Path, raw: bytes, **said: Any) -> tuple[list[Table], list[Fault]]:
    path = folder / "sent"
    path.write_bytes(raw)
    return read(Given(path, "town", "sent", **{"source": "surveyed", "fields": CHINESE, **said}), SCHEME)


def is_whole(tables: list[Table], faults: list[Fault], apart: float = 1e-9) -> None:
    assert faults == []
    (table,) = tables
    assert table.codes.tolist() == PLOTS.codes
    assert table.names.tolist() == [f"第{code}镇" for code in PLOTS.codes]
    assert table.parents.tolist() == [home for home, _ in PLOTS.rows.values()]
    drawn = [shape for _, shape in PLOTS.rows.values()]
    assert all(one.hausdorff_distance(other) < apart for one, other in zip(table.polygons, drawn, strict=True))


@pytest.mark.parametrize(
    ("encoding", "cpg"), [("UTF-8", None), ("GBK", None), ("GBK", "UTF-8"), ("GBK", "936"), ("UTF-8", "GBK")]
)
def test_a_zipped_shapefile_is_read_in_its_real_encoding(tmp_path: Path, encoding: str, cpg: str | None) -> None:
    said = {"cpg": cpg} if cpg else {}
    is_whole(*reading(tmp_path, zipped(tmp_path, frame(), encoding, without=(".cpg",), **said)))


@pytest.mark.parametrize("crs", ["EPSG:4490", "EPSG:4548", "EPSG:4527", "EPSG:3857"])
def test_a_geopackage_in_another_coordinate_system_is_turned(tmp_path: Path, crs: str) -> None:
    frame(crs).to_file(tmp_path / "a.gpkg", layer="乡镇", driver="GPKG", engine="pyogrio")
    is_whole(*reading(tmp_path, (tmp_path / "a.gpkg").read_bytes()), apart=1e-8)


def test_a_file_without_a_coordinate_system_is_refused_unless_it_is_given(tmp_path: Path) -> None:
    bare = zipped(tmp_path, frame("EPSG:4548"), "UTF-8", without=(".prj",))
    tables, faults = reading(tmp_path, bare)
    assert ([fault.kind for fault in faults], tables) == (["no_crs"], [])
    is_whole(*reading(tmp_path, bare, crs="EPSG:4548"), apart=1e-8)


def test_codes_that_a_table_made_numbers_and_times_stay_codes(tmp_path: Path) -> None:
    shapes = [shape for _, shape in PLOTS.rows.values()]
    codes = [441402001, 441402002.0, "441402003", "T0101", "0012"]
    raw = collection([feature(code, shape, name="镇") for code, shape in zip(codes, shapes, strict=False)])
    tables, faults = reading(tmp_path, raw, fields={})
    assert faults == []
    assert set(tables[0].codes) == {"441402001", "441402002", "441402003", "T0101", "0012"}


def test_one_file_may_have_all_levels(tmp_path: Path) -> None:
    features = [feature(code, shape, name=code, 级别="县") for code, shape in PLOTS.counties().items()]
    features += [feature(code, shape, name=code, 级别="town") for code, (_, shape) in PLOTS.rows.items()]
    path = tmp_path / "all.geojson"
    path.write_bytes(collection([*features, feature("X", features and PLOTS.counties()["A"], name="X", 级别="州")]))
    tables, faults = read(Given(path, "", "all", {"level": "级别"}), SCHEME, {"县": "county"})
    assert {table.level: len(table) for table in tables} == {"county": 2, "town": 12}
    assert [(fault.kind, fault.feature) for fault in faults] == [("bad_level", 15)]


def nested(shape: Any) -> dict[str, Any]:
    return {"type": "GeometryCollection", "geometries": [json.loads(shapely.to_geojson(shape))]}


def deep(depth: int) -> bytes:
    inner = b'{"type":"GeometryCollection","geometries":[' * depth + b"]}" * depth
    head = b'{"type":"FeatureCollection","crs":{"a":{}},"features":[{"type":"Feature","properties":{},"geometry":null},'
    return head + b'{"type":"Feature","properties":{"code":"[[[["},"geometry":' + inner + b"}]}"


A_TOWN = PLOTS.rows["T0000"][1]
LINE = shapely.LineString([(116, 24), (116.1, 24.1)])
FAR = shapely.transform(A_TOWN, lambda xy: xy + 20)
METRES = shapely.transform(A_TOWN, lambda xy: xy * 10_000)
OPEN_RING = {"type": "Polygon", "coordinates": [[[116, 24], [116.1, 24], [116.1, 24.1]]]}


def as_features(*shapes: Any, **more: Any) -> bytes:
    good = feature("T0100", PLOTS.rows["T0100"][1], name="x")
    return collection([good, *(feature(f"T000{k}", shape, name="x", **more) for k, shape in enumerate(shapes))])


def with_geometry(drawn: Any) -> bytes:
    return collection([feature("T0100", A_TOWN, name="x"), feature("T0000", None, name="x") | {"geometry": drawn}])


BAD = {
    "empty file": (b"", "unreadable", None, "empty"),
    "no features": (collection([]), "unreadable", None, "at least one polygon"),
    "no polygons": (as_features(LINE), "not_a_polygon", 2, "LineString"),
    "a point": (as_features(shapely.Point(116, 24)), "not_a_polygon", 2, "Point"),
    "no geometry": (as_features(None), "no_polygon", 2, "not empty"),
    "an empty polygon": (as_features(shapely.Polygon()), "no_polygon", 2, "not empty"),
    "an open ring": (with_geometry(OPEN_RING), "no_polygon", 2, "closed"),
    "a collection": (with_geometry(nested(A_TOWN)), "not_a_polygon", 2, "Collection"),
    "metres said to be degrees": (as_features(METRES), "no_degrees", 2, "longitude"),
    "another city": (as_features(FAR), "elsewhere", 2, "envelope"),
    "no code": (as_features(A_TOWN).replace(b'"T0000"', b'""'), "bad_code", 2, "none"),
    "a malformed code": (as_features(A_TOWN).replace(b'"T0000"', b'"T 00; DROP"'), "bad_code", 2, "no code"),
    "a list for a code": (as_features(A_TOWN).replace(b'"T0000"', b"[1, 2]"), "bad_code", 2, "no code"),
    "the same code": (as_features(A_TOWN).replace(b'"T0000"', b'"T0100"'), "duplicate_code", 2, "only once"),
    "no name": (as_features(A_TOWN, level="").replace(b'"name": "x", "level"', b'"level"'), "no_name", 2, "a name"),
    "another source": (as_features(A_TOWN).replace(b'"T0000", "source": "surveyed"', b'"T0000", "source": "made up"'),
                       "bad_source", 2, "made up"),
    "half written": (as_features(A_TOWN)[:-40], "unreadable", None, "no readable GeoJSON"),
    "no json": (b"\x00\x01\x02 nothing", "unreadable", None, "no readable GeoJSON"),
    "another document": (b'{"type": "Topology"}', "unreadable", None, "FeatureCollection"),
    "nested": (deep(40), "unreadable", 2, "nested"),
    "nested too deep for any parser": (deep(20_000), "unreadable", 2, "nested"),
    "a damaged zip": (b"PK\x03\x04 no zip", "unreadable", None, "zip"),
    "half a GeoPackage": (b"SQLite format 3\0" + bytes(5_000), "unreadable", None, "readable"),
    "not a number": (as_features(A_TOWN).replace(b"116.0", b"NaN", 1), "unreadable", None, "no readable GeoJSON"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_used_is_told_by_feature_and_reason(tmp_path: Path, case: str) -> None:
    raw, kind, number, why = BAD[case]
    _, faults = reading(tmp_path, raw, fields={})
    assert [(fault.kind, fault.feature, fault.error) for fault in faults] == [(kind, number, True)]
    assert why in faults[0].what
    assert faults[0].remedy


@pytest.mark.parametrize("part", [".shp", ".shx", ".dbf"])
def test_half_a_shapefile_is_refused(tmp_path: Path, part: str) -> None:
    tables, faults = reading(tmp_path, zipped(tmp_path, frame(), "UTF-8", cut=part))
    assert (tables, [fault.kind for fault in faults]) == ([], ["unreadable"])
    assert f"{part} is half written" in faults[0].what
    _, faults = reading(tmp_path, zipped(tmp_path, frame(), "UTF-8", without=(part,)))
    assert [fault.kind for fault in faults] == ["unreadable"]


def test_half_a_geopackage_is_refused(tmp_path: Path) -> None:
    frame().to_file(tmp_path / "a.gpkg", driver="GPKG", engine="pyogrio")
    raw = (tmp_path / "a.gpkg").read_bytes()
    tables, faults = reading(tmp_path, raw[:-4_096])
    assert (tables, [fault.kind for fault in faults]) == ([], ["unreadable"])
    assert "half written" in faults[0].what


def test_a_zip_is_counted_while_it_is_inflated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MOST_BYTES", 4 << 20)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for suffix in (".shp", ".shx", ".dbf"):
            archive.writestr(f"bomb{suffix}", bytes(8 << 20))
    raw = out.getvalue()
    lying = raw.replace(struct.pack("<I", 8 << 20), struct.pack("<I", 100))  # whatever the headers say
    for sent in (raw, lying):
        tables, faults = reading(tmp_path, sent)
        assert (tables, [fault.kind for fault in faults]) == ([], ["unreadable"])


def test_columns_that_are_not_there_are_named_with_those_that_are(tmp_path: Path) -> None:
    _, faults = reading(tmp_path, as_features(A_TOWN), fields={"code": "cod"})
    assert faults[0].kind == "no_field"
    assert faults[0].what == "no column cod; did you mean code?; found code, source, name"


def test_every_fault_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    raw = json.loads(as_features(LINE, None, FAR, A_TOWN))
    raw["features"][4]["properties"]["code"] = "T0100"
    _, faults = reading(tmp_path, json.dumps(raw).encode(), fields={})
    assert {(fault.kind, fault.feature) for fault in faults} == {
        ("not_a_polygon", 2), ("no_polygon", 3), ("elsewhere", 4), ("duplicate_code", 5)
    }  # fmt: skip
