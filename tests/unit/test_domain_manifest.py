"""Facts about domain folders: what a manifest may say, how mistakes are told, how folders are found."""

import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from citybrain.domain import MANIFEST, check_domains, load_domains
from citybrain.routing.context import Context
from citybrain.routing.manifest import read_manifest
from citybrain.routing.proof import prove_examples
from citybrain.routing.report import Filed
from citybrain.routing.responsibility import Responsibility
from geo.mistake import Mistakes

DOMAINS = load_domains({})

METRO = """
[domain]
code = "metro"
name = "轨道交通"
name_en = "Metro"
version = "1"

[[type]]
code = "metro.door_jammed"
name = "屏蔽门故障"
name_en = "Platform door jammed"
terms = ["屏蔽门"]
grade = 3
limit = { amount = 30, unit = "minutes" }
level = "county"
examples = ["二号线站台屏蔽门关不上"]
"""
HANDLER = """
from citybrain.routing.route import route

def decide(events, context):
    return route(events, context)
"""


def folder(root: Path, manifest: str = METRO, handler: str | None = HANDLER, name: str = "metro") -> Path:
    path = root / name
    path.mkdir()
    (path / MANIFEST).write_text(manifest, encoding="utf-8")
    (path / "__init__.py").touch()
    if handler is not None:
        (path / "handler.py").write_text(handler, encoding="utf-8")
    return path


def mistakes_in(root: Path, manifest: str) -> list[str]:
    path = root / MANIFEST
    path.write_text(manifest, encoding="utf-8")
    return [str(mistake) for mistake in read_manifest(path)[1]]


def test_the_six_domains_are_found_by_entry_point() -> None:
    assert {"grid", "emergency", "fire", "environment", "water", "market"} <= set(DOMAINS)


@pytest.mark.parametrize("code", ["grid", "emergency", "fire", "environment", "water", "market"])
def test_every_built_in_domain_has_twenty_types_with_both_names(code: str) -> None:
    rows = DOMAINS[code].manifest.type
    assert len(rows) >= 20
    assert all(row.name != row.name_en and row.name_en.isascii() for row in rows)


def test_grid_types_carry_the_national_letter_and_digits_only() -> None:
    assert all(code[0] in "cm" and len(code) == 6 and code[1:].isdigit() for code in DOMAINS["grid"].catalogue.types)


def test_the_grid_has_all_403_national_codes_with_filing_closing_and_limit() -> None:
    rows = DOMAINS["grid"].manifest.type
    counted = Counter(row.code[0] for row in rows)
    assert counted == {"c": 153, "m": 250}
    assert all(row.filing and row.closing and row.class_ and row.standard for row in rows)
    assert sum(not row.limit.example for row in rows) >= 200  # one example city's; the others are class defaults


def test_each_grid_component_has_a_matter_that_reports_of_it_reach() -> None:
    types = DOMAINS["grid"].catalogue.types
    components = [code for code in types if code[0] == "c"]
    assert all(types["m" + code[1:]].row.things or types["m" + code[1:]].row.terms for code in components)
    assert not any(types[code].row.things for code in components)  # text about a component's record reaches these


def test_emergency_has_the_four_classes_and_every_fire_water_and_environment_type_a_class() -> None:
    four = {"自然灾害", "事故灾难", "公共卫生", "社会安全"}
    assert {row.class_ for row in DOMAINS["emergency"].manifest.type} == four | {"演练测试"}
    assert all(row.class_ for code in ("fire", "water", "environment") for row in DOMAINS[code].manifest.type)


def test_a_manifest_includes_files_and_names_the_file_of_a_mistake(tmp_path: Path) -> None:
    more = METRO[METRO.index("[[type]]") :].replace("door_jammed", "escalator").replace("屏蔽门", "扶梯")
    path = tmp_path / MANIFEST
    path.write_text('include = ["more.toml"]\n' + METRO, encoding="utf-8")
    assert "more.toml: the file: a readable" in str(read_manifest(path)[1][0])
    (tmp_path / "more.toml").write_text(more, encoding="utf-8")
    manifest, mistakes = read_manifest(path)
    assert manifest is not None
    assert ([row.code for row in manifest.type], mistakes) == (["metro.door_jammed", "metro.escalator"], [])
    (tmp_path / "more.toml").write_text(more.replace("escalator", "door_jammed"), encoding="utf-8")
    assert [(Path(one.file).name, one.item) for one in read_manifest(path)[1]] == [
        ("more.toml", "type metro.door_jammed")
    ]


