"""A city pack is checked whole: every mistake by file, item and expectation, and a scaffold that is right at once."""

# ruff: noqa: E501 - a mistake and what is told of it, a line each
import json
import shutil
from pathlib import Path

import pytest
from serving import EDITIONS

from citybrain.city import check_city, load_city
from citybrain.commands.check import check_pack, check_packs
from citybrain.commands.scaffold import new_city, new_domain
from citybrain.config import Config
from citybrain.domain import Folder, load_folder
from citybrain.routing.proof import prove_examples
from geo.mistake import Mistakes

BALTIMORE = Path(__file__).parents[1] / "cities" / "baltimore"
BUILT_IN = ["emergency", "environment", "fire", "grid", "market", "water"]


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """With the pack's own domain alone in use: the built-in ones are proved elsewhere, and would be in every test."""
    pack = Path(shutil.copytree(BALTIMORE, tmp_path / "pack", ignore=shutil.ignore_patterns("requests.csv")))
    change(pack / "city.toml", "[coverage]", f"[domains]\noff = {json.dumps(BUILT_IN)}\n\n[coverage]")
    return pack


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def checked(pack: Path) -> tuple[list[str], bool]:
    config = Config(data=EDITIONS.parent, city=pack, database_url="", redis_url=None)
    lines, good = check_packs(config)
    return [line.removeprefix("mistake: ") for line in lines if line.startswith("mistake: ")], good


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("city.toml", "version = 1", "version = 2", "city.toml: pack.version: 1, the version of packs that this software reads, found 2"),
        ("city.toml", "town = {", "twon = {", "city.toml: levels.twon: an unknown key; known are cell, county, nested, town, village; did you mean town?"),
        ("city.toml", "America/New_York", "America/New_Yrok", "did you mean America/New_York?"),
        ("city.toml", "[-76.72, 39.19, -76.52, 39.38]", "[39.19, -76.72, 39.38, -76.52]", "county.geojson: the file: inside the envelope"),
        ("city.toml", "[-76.72, 39.19, -76.52, 39.38]", "[-76.72, 39.19]", "city.toml: city.envelope: four degrees: west, south, east, north"),
        ("city.toml", "EPSG:26985", "EPSG:4326", "city.toml: crs 'EPSG:4326': a projected system in metres, this is WGS 84"),
        ("city.toml", "allow = []", 'allow = ["10.20.0.0/16", "10.20.0.1/16"]', "city.toml: webhooks.allow[2]"),
        ("city.toml", "allow = []", 'allow = ["intranet"]', "city.toml: webhooks.allow[1]"),
        ("city.toml", 'code = "24510"', 'code = "24501"', "city.toml: city.code: a city of divisions.csv, found 24501; did you mean 24510?"),
        ("divisions.csv", "code,name,level,parent_code", "code,name,parent_code", "divisions.csv: the header: code,name,level,parent_code, found code,name,parent_code"),
        ("divisions.csv", "CD-02,Council District 2,", "CD-01,Council District 2,", "code CD-01 only once"),
        ("divisions.csv", "PD-E,Eastern Police District,town,24510", "PD-E,Eastern Police District,town,24150", "divisions.csv: PD-E: parent_code '24150' in the file; did you mean 24510?"),
        ("divisions.csv", "Central Police District,town", "Central Police District,twon", "level 'twon' is none of city, county, town, village, cell; did you mean town?"),
        ("departments.toml", 'divisions = ["24510"]', 'divisions = ["CD-1"]', "departments.toml: DPW: divisions of this city, found CD-1; did you mean CD-1"),
        ("departments.toml", 'parent = "DPW"', 'parent = "DWP"', "departments.toml: DPW-SW: a parent in this file, found DWP; did you mean DPW?"),
        ("calendar.csv", "2024-01-01,holiday", "2024-01-01,holliday", "calendar.csv: line 2: holiday or workday, found 'holliday'; did you mean holiday?"),
        ("city.toml", 'name = "Neighborhood"', 'name = " "', "city.toml: levels.village.name: a text that is not empty, found ' '"),
        ("city.toml", "2019-01-01", "2019-13-01", "city.toml: city.boundaries_date: a date such as 2026-01-01, found '2019-13-01'"),
        ("city.toml", "08:30-16:30", "16:30-08:30", "city.toml: working_time.hours[1]: hours such as 08:30-17:00"),
        ("city.toml", '["mon", "tue", "wed", "thu", "fri"]', "[]", "city.toml: working_time.days: at least 1 item"),
        ("city.toml", "[pack]\nversion = 1", "pack = 1", "city.toml: pack: a table, found 1"),
        ("city.toml", "nested = false", "nested = true", "city.toml: levels.nested: false, or parents of level county in divisions.csv: no division of level town has one"),
        ("city.toml", "[coverage]", "[casework]\nretruns = 3\n[coverage]", "city.toml: casework.retruns: an unknown key; known are acceptance_minutes, appeal_days"),
        ("city.toml", "[coverage]", "[casework.extension]\nmost = -1\n[coverage]", "city.toml: casework.extension.most: greater than or equal to 0, found -1"),
        ("city.toml", "[coverage]", '[casework.duties]\nclerk = ["flie"]\n[coverage]', "city.toml: casework.duties.clerk[1]:"),
        ("city.toml", "[coverage]", '[casework.duties]\nclerk = ["flie"]\n[coverage]', "did you mean file?"),
        ("city.toml", "[coverage]", '[casework]\nthresholds = [{ code = "a", name = "a", left = 0 }, { code = "b", name = "b", left = 0.5 }]\n[coverage]', "city.toml: casework: thresholds in the order in which they come"),
        ("city.toml", "[coverage]", '[casework]\nthresholds = [{ code = "a", name = "a" }]\n[coverage]', "city.toml: casework.thresholds[1]: either `left` or `past`"),
        ("divisions.csv", "CD-01,", "X,Another city,city,\nCD-01,", "divisions.csv: level city: one row, that of city.toml, found X too"),
        ("divisions.csv", "CD-01,", "no-town,", "divisions.csv: no-town: another code: this word asks for what has no division"),
        ("calendar.csv", "2024-01-01,holiday", "2024-01-01,holiday,all day", "calendar.csv: line 2: 2 columns, found 2024-01-01,holiday,all day"),
        ("calendar.csv", "2024-01-01,holiday", "# a remark\n2024-01-01,holliday", "calendar.csv: line 3: holiday or workday, found 'holliday'"),
        ("departments.toml", 'name = "', 'nam = "', "departments.toml: DPW: nam: an unknown key"),
        ("domains/service311/domain.toml", "grade = 4", "grade = 7", "domains/service311/domain.toml: type[1].grade: less than or equal to 4, found 7"),
        ("boundaries/town.geojson", '"code":"PD-C"', '"code":"PD-X"', "town.geojson: feature 1 (PD-X): a town of divisions.csv; did you mean PD-"),
    ],
)  # fmt: skip
def test_mistake_is_told_with_file_item_and_expectation(pack: Path, file: str, old: str, new: str, told: str) -> None:
    change(pack / file, old, new)
    mistakes, good = checked(pack)
    assert not good
    assert [line for line in mistakes if told in line], mistakes


