"""The coverage registry's file: what it must hold, and how its mistakes are told."""

from pathlib import Path

import pytest

from citybrain.config import BUILTIN_CITY
from citybrain.industries import check_registry
from geo.divisions import Division, Divisions

DIVISIONS = Divisions([
    Division("c", "市", "city", "p"),
    Division("county-1", "甲县", "county", "c"),
    Division("county-2", "乙县", "county", "c"),
    Division("town-1", "丙镇", "town", "county-1"),
])  # fmt: skip
LEVELS = ("city", "county", "town")
DOMAINS = ("grid", "fire")
HEAD = '[registry]\nbegins = 2021-01-01\ndefault_basis = "all"\n'
BASIS = '[[basis]]\ncode = "all"\nname = "全部"\nname_en = "All"\nsource = "规划"\nindustries = ["fire"]\n'
FIRE = '[[industry]]\ncode = "fire"\nname = "消防"\nname_en = "Fire"\nbasis = "规划"\ndomains = ["fire"]\n'


def declared(**row: str) -> str:
    usual = {"level": '"county"', "divisions": '["county-1"]', "from": "2026-01-01", "approver": '"甲"'}
    return "[[industry.declared]]\n" + "".join(f"{key} = {text}\n" for key, text in (usual | row).items() if text)


def mistakes(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "industries.toml"
    path.write_text(text, encoding="utf-8")
    return [str(each) for each in check_registry(path, DIVISIONS, LEVELS, DOMAINS)[1]]


def test_meizhou_has_eleven_industries_and_four_bases() -> None:
    from geo.divisions import read_divisions

    divisions = read_divisions(BUILTIN_CITY / "divisions.csv")
    levels = ("city", "county", "town", "village")
    registry, wrong = check_registry(BUILTIN_CITY / "industries.toml", divisions, levels)
    assert not wrong
    sizes = {code: len(basis.industries) for code, basis in registry.bases.items()}
    assert sizes == {"union": 11, "topics": 6, "preamble": 6, "tasks": 9}
    assert set(registry.bases["union"].industries) == set(registry.industries)
    named = {code for basis in registry.bases.values() for code in basis.industries}
    assert named == set(registry.industries)
    without = [each for each in registry.industries.values() if not each.domains]
    assert len(without) == 5
    assert not any(each.declared for each in without)


def test_a_good_registry_has_no_mistakes(tmp_path: Path) -> None:
    rows = declared(to="2026-06-30") + declared(**{"from": "2026-07-01"}) + declared(divisions='["county-2"]')
    rows += declared(level='"town"', divisions='"all"')
    assert mistakes(tmp_path, HEAD + BASIS + FIRE + rows) == []


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"approver": ""}, "industry fire.declared [1]: approver: a value, it is missing"),
        ({"approver": '"  "'}, "approver"),
        ({"divisions": '["county-3"]'}, "divisions of this city, found county-3; did you mean county-"),
        ({"divisions": '["town-1"]'}, "divisions at level county, town-1 is a town"),
        ({"divisions": '["county-1", "county-1"]'}, "county-1 is there twice"),
        ({"divisions": "[]"}, 'divisions, or "all"'),
        ({"level": '"village"', "divisions": '"all"'}, "a level of this city (city, county, town), found village"),
        ({"level": '"conty"'}, "did you mean county?"),
        ({"from": "2020-12-31"}, "from 2021-01-01 on, when the registry begins, found 2020-12-31"),
        ({"to": "2025-12-31"}, "a `to` not before `from`"),
        ({"form": "1"}, "an unknown key; known are approver, divisions, from, level, note, to; did you mean from?"),
    ],
)
def test_a_declared_row_with_a_mistake_is_named(tmp_path: Path, row: dict[str, str], said: str) -> None:
    found = mistakes(tmp_path, HEAD + BASIS + FIRE + declared(**row))
    assert len(found) == 1
    assert "industry fire.declared [1]" in found[0]
    assert said in found[0]


@pytest.mark.parametrize(
    ("first", "second", "meets"),
    [
        ({}, {}, True),
        ({"to": "2026-03-31"}, {"from": "2026-03-31"}, True),
        ({"to": "2026-03-30"}, {"from": "2026-03-31"}, False),
        ({"divisions": '"all"'}, {"divisions": '["county-2"]'}, True),
        ({"divisions": '["county-1"]'}, {"divisions": '["county-2"]'}, False),
        ({"level": '"town"', "divisions": '"all"'}, {"divisions": '"all"'}, False),
    ],
)
def test_rows_that_overlap_are_a_mistake(
    tmp_path: Path, first: dict[str, str], second: dict[str, str], meets: bool
) -> None:
    found = mistakes(tmp_path, HEAD + BASIS + FIRE + declared(**first) + declared(**second))
    assert [("do not overlap" in each, "[2]" in each) for each in found] == ([(True, True)] if meets else [])


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = (
        '[registry]\nbegins = "soon"\ndefault_basis = "al"\n'
        + BASIS.replace('["fire"]', '["fier", "fire", "fire"]')
        + FIRE.replace('domains = ["fire"]', 'domains = ["fires"]')
        + declared(approver="", divisions='["county-9"]')
        + declared(divisions='["county-9"]')
        + FIRE
        + '[[industri]]\ncode = "x"\n'
    )
    found = mistakes(tmp_path, text)
    for said in (
        "registry: begins", "found fier; did you mean fire?", "fire is there twice", "found fires; did you mean fire?",
        "[1]: approver", "[2]: divisions of this city, found county-9", "industry fire: each code only once",
        "industri: one of registry, industry, basis; did you mean industry?",
    ):  # fmt: skip
        assert any(said in each for each in found), (said, found)


def test_a_default_basis_must_be_there(tmp_path: Path) -> None:
    found = mistakes(tmp_path, HEAD.replace('"all"', '"alle"') + BASIS + FIRE)
    assert found == ["industries.toml: registry.default_basis: a basis of this file, found alle; did you mean all?"]


@pytest.mark.parametrize("text", ["", "not toml [", "industry = 3"])
def test_a_file_that_is_none_is_a_mistake_and_no_crash(tmp_path: Path, text: str) -> None:
    assert mistakes(tmp_path, text)
    assert check_registry(tmp_path / "none.toml", DIVISIONS, LEVELS)[1]


def test_a_domain_that_is_gone_is_told_by_check_alone(tmp_path: Path) -> None:
    """The service must start without it: what is declared stays, what is earned falls."""
    path = tmp_path / "industries.toml"
    path.write_text(HEAD + BASIS + FIRE, encoding="utf-8")
    assert check_registry(path, DIVISIONS, LEVELS)[1] == []
    assert len(check_registry(path, DIVISIONS, LEVELS, ["grid"])[1]) == 1