@pytest.mark.parametrize("name", ["../grid/matters.toml", "/etc/passwd", "sub/more.toml"])
def test_only_files_beside_the_manifest_are_included(tmp_path: Path, name: str) -> None:
    assert "include[1]" in mistakes_in(tmp_path, f'include = ["{name}"]\n' + METRO)[0]


def test_alternatives_in_a_term_stand_for_each_of_them(tmp_path: Path) -> None:
    path = folder(tmp_path, METRO.replace('["屏蔽门"]', '["屏蔽门/站台门&坏/关不上"]'))
    metro = load_domains({"CITYBRAIN_DOMAINS": str(path)})["metro"]
    for title in ("屏蔽门坏了", "屏蔽门又关不上", "站台门坏了", "站台门关不上"):
        event = Filed(id="e", domain="metro", title=title, occurred_at=datetime(2026, 1, 5, tzinfo=UTC))
        assert metro.decide([event], Context(metro.catalogue, Responsibility(()), event.occurred_at))[0].type


def test_every_example_reaches_its_own_type_and_no_other_domain() -> None:
    assert [str(mistake) for mistake in prove_examples(DOMAINS)] == []


def test_an_example_that_another_domain_claims_is_a_mistake(tmp_path: Path) -> None:
    path = folder(tmp_path, METRO.replace("二号线站台屏蔽门关不上", "站台屏蔽门外有人占道经营"))
    domains = load_domains({"CITYBRAIN_DOMAINS": str(path)})
    found = [str(mistake) for mistake in prove_examples(domains)]
    assert len(found) == 1
    assert "m09006" in found[0]
    allowed = METRO.replace("二号线站台屏蔽门关不上", "站台屏蔽门外有人占道经营").replace(
        "grade", 'also = ["m09006"]\ngrade'
    )
    (path / MANIFEST).write_text(allowed, encoding="utf-8")
    assert prove_examples(load_domains({"CITYBRAIN_DOMAINS": str(path)})) == []


def test_an_example_that_misses_its_own_type_is_a_mistake(tmp_path: Path) -> None:
    path = folder(tmp_path, METRO.replace("二号线站台屏蔽门关不上", "列车晚点"))
    found = prove_examples(load_domains({"CITYBRAIN_DOMAINS": str(path)}))
    assert [(mistake.item.split(",")[0], "own type" in mistake.expectation) for mistake in found] == [
        ("type metro.door_jammed", True)
    ]


def test_a_sixth_domain_is_one_folder_anywhere(tmp_path: Path) -> None:
    metro = load_domains({"CITYBRAIN_DOMAINS": str(folder(tmp_path))})["metro"]
    assert metro.part("handler") is not None
    assert metro.part("gateway") is None
    assert metro.catalogue.types["metro.door_jammed"].limit.unit == "minutes"


def test_several_folders_are_listed_with_the_path_separator(tmp_path: Path) -> None:
    tram = METRO.replace("metro", "tram")
    paths = [folder(tmp_path), folder(tmp_path, tram, name="tram")]
    assert {"metro", "tram"} <= set(load_domains({"CITYBRAIN_DOMAINS": os.pathsep.join(map(str, paths))}))


@pytest.mark.parametrize("missing", ["__init__.py", "handler.py"])
def test_a_folder_without_its_python_files_is_a_mistake(tmp_path: Path, missing: str) -> None:
    path = folder(tmp_path)
    (path / missing).unlink()
    with pytest.raises(Mistakes, match=missing):
        load_domains({"CITYBRAIN_DOMAINS": str(path)})