def test_the_unbroken_pack_is_right(pack: Path) -> None:
    assert checked(pack) == ([], True)


@pytest.mark.parametrize("file", ["city.toml", "divisions.csv", "departments.toml", "boundaries/town.geojson"])
def test_missing_file_is_one_mistake_and_not_one_of_every_row(pack: Path, file: str) -> None:
    (pack / file).unlink()
    mistakes, good = checked(pack)
    assert not good
    assert [line.split(": ")[:2] for line in mistakes] == [[file, "the file"]]


def test_one_mistake_hides_no_other_and_makes_none(pack: Path) -> None:
    change(pack / "city.toml", "snap_m = 50", "snap_m = -1")
    change(pack / "city.toml", 'code = "24510"', 'code = "24501"')
    change(pack / "city.toml", '"water"', '"watr"')
    change(pack / "departments.toml", 'name = "', 'nam = "')  # of DPW, which is the parent of two others
    change(pack / "departments.toml", 'code = "DOT"', 'code = "DOT"\nparent = "DPU"')
    change(pack / "domains" / "service311" / "domain.toml", "grade = 4", "grade = 7")
    told = {tuple(line.removeprefix(f"{pack}/").split(": ")[:2]) for line in checked(pack)[0]}
    assert told == {
        ("city.toml", "city.code"), ("city.toml", "city.snap_m"), ("city.toml", "domains.off"),
        ("departments.toml", "DPW"), ("departments.toml", "DOT"),
        ("domains/service311/domain.toml", "type[1].grade"),
    }  # fmt: skip


def test_files_in_another_encoding_are_mistakes_and_not_crashes(pack: Path) -> None:
    for file in ("city.toml", "divisions.csv", "departments.toml", "industries.toml", "calendar.csv"):
        (pack / file).write_bytes("# größer\n".encode("latin1"))
    files = {line.split(": ")[0]: line.split(": ")[1] for line in checked(pack)[0]}
    assert files == dict.fromkeys(
        ("city.toml", "divisions.csv", "departments.toml", "industries.toml", "calendar.csv"), "the file"
    )


def test_a_byte_order_mark_is_no_mistake(pack: Path) -> None:
    for file in ("city.toml", "divisions.csv", "departments.toml", "industries.toml", "calendar.csv"):
        (pack / file).write_bytes(b"\xef\xbb\xbf" + (pack / file).read_bytes())
    assert checked(pack) == ([], True)


def test_polygons_with_other_fields_are_told_which_are_meant(pack: Path) -> None:
    path = pack / "boundaries" / "county.geojson"
    path.write_text(path.read_text().replace('"code":', '"label":'))
    assert "county.geojson: the file: no column code; found label, name, source" in checked(pack)[0]


