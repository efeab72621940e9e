"""An edition is read whole or refused with every mistake, compiled once, and loaded from the cache in a moment."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import shapely

from geo.divisions import read_divisions
from geo.edition import load_edition, stored_edition
from geo.mistake import Mistakes
from geo.reading import Scheme

PACK = Path(__file__).parents[2] / "citybrain/cities/meizhou"
ROWS = """code,name,level,parent_code
C,Harbour,city,
W1,West,county,C
W2,East,county,C
T1,Docks,town,W1
T2,Hill,town,W2
"""


def feature(code, polygon, name="somewhere", source="surveyed"):
    about = {"code": code, "name": name, "source": source}
    return {"type": "Feature", "properties": about, "geometry": json.loads(shapely.to_geojson(polygon))}


def write_pack(folder, **layers):
    (folder / "boundaries").mkdir(parents=True, exist_ok=True)
    (folder / "divisions.csv").write_text(ROWS, encoding="utf-8")
    for level, features in layers.items():
        text = json.dumps({"type": "FeatureCollection", "features": features})
        (folder / f"boundaries/{level}.geojson").write_text(text, encoding="utf-8")
    return folder


def load(pack, levels=("county", "town"), **settings):
    scheme = Scheme(tuple(levels), **{"crs": "EPSG:4548", **settings})
    return load_edition(
        pack, read_divisions(pack / "divisions.csv"), scheme, cache_dir=pack / "cache", dated="2026-01-01"
    )


WEST, EAST = shapely.box(116, 24, 116.5, 25), shapely.box(116.5, 24, 117, 25)
COUNTIES = [feature("W2", EAST), feature("W1", WEST)]
TOWNS = [feature("T1", WEST), feature("T2", EAST)]


@pytest.fixture
def pack(tmp_path):
    return write_pack(tmp_path, county=COUNTIES, town=TOWNS)


def mistakes_of(pack, **settings):
    with pytest.raises(Mistakes) as caught:
        load(pack, **settings)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_layers_come_coarse_to_fine_and_by_code(pack):
    edition = load(pack)
    assert list(edition.layers) == ["county", "town"]
    assert edition.layers["county"].codes.tolist() == ["W1", "W2"]
    assert edition.layers["town"].parents.tolist() == ["W1", "W2"]
    assert edition.findings == ()


def test_the_same_inputs_are_the_same_edition_and_others_are_not(pack):
    first = load(pack)
    assert load(pack).id == first.id
    assert first.id.startswith("2026-01-01-")
    write_pack(pack, town=[feature("T1", WEST, name="renamed"), TOWNS[1]])
    assert load(pack).id != first.id


def test_the_cache_gives_back_what_was_compiled(pack):
    compiled, cached = load(pack), load(pack)
    for level, layer in compiled.layers.items():
        again = cached.layers[level]
        for field in ("codes", "names", "sources", "parents"):
            assert getattr(layer, field).tolist() == getattr(again, field).tolist()
        assert shapely.equals_exact(layer.polygons, again.polygons, 0).all()
        assert shapely.equals_exact(layer.projected, again.projected, 0).all()


def test_an_edition_can_be_opened_by_its_id_after_the_pack_has_another(pack):
    first = load(pack)
    (pack / "divisions.csv").write_text(ROWS.replace("Docks", "Quays"), encoding="utf-8")
    second = load(pack)
    assert first.id != second.id
    for edition, name in ((first, "Docks"), (second, "Quays")):
        again, divisions = stored_edition(pack / "cache", edition.id)
        assert (again.id, again.date, again.crs, again.nested) == (edition.id, "2026-01-01", "EPSG:4548", True)
        assert again.layers["town"].codes.tolist() == ["T1", "T2"]
        assert divisions.get("T1").name == name
        assert divisions.path("T1") == {"city": "C", "county": "W1", "town": "T1"}


@pytest.mark.parametrize("id_", ["2026-01-01-00000000", "2026-01-01-*", "..", "", "2026-01-01-../../etc"])
def test_an_edition_that_is_not_there_is_none(pack, id_):
    load(pack)
    assert stored_edition(pack / "cache", id_) is None


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other"])
def test_a_corrupt_cache_is_rebuilt(pack, damage):
    first = load(pack)
    (path,) = (pack / "cache").glob("*.npz")
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(
        {
            "cut": whole[:middle],
            "flip": whole[:middle] + bytes(byte ^ 0xFF for byte in whole[middle : middle + 64]) + whole[middle + 64 :],
            "empty": b"",
            "other": b"PK\x03\x04 not an archive",
        }[damage]
    )
    assert load(pack).id == first.id
    assert load(pack).layers["town"].codes.tolist() == ["T1", "T2"]
    assert path.read_bytes() == whole or len(path.read_bytes()) == len(whole)
    assert [found.name for found in (pack / "cache").iterdir()] == [path.name]


def test_every_unusable_polygon_is_reported_at_once(tmp_path):
    bow_tie = shapely.Polygon([(116, 24), (117, 25), (117, 24), (116, 25)])
    wrong = [
        feature("W1", WEST),
        feature("W1", EAST),
        feature("W3", EAST),
        feature("W2", bow_tie, source="guessed"),
        feature("W2", shapely.LineString([(116, 24), (117, 25)])),
        feature("W2", shapely.box(400_000, 2_600_000, 410_000, 2_610_000), name=None),
    ]
    told = mistakes_of(write_pack(tmp_path, county=wrong, town=TOWNS))
    for what in (
        "only once",
        "a county of divisions.csv",
        "a valid polygon (Self-intersection",
        "source 'guessed'",
        "LineString",
        "WGS-84 degrees",
        "a name",
    ):
        assert any(what in line for line in told), what


def test_missing_files_fields_and_levels_are_mistakes(tmp_path):
    write_pack(tmp_path, town=[{"type": "Feature", "properties": {"code": "T1"}, "geometry": None}])
    assert any("county.geojson" in line for line in mistakes_of(tmp_path))
    assert any("name, source" in line for line in mistakes_of(tmp_path, levels=("town",)))
    assert any("did you mean town" in line for line in mistakes_of(tmp_path, levels=("towns",)))
    (tmp_path / "boundaries/town.geojson").write_text("{not json")
    assert any("no readable GeoJSON" in line for line in mistakes_of(tmp_path, levels=("town",)))


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:2248", "EPSG:0", "mars"])
def test_a_city_without_a_metric_projection_is_refused(pack, crs):
    assert any("crs" in line for line in mistakes_of(pack, crs=crs))


def test_small_overlaps_and_strays_and_any_gaps_are_findings_that_do_not_stop_the_edition(tmp_path):
    wide = shapely.box(116.4995, 24, 117.0005, 24.9)
    edition = load(write_pack(tmp_path, county=COUNTIES, town=[feature("T1", WEST), feature("T2", wide)]))
    told = [str(finding.as_mistake()) for finding in edition.findings]
    assert any("no overlap with T2" in line for line in told)
    assert any("(T2): ground inside its parent's" in line for line in told)
    assert any("W2: its children to fill its ground" in line for line in told)
    assert load(tmp_path).findings == edition.findings


def test_a_city_whose_levels_do_not_nest_has_no_parents_and_no_strays(tmp_path):
    edition = load(
        write_pack(tmp_path, county=COUNTIES, town=[feature("T1", shapely.box(116, 24, 117, 25))]), nested=False
    )
    assert edition.findings == ()
    assert not edition.nested


def test_cells_of_a_real_city_need_no_divisions_and_find_their_parents(tmp_path):
    cells = [feature("c-2", EAST), feature("c-1", WEST)]
    edition = load(write_pack(tmp_path, county=COUNTIES, town=TOWNS, cell=cells), levels=("county", "town", "cell"))
    assert edition.layers["cell"].parents.tolist() == ["T1", "T2"]


@pytest.fixture(scope="module")
def meizhou_cache(tmp_path_factory):
    cache = tmp_path_factory.mktemp("meizhou")
    levels = ("county", "town", "village", "cell")
    divisions = read_divisions(PACK / "divisions.csv")
    edition = load_edition(PACK, divisions, Scheme(levels, "EPSG:4548", drawn=True), cache_dir=cache)
    return edition, cache


def test_meizhou_is_complete_and_every_level_is_exactly_the_union_of_the_next(meizhou_cache):
    edition, _ = meizhou_cache
    assert edition.findings == ()
    assert {level: len(layer) for level, layer in edition.layers.items()} == {
        "county": 8,
        "town": 114,
        "village": 2233,
        "cell": len(edition.finest),
    }
    areas = [shapely.area(layer.polygons).sum() for layer in edition.layers.values()]
    assert np.ptp(areas) < 1e-9
    assert all(shapely.coverage_is_valid(layer.polygons) for layer in edition.layers.values())
    assert set(edition.finest.sources) == {"generated"}
    assert set(edition.layers["town"].sources) == {"approximate"}


def test_drawing_cells_moves_no_given_border(meizhou_cache):
    edition, _ = meizhou_cache
    given = json.loads((PACK / "boundaries/county.geojson").read_text(encoding="utf-8"))["features"]
    for polygon, before in zip(edition.layers["county"].polygons, given, strict=True):
        moved = shapely.hausdorff_distance(polygon, shapely.from_geojson(json.dumps(before["geometry"])))
        assert moved < 1e-8


def test_a_warm_start_is_quick_and_imports_neither_geopandas_nor_pandas(meizhou_cache):
    edition, cache = meizhou_cache
    script = f"""
import sys
from pathlib import Path
from geo.divisions import read_divisions
from geo.edition import load_edition
from geo.reading import Scheme
pack = Path({str(PACK)!r})
scheme = Scheme(("county", "town", "village", "cell"), "EPSG:4548", drawn=True)
edition = load_edition(pack, read_divisions(pack / "divisions.csv"), scheme, cache_dir=Path({str(cache)!r}))
print(edition.id, [name for name in ("geopandas", "pandas", "pyogrio") if name in sys.modules])
"""
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == f"{edition.id} []"