@pytest.mark.parametrize("handler", ["", "decide = 3", "import no_such_module_at_all", "def ("])
def test_a_handler_that_cannot_decide_is_a_mistake_and_not_a_crash(tmp_path: Path, handler: str) -> None:
    domains, mistakes = check_domains({"CITYBRAIN_DOMAINS": str(folder(tmp_path, handler=handler))})
    assert "metro" not in domains
    assert len(mistakes) == 1
    assert "grid" in domains


def test_a_code_that_is_taken_and_one_that_is_not_the_folders_are_mistakes(tmp_path: Path) -> None:
    taken = folder(tmp_path, METRO.replace("metro", "fire"), name="fire")
    other = folder(tmp_path, METRO, name="subway")
    _, mistakes = check_domains({"CITYBRAIN_DOMAINS": os.pathsep.join([str(taken), str(other)])})
    assert ["a code of its own" in str(mistakes[0]), "the name of its folder" in str(mistakes[1])] == [True, True]


def test_a_folder_without_any_python_decides_by_its_rules_alone(tmp_path: Path) -> None:
    path = folder(tmp_path, handler=None)
    (path / "__init__.py").unlink()
    domains = load_domains({"CITYBRAIN_DOMAINS": str(path)})
    assert prove_examples(domains) == []
    assert domains["metro"].part("gateway") is None


def test_a_named_folder_that_is_not_there_is_one_mistake(tmp_path: Path) -> None:
    _, mistakes = check_domains({"CITYBRAIN_DOMAINS": str(tmp_path / "metor")})
    assert [str(each) for each in mistakes] == [
        f"CITYBRAIN_DOMAINS: {tmp_path / 'metor'}: the folder of a domain, with domain.toml"
    ]


def of_pack(root: Path, manifest: str = METRO, name: str = "metro") -> Path:
    (root / "pack" / "domains").mkdir(parents=True, exist_ok=True)
    path = folder(root / "pack" / "domains", manifest, None, name)
    (path / "__init__.py").unlink()
    return path


def test_a_citys_pack_brings_its_own_domains(tmp_path: Path) -> None:
    path = of_pack(tmp_path)
    domains = load_domains({}, tmp_path / "pack")
    assert set(domains) == {*DOMAINS, "metro"}
    assert domains["metro"].folder == path


def test_a_citys_pack_brings_no_code(tmp_path: Path) -> None:
    path = of_pack(tmp_path)
    (path / "handler.py").write_text("raise SystemExit('run')")
    domains, mistakes = check_domains({}, tmp_path / "pack")
    assert "metro" not in domains
    assert [(each.file, each.item) for each in mistakes] == [(str(path), "handler.py")]
    assert "CITYBRAIN_DOMAINS" in mistakes[0].expectation


def test_a_citys_own_catalogue_takes_the_place_of_a_built_in_one(tmp_path: Path) -> None:
    path = of_pack(tmp_path, METRO.replace("metro", "fire"), "fire")
    domains = load_domains({}, tmp_path / "pack")
    assert (domains["fire"].folder, list(domains["fire"].catalogue.types)) == (path, ["fire.door_jammed"])
    named = folder(tmp_path, METRO.replace("metro", "tram"), name="tram")
    of_pack(tmp_path, METRO.replace("metro", "tram"), "tram")
    _, mistakes = check_domains({"CITYBRAIN_DOMAINS": str(named)}, tmp_path / "pack")
    assert [f"a code of its own, {named} has tram" in str(each) for each in mistakes] == [True]


def test_a_citys_own_catalogue_leaves_the_adapters_of_the_built_in_one_at_work(tmp_path: Path) -> None:
    of_pack(tmp_path, METRO.replace("metro", "grid"), "grid")
    grid = load_domains({}, tmp_path / "pack")["grid"]
    assert grid.package is None
    routes = grid.part("routes")
    assert routes is not None
    assert routes.__name__ == "domains.grid.routes"


def test_an_empty_folder_among_a_packs_domains_is_a_mistake(tmp_path: Path) -> None:
    (of_pack(tmp_path).parent / "tram").mkdir()
    assert [each.item for each in check_domains({}, tmp_path / "pack")[1]] == ["the file"]