def test_boundaries_of_a_level_that_the_city_lacks_are_named(pack: Path) -> None:
    (pack / "boundaries" / "county.geojson").rename(pack / "boundaries" / "conty.geojson")
    mistakes, _ = checked(pack)
    told = "boundaries/conty.geojson: its name: a level of city.toml (county, town, village); did you mean county?"
    assert told in mistakes


def test_mistakes_in_all_files_are_told_at_once(pack: Path) -> None:
    change(pack / "city.toml", "America/New_York", "New York")
    change(pack / "divisions.csv", "CD-03,Council District 3,county", "CD-03,Council District 3,conty")
    change(pack / "departments.toml", 'parent = "DPW"', 'parent = "DWP"')
    change(pack / "calendar.csv", "2024-01-15", "2024-15-01")
    change(pack / "boundaries" / "village.geojson", '"source":"published"', '"source":"publisht"')
    files = {line.split(":")[0] for line in checked(pack)[0]}
    broken = {"city.toml", "divisions.csv", "departments.toml", "calendar.csv", "village.geojson", "county.geojson"}
    assert files >= broken


def test_levels_and_divisions_must_speak_of_the_same(pack: Path) -> None:
    change(pack / "city.toml", 'village = { name = "Neighborhood", name_en = "Neighborhood" }', "")
    mistakes, _ = checked(pack)
    assert [line for line in mistakes if line.startswith("city.toml: levels.village: village = { name")]


def test_pack_without_a_version_is_one_of_the_first(pack: Path) -> None:
    change(pack / "city.toml", "[pack]\nversion = 1\n", "")
    assert load_city(pack).file.pack.version == 1


def test_scaffold_with_an_envelope_is_right_at_once(tmp_path: Path) -> None:
    for name, nested in (("nested", True), ("flat", False)):
        levels = {"county": "Ward", "town": "Precinct", "village": 'Block, "old"'}
        new_city(tmp_path / name, name="Springfield", code="S", timezone="America/New_York", levels=levels,
                 nested=nested, box=(-72.7, 42.0, -72.4, 42.2), domains=["grid"])  # fmt: skip
        mistakes, good = checked(tmp_path / name)
        assert (mistakes, good) == ([], True)
        city = load_city(tmp_path / name)
        assert city.file.city.crs == "EPSG:32618"
        place = city.locator(tmp_path / "editions").locate([-72.5], [42.1])[0]
        assert place.codes == {"county": "C1", "town": "T1", "village": "V1", "cell": None}


def test_scaffold_without_knowledge_is_explained_step_by_step(tmp_path: Path) -> None:
    new_city(tmp_path / "new", name="X", code="X", timezone="", levels={"county": "Ward"}, nested=True, box=None, domains=["grid"])  # fmt: skip
    items = {tuple(line.split(": ")[:2]) for line in checked(tmp_path / "new")[0]}
    assert items == {
        ("city.toml", "city.timezone"), ("city.toml", "city.envelope"), ("city.toml", "crs ''"),
        ("boundaries/county.geojson", "the file"),
    }  # fmt: skip


def test_scaffold_never_writes_over_anything(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(Mistakes, match="nothing was written"):
        new_domain(tmp_path, name="a", name_en="a", duty="")
    assert (tmp_path / "mine").read_text() == "kept"


def test_new_domain_proves_its_example(tmp_path: Path) -> None:
    new_domain(tmp_path / "parks", name="公园", name_en="Parks", duty="landscaping")
    domain, mistakes = load_folder(Folder(tmp_path / "parks", "citybrain_domain_parks", "named"))
    assert domain is not None
    assert [*mistakes, *prove_examples({"parks": domain})] == []


def test_new_domain_of_a_pack_is_data_alone_and_found_with_it(tmp_path: Path) -> None:
    new_city(tmp_path / "s", name="S", code="S", timezone="America/New_York", levels={"county": "Ward"}, nested=True,
             box=(-72.7, 42.0, -72.4, 42.2), domains=["grid"])  # fmt: skip
    told = new_domain(tmp_path / "s" / "domains" / "parks", name="公园", name_en="Parks", duty="landscaping")
    assert [path.name for path in (tmp_path / "s" / "domains" / "parks").iterdir()] == ["domain.toml"]
    assert told[-1] == f"next: citybrain check --city {tmp_path / 's'}"
    assert checked(tmp_path / "s") == ([], True)
    change(tmp_path / "s" / "city.toml", "[coverage]", '[domains]\noff = ["parks", "parcs"]\n\n[coverage]')
    assert checked(tmp_path / "s")[0] == ["city.toml: domains.off: installed domains, found parcs; did you mean parks?"]


def test_built_in_city_names_its_version() -> None:
    city, mistakes = check_pack(Path(__file__).parents[2] / "citybrain" / "cities" / "meizhou")
    assert city is not None
    assert (mistakes, city.file.pack.version) == ([], 1)
    assert check_city(Path("/nowhere"))[0] is None
