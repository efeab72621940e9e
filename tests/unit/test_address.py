"""An address text names one division, several, or none; it never guesses between homonyms."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.address import AddressIndex
from geo.divisions import Division, Divisions, read_divisions

DIVISIONS = read_divisions(Path(__file__).parents[2] / "citybrain/cities/meizhou/divisions.csv")
INDEX = AddressIndex(DIVISIONS)


def codes(text):
    return [row.code for row in INDEX.match(text)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("梅州市梅江区丽都西路", "441402"),
        ("梅江区金山街道", "441402006"),
        ("广东省梅州市梅江区金山街道办事处旁", "441402006"),
        ("兴宁市大坪镇", "441481125"),
        ("梅县区大坪镇", "441403104"),
        ("兴宁大坪", "441481125"),
        ("梅县松口", "441403100"),
        ("新城街道", "441403001"),
        ("大埔林场", "441422402"),
        ("兴宁市福兴街道", "441481002"),
        ("梅县区大坪镇大坪村", "441403104205"),
        ("江南街道红光社区", "441402004006"),
        ("梅江区 江南街道，红光社区居委会 3 栋", "441402004006"),
        ("五华县水寨镇大坝村", "441424100004"),
        ("松口镇大黄村委会", "441403100221"),
        ("蕉岭县长潭镇", "441427102"),
    ],
)
def test_the_most_specific_consistent_division_is_found(text, code):
    assert codes(text) == [code]


def test_a_town_name_that_two_counties_have_is_ambiguous():
    assert codes("大坪镇政府门口") == ["441403104", "441481125"]


def test_a_village_name_that_repeats_needs_its_town_or_county():
    assert len(codes("大坪村")) > 1
    assert codes("丰顺县大坪村") == [row for row in codes("大坪村") if DIVISIONS.covers("441423", row)]


def test_a_village_of_another_town_is_not_taken():
    assert codes("松口镇大坪村") == ["441403100"]


def test_two_counties_in_one_text_are_ambiguous():
    assert codes("梅江区与兴宁市交界") == ["441402", "441481"]


@pytest.mark.parametrize("text", ["", "梅州市", "梅江三路", "江南路5号", "广州市天河区", "大坪", "no address"])
def test_a_text_that_names_no_division_finds_none(text):
    assert codes(text) == []


def test_a_road_named_after_a_town_is_not_the_town():
    assert codes("梅江区江南路5号") == ["441402"]


def test_every_division_is_found_alone_by_its_full_path():
    for level in ("county", "town", "village"):
        for row in DIVISIONS.level(level):
            text = "".join(DIVISIONS.get(code).name for code in DIVISIONS.path(row.code).values())
            assert codes(text) == [row.code], text


def test_a_community_and_a_village_of_one_name_are_told_apart_by_their_kind():
    assert codes("梅西镇龙虎社区") == ["441403103002"]
    assert codes("梅西镇龙虎村") == ["441403103211"]


@given(st.text(max_size=40) | st.text("梅县江区兴宁市大坪镇村社居委会街道", max_size=30))
def test_any_text_is_answered(text):
    assert isinstance(codes(text), list)


FLAT = Divisions(
    [
        Division("C", "Baltimore", "city", ""),
        Division("C1", "Council District 1", "county", "C"),
        Division("C12", "Council District 12", "county", "C"),
        Division("PN", "Northern Police District", "town", "C"),
        Division("A", "Abell", "village", "C"),
        Division("O", "Oliver", "village", "C"),
        Division("B", "Bridgeview/Greenlawn", "village", "C"),
        Division("H", "North Harford Road", "village", "C"),
        Division("D", "Downtown", "village", "C"),
        Division("DW", "Downtown West", "village", "C"),
    ]
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Abell, Baltimore, MD 21218", [["A"]]),
        ("300 E 30th St, ABELL, Northern Police District", [["PN"], ["A"]]),
        ("council district 12", [["C12"]]),
        ("Bridgeview - Greenlawn", [["B"]]),
        ("downtown west", [["DW"]]),
        ("near North Harford Road", [["H"]]),
        ("1200 Oliver Street", []),
        ("Labelle Avenue", []),
        ("Baltimore", []),
        ("Abell or Oliver", [["A", "O"]]),
    ],
)
def test_names_in_latin_letters_are_whole_words_and_each_level_is_read_by_itself(
    text: str, found: list[list[str]]
) -> None:
    index = AddressIndex(FLAT)
    assert [[row.code for row in rows] for rows in index.match_levels(text)] == found


def test_latin_addresses_go_from_small_to_large() -> None:
    nested = AddressIndex(
        Divisions(
            [
                Division("C", "Metro", "city", ""),
                Division("W1", "East Ward", "county", "C"),
                Division("W2", "West Ward", "county", "C"),
                Division("S1", "Springside", "town", "W1"),
                Division("S2", "Springside", "town", "W2"),
            ]
        )
    )
    assert [row.code for row in nested.match("Springside, West Ward, Metro")] == ["S2"]
    assert [row.code for row in nested.match("Springside")] == ["S1", "S2"]
