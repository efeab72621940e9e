"""Facts about departments: who answers for what where, series of rows, and what a city's file may not say."""

from pathlib import Path

import pytest

from citybrain.domain import load_domains
from citybrain.routing.departments import Department, check_departments, load_departments
from citybrain.routing.responsibility import Responsibility, unassigned
from geo.divisions import Division, Divisions, read_divisions
from geo.mistake import Mistakes

MEIZHOU = Path(__file__).parents[2] / "citybrain" / "cities" / "meizhou"
TREE = Divisions(
    [
        Division("C", "城市", "city", ""),
        Division("A", "甲区", "county", "C"),
        Division("B", "乙县", "county", "C"),
        Division("A1", "一镇", "town", "A"),
        Division("A2", "二镇", "town", "A"),
        Division("B1", "三镇", "town", "B"),
    ]
)
CITY = '[[department]]\ncode="c"\nname="市局"\nname_en="C"\nlevel="city"\ndivisions=["C"]\ndomains=["fire"]\n'
COUNTY = (
    '[[department]]\ncode="{division}-f"\nname="{name}大队"\nname_en="F"\nlevel="county"\neach="county"\n'
    'domains=["fire"]\nparent="c"\n'
)
TOWNS = (
    '[[department]]\ncode="{division}-{domain}"\nname="{parent_name}{name}办"\nname_en="T"\nlevel="town"\neach="town"\n'
    'skip=["A2"]\ndomains=["fire", "grid"]\nparent="{parent}-f"\n'
)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "departments.toml"
    path.write_text(text, encoding="utf-8")
    return path


def responsibility(tmp_path: Path, text: str) -> Responsibility:
    return Responsibility(load_departments(write(tmp_path, text), TREE).values())


def mistakes(tmp_path: Path, text: str) -> str:
    return "\n".join(map(str, check_departments(write(tmp_path, text), TREE)[1]))


def test_a_row_may_stand_for_one_department_in_every_division(tmp_path: Path) -> None:
    found = load_departments(write(tmp_path, CITY + COUNTY + TOWNS), TREE)
    assert sorted(found) == ["A-f", "A1-fire", "A1-grid", "B-f", "B1-fire", "B1-grid", "c"]
    assert (found["A1-grid"].name, found["A1-grid"].parent) == ("甲区一镇办", "A-f")


def test_without_duties_a_department_answers_for_its_domains(tmp_path: Path) -> None:
    assert load_departments(write(tmp_path, CITY), TREE)["c"].duties == ("fire",)


def test_the_preferred_level_answers_else_the_next_one_up(tmp_path: Path) -> None:
    here = responsibility(tmp_path, CITY + COUNTY + TOWNS)

    def lead(level: str, **codes: str) -> str | None:
        return here.assign("fire", (), "fire", level, codes).lead

    assert lead("town", county="A", town="A1") == "A1-fire"
    assert lead("town", county="A", town="A2") == "A-f"
    assert lead("county", county="A", town="A1") == "A-f"
    assert lead("city", county="A", town="A1") == "c"
    assert lead("town", county="A") == "A-f"


def test_the_city_answers_although_a_place_does_not_name_the_city(tmp_path: Path) -> None:
    assert responsibility(tmp_path, CITY).assign("fire", (), "fire", "town", {"county": "B", "town": "B1"}).lead == "c"


def test_nobody_is_responsible_by_default(tmp_path: Path) -> None:
    here = responsibility(tmp_path, CITY)
    assert here.assign("water", (), "water", "town", {"county": "A"}).lead is None
    assert here.assign("fire", (), "fire", "town", {"county": "Z"}).lead is None


def test_a_department_listed_for_a_domain_has_the_duties_nobody_names(tmp_path: Path) -> None:
    here = responsibility(tmp_path, CITY)
    assert here.assign("hydrants", (), "fire", "county", {"county": "A"}).lead == "c"
    named = (
        CITY
        + '[[department]]\ncode="h"\nname="栓"\nname_en="H"\nlevel="county"\ndivisions=["B"]\nduties=["hydrants"]\n'
    )
    assert responsibility(tmp_path, named).assign("hydrants", (), "fire", "county", {"county": "A"}).lead is None


