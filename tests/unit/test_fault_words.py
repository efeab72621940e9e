"""What is wrong with a boundary file is said in the reader's language, whatever it is: real faults of every kind."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import shapely
from plots import ENVELOPE, Plots, feature, write

from citybrain.city import City, load_city
from citybrain.console.maps import faultwords
from citybrain.console.texts import language
from geo.compile import Outcome, compile_files
from geo.fault import KINDS, Fault
from geo.reading import Given, Scheme, read

PLOTS = Plots()
SCHEME = Scheme(("county", "town"), "EPSG:4548", envelope=ENVELOPE)
SQUARE = PLOTS.rows[PLOTS.codes[0]][1]
CORNERS = shapely.get_coordinates(SQUARE)
STRIP = shapely.box(SQUARE.centroid.x, SQUARE.centroid.y, SQUARE.centroid.x + 1e-6, SQUARE.centroid.y + 2e-4)
NESTED = b'{"type": "FeatureCollection", "features": [{"a": ' + b"[" * 30 + b"]" * 30 + b"}]}"


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> City:
    return load_city(PLOTS.write(tmp_path_factory.mktemp("pack") / "plots"))


def compiled(folder: Path, towns: list[dict[str, Any]], **more: Any) -> Outcome:
    files = [
        Given(write(folder / "county.geojson", PLOTS.county_features()), "county", "county.geojson"),
        Given(write(folder / "town.geojson", towns), "town", "town.geojson"),
    ]
    return compile_files(files, PLOTS.divisions(), SCHEME, **more)


def of_features(folder: Path) -> Iterator[Fault]:
    """One wrong feature of each kind, and a file that belongs elsewhere."""
    bow_tie, spike = CORNERS[[0, 2, 1, 3, 0]], CORNERS[0] + (CORNERS[2] - CORNERS[0]) * 0.5
    wrong = [
        feature("1", None, name="a"),
        feature("2", SQUARE.centroid, name="b"),
        feature("3", shapely.box(500_000, 2_600_000, 500_100, 2_600_100), name="c"),
        feature("4", shapely.box(10, 10, 11, 11), name="d"),
        feature("5", shapely.Polygon(bow_tie), name="e"),
        feature("6", shapely.Polygon([CORNERS[0], spike, *CORNERS]), name="f"),
        feature("a,b", SQUARE, name="g"),
        feature("", SQUARE, name="h"),
        feature("6", SQUARE, name="i"),
        feature("7", SQUARE, name="") | {"properties": {"code": "7", "name": "", "source": "survey"}},
    ]
    yield from read(Given(write(folder / "wrong.geojson", wrong), "town", "wrong.geojson"), SCHEME)[1]
    levels = [feature("8", SQUARE, name="j", level="twon")]
    yield from read(Given(write(folder / "levels.geojson", levels), "", "levels.geojson"), SCHEME)[1]


def of_codes(folder: Path) -> Iterator[Fault]:
    towns = PLOTS.town_features()
    towns[0]["properties"]["code"], towns[1]["properties"]["code"] = "A", "unknown"
    yield from compiled(folder, towns, closed=True).faults
    towns[0]["properties"]["code"] = "C"
    yield from compiled(folder, towns, closed=True).faults
    towns[0]["properties"] |= {"code": "T000", "parent": "nowhere"}
    yield from compiled(folder, towns, closed=False).faults
    town = Given(write(folder / "town.geojson", PLOTS.town_features()), "town", "town.geojson")
    yield from compile_files([town, town], PLOTS.divisions(), SCHEME).faults


def of_ground(folder: Path) -> Iterator[Fault]:
    towns = PLOTS.town_features()
    towns[0] = feature(PLOTS.codes[0], SQUARE.difference(STRIP), name="k", parent="A")
    towns += [feature("S", STRIP, name="l", parent="A"), feature("L", SQUARE, name="m", parent="B")]
    yield from compiled(folder, towns, closed=False).faults
    base = compiled(folder, PLOTS.town_features()).compiled
    assert base is not None
    towns = PLOTS.town_features()
    towns[0]["properties"]["name"], towns[1]["properties"]["code"] = "新名", "N"
    towns[-1]["properties"]["parent"] = "A"
    yield from compiled(folder, towns, base=base.layers, closed=False).faults
    whole = shapely.coverage_union_all([shape for _, shape in PLOTS.rows.values()])
    middle = PLOTS.rows[PLOTS.codes[4]][1]
    ring = write(folder / "county.geojson", [feature("A", whole.difference(middle), name="A")])
    yield from compile_files([Given(ring, "county", "county.geojson")], PLOTS.divisions(), SCHEME).faults


def of_files(folder: Path) -> Iterator[Fault]:
    contents = {
        "empty": b"", "broken": b'{"type": "FeatureCollection", ', "other": b"\x89PNG", "nested": NESTED,
        "item": b'{"type": "FeatureCollection", "features": [{"type": "Point"}]}',
        "none": b'{"type": "FeatureCollection", "features": []}', "zip": b"PK\x03\x04 cut off",
    }  # fmt: skip
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    with zipfile.ZipFile(folder / "none.zip", "w") as archive:
        archive.writestr("readme.txt", "")
    with zipfile.ZipFile(folder / "part.zip", "w") as archive:
        archive.writestr("a.shp", "")
    for name in (*contents, "none.zip", "part.zip"):
        yield from read(Given(folder / name, "town", name), SCHEME)[1]
    columns = [{"type": "Feature", "properties": {"CODE": "1"}, "geometry": feature("1", SQUARE)["geometry"]}]
    path = write(folder / "columns.geojson", columns)
    yield from read(Given(path, "town", path.name), SCHEME)[1]
    yield from read(Given(path, "", path.name, {"code": "CODE", "name": "CODE"}, source="surveyed"), SCHEME)[1]


def test_every_kind_of_fault_is_said_in_chinese_and_english(city: City, tmp_path: Path) -> None:
    made = [each.as_dict() for part in (of_features, of_codes, of_ground, of_files) for each in part(tmp_path)]
    assert set(KINDS) - {each["kind"] for each in made} <= {"no_crs", "odd_code"}  # a Shapefile; a city of many
    said = {(each["kind"], each["what"]): faultwords.detail(each, city) for each in made}
    assert [what for what, told in said.items() if told is None] == []
    english = [told for told in said.values() if told and re.search(r"[a-z]{3,} [a-z]{2,} ", told)]
    assert english == []
    token = language.set("en")
    told = {faultwords.detail(each, city) or "" for each in made}
    language.reset(token)
    assert {"it shares ground with S", "in B until now, in A here"} <= told
    assert not [each for each in told if re.search(r"[，。：、（）]", each)]


@pytest.mark.parametrize(
    ("kind", "what", "told"),
    [
        ("no_crs", "it does not say its coordinate reference system", "文件没有注明坐标系"),
        ("no_crs", "its coordinates cannot be turned to WGS-84: no proj", "坐标无法换算为 WGS-84（no proj）"),
        (
            "bad_level",
            "level 'twon' is none of county, town; did you mean town?",
            "本市没有层级“twon”；是否应为 town？",
        ),
        ("mended", "Ring Self-intersection: mended", "边界与自身相碰，已自动修复"),
        ("overlap", "what a version to come may say", None),
        ("a_kind_to_come", "no overlap with T1", None),
    ],
)
def test_a_line_is_said_or_left_as_it_is(city: City, kind: str, what: str, told: str | None) -> None:
    assert faultwords.detail({"kind": kind, "what": what}, city) == told