def test_a_wrong_example_is_told_under_the_file_that_has_it(tmp_path: Path) -> None:
    head, types = METRO.split("[[type]]")
    path = folder(tmp_path, 'include = ["doors.toml"]\n' + head)
    wrong = types.replace("二号线站台屏蔽门关不上", "列车晚点").replace("grade", 'also = ["m00000"]\ngrade')
    (path / "doors.toml").write_text("[[type]]" + wrong, encoding="utf-8")
    found = prove_examples(load_domains({"CITYBRAIN_DOMAINS": str(path)}))
    assert [(each.file, each.item.split(" (")[0]) for each in found] == [
        (str(path / "doors.toml"), "type metro.door_jammed, also"),
        (str(path / "doors.toml"), "type metro.door_jammed, example 1"),
    ]


def test_a_domain_that_a_city_switched_off_claims_nothing(tmp_path: Path) -> None:
    path = folder(tmp_path, METRO.replace("二号线站台屏蔽门关不上", "站台屏蔽门外有人占道经营"))
    domains = load_domains({"CITYBRAIN_DOMAINS": str(path)})
    assert len(prove_examples(domains)) == 1
    assert prove_examples(domains, off=["grid"]) == []


@pytest.mark.parametrize("level", ["city", "county", "town", "village", "cell"])
def test_a_type_may_be_of_any_level_that_a_city_can_have(tmp_path: Path, level: str) -> None:
    assert mistakes_in(tmp_path, METRO.replace('"county"', f'"{level}"')) == []
    (told,) = mistakes_in(tmp_path, METRO.replace('"county"', f'"{level}s"'))
    assert "type[1].level: 'city', 'county', 'town', 'village' or 'cell', found " in told
    assert f"did you mean {level}?" in told


def test_all_mistakes_are_told_at_once_with_what_was_meant(tmp_path: Path) -> None:
    wrong = METRO.replace("terms =", "term =").replace('"minutes"', '"minuts"').replace("grade = 3", "grade = 9")
    found = mistakes_in(tmp_path, wrong)
    assert len(found) == 3
    assert any("type[1].term" in text and "did you mean terms?" in text for text in found)
    assert any("type[1].limit.unit" in text and "did you mean minutes?" in text for text in found)
    assert any("type[1].grade" in text for text in found)


def test_a_rule_for_an_unknown_type_says_which_was_meant(tmp_path: Path) -> None:
    rule = '[[rule]]\ncode = "r"\ntype = "metro.door_jamed"\nterms = ["x"]\n'
    assert "did you mean metro.door_jammed?" in mistakes_in(tmp_path, METRO + rule)[0]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("metro.door_jammed", "door"), "a code of the form metro.word"),
        (('terms = ["屏蔽门"]', ""), "else nothing finds it"),
        (('examples = ["二号线站台屏蔽门关不上"]', "examples = []"), "at least 1 item"),
        (("grade = 3", 'grade = "3"'), "integer"),
        (('code = "metro"', 'code = "Metro 1"'), "pattern"),
        (("amount = 30", "amount = 0"), "greater than 0"),
    ],
)
def test_what_a_type_may_not_say(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    assert expected in "\n".join(mistakes_in(tmp_path, METRO.replace(*change)))


@pytest.mark.parametrize(
    "when",
    [
        '{ attribute = "a", op = ">" }',
        '{ attribute = "a", op = ">", value = "high" }',
        '{ attribute = "a", op = "in", value = 3 }',
        '{ attribute = "a", op = "~", value = 3 }',
        '{ attribute = "a", op = "==", value = 1, other_attribute = "b" }',
    ],
)
def test_a_test_on_an_attribute_that_says_nothing_is_a_mistake(tmp_path: Path, when: str) -> None:
    rule = f'[[rule]]\ncode = "r"\ntype = "metro.door_jammed"\nwhen = [{when}]\n'
    assert len(mistakes_in(tmp_path, METRO + rule)) == 1


def test_a_file_that_is_no_toml_is_one_mistake(tmp_path: Path) -> None:
    assert len(mistakes_in(tmp_path, "[domain")) == 1
    assert len(read_manifest(tmp_path / "nowhere.toml")[1]) == 1