def test_the_chain_of_levels_tried_is_told(tmp_path: Path) -> None:
    tried = responsibility(tmp_path, CITY).assign("fire", (), "fire", "town", {"county": "B", "town": "B1"}).explanation
    assert [(step["level"], step["department"]) for step in tried["tried"]] == [
        ("town", None),
        ("county", None),
        ("city", "c"),
    ]


def test_two_departments_of_one_level_for_one_duty_and_place_are_a_mistake(tmp_path: Path) -> None:
    twin = CITY.replace('"c"', '"d"')
    assert "c claims it too" in mistakes(tmp_path, CITY + twin)
    above = CITY.replace('"c"', '"d"').replace('["C"]', '["A"]')
    assert "claims it with C" in mistakes(tmp_path, CITY + above)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (('divisions=["C"]', 'divisions=["X"]'), "divisions of this city, found X"),
        (('divisions=["C"]', ""), "either `divisions` or `each`"),
        (('level="city"', 'level="cty"'), "did you mean city?"),
        (("domains=", "domain="), "did you mean domains?"),
        (('domains=["fire"]', 'domains=["fire"]\nparent="cc"'), "did you mean c?"),
        (('domains=["fire"]', 'domains=["fire"]\nparent="c"'), "not below it"),
        (('level="city"', 'level="county"'), "C is a city"),
    ],
)
def test_what_a_row_may_not_say(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    assert expected in mistakes(tmp_path, CITY.replace(*change))


def test_a_template_with_an_unknown_word_is_a_mistake(tmp_path: Path) -> None:
    assert "{division}" in mistakes(tmp_path, CITY + COUNTY.replace("{name}", "{nam}"))


def test_every_code_occurs_once(tmp_path: Path) -> None:
    assert "each code only once" in mistakes(tmp_path, CITY + COUNTY.replace("{division}-f", "same"))


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    with pytest.raises(Mistakes) as caught:
        load_departments(write(tmp_path, CITY.replace('"C"', '"X"') + COUNTY.replace('parent="c"', 'parent="k"')), TREE)
    assert len(caught.value.mistakes) == 3


def test_in_meizhou_every_type_has_a_department_everywhere() -> None:
    divisions = read_divisions(MEIZHOU / "divisions.csv")
    here = Responsibility(load_departments(MEIZHOU / "departments.toml", divisions).values())
    catalogues = [domain.catalogue for domain in load_domains({}).values()]
    assert unassigned(catalogues, here, divisions) == []
    assert unassigned(catalogues, Responsibility(()), divisions)


def test_in_meizhou_every_assisting_duty_is_some_departments() -> None:
    departments = load_departments(MEIZHOU / "departments.toml", read_divisions(MEIZHOU / "divisions.csv"))
    claimed = {duty for department in departments.values() for duty in department.duties}
    asked = {
        duty
        for domain in load_domains({}).values()
        for assist in [
            *(row.assist for row in domain.manifest.type),
            *(row.assist for row in domain.manifest.condition),
        ]
        for duty in assist
    }
    assert asked <= claimed


def test_where_a_city_lacks_the_level_of_a_type_the_next_one_above_is_asked() -> None:
    fire = [load_domains({})["fire"].catalogue]
    flat = Divisions([Division("C", "城市", "city", ""), Division("A", "甲区", "county", "C")])
    assert {division for _, division in unassigned(fire, Responsibility(()), flat)} == {"A"}
    assert {division for _, division in unassigned(fire, Responsibility(()), Divisions([flat.get("C")]))} == {"C"}


def test_departments_of_single_cells_are_not_mistaken_for_each_other() -> None:
    def warden(code: str) -> Department:
        return Department(code, code, code, "cell", (f"{code}-cell",), ("grid",), ("patrol",), None)

    here = Responsibility([warden("a"), warden("b")])
    found = [here.assign("patrol", (), "grid", "cell", {"county": "A", "cell": f"{one}-cell"}).lead for one in "abc"]
    assert found == ["a", "b", None]
