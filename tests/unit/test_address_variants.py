"""However people write the address of a village, it is that village, or it is among several that fit: never another
one, and what was read is told."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.address import AddressIndex
from geo.divisions import Division, read_divisions

DIVISIONS = read_divisions(Path(__file__).parents[2] / "citybrain/cities/meizhou/divisions.csv")
INDEX = AddressIndex(DIVISIONS)
VILLAGES = DIVISIONS.level("village")
# What stands at the end of a name and is left out in speech, longest first.
ENDS = {
    "county": ("区", "县", "市"),
    "town": ("街道办事处", "办事处街道", "街道", "镇", "乡"),
    "village": ("社区居民委员会", "社区居委会", "村民委员会", "居民委员会", "村委会", "居委会", "社区", "村"),
}


def bare(row: Division) -> str:
    """The name without its end, where two characters or more are left."""
    end = next((end for end in ENDS[row.level] if row.name.endswith(end) and len(row.name) - len(end) >= 2), "")
    return row.name.removesuffix(end)


def above(village: Division) -> tuple[Division, Division]:
    path = DIVISIONS.path(village.code)
    county, town = DIVISIONS.get(path["county"]), DIVISIONS.get(path["town"])
    assert county
    assert town
    return county, town


def with_full_names(village: Division) -> Iterator[str]:
    """The village and what precedes it in full, whatever stands before, between and after."""
    county, town = above(village)
    yield from (start + county.name + town.name + village.name for start in ("", "梅州市", "广东省梅州市"))
    yield bare(county) + town.name + village.name
    yield "梅州市" + town.name + village.name
    yield county.name + bare(town) + village.name
    yield f"{county.name} {town.name}，{village.name} 12号"
    yield f"我家在{town.name}{village.name}的河边"
    yield f"{county.name}{town.name}{village.name}人民路3号旁边井盖破损"


def cut_short(village: Division) -> Iterator[str]:
    county, town = above(village)
    yield bare(town) + village.name
    yield county.name + village.name
    yield village.name
    yield county.name + town.name + bare(village)
    yield town.name + bare(village)
    yield bare(county) + bare(town) + bare(village)


def found(text: str) -> set[str]:
    return {row.code for row in INDEX.match(text)}


def test_every_village_named_in_full_is_that_village() -> None:
    wrong = {
        text: found(text) for village in VILLAGES for text in with_full_names(village) if found(text) != {village.code}
    }
    assert wrong == {}


def test_a_village_cut_short_is_it_or_among_the_candidates_or_only_what_is_above_it() -> None:
    """Never another village: 大坪 in 大坪镇 without a county may be either 大坪镇, which are both told."""
    wrong = {}
    for village in VILLAGES:
        path = set(DIVISIONS.path(village.code).values())
        for text in cut_short(village):
            codes = found(text)
            if village.code in codes or codes <= path or (codes & path and not _villages(codes)):
                continue
            wrong[text] = codes
    assert wrong == {}


def _villages(codes: set[str]) -> set[str]:
    return {code for code in codes if (row := DIVISIONS.get(code)) and row.level == "village"}


def test_another_kinds_end_is_the_village_unless_that_kind_has_one_of_its_own() -> None:
    """龙虎村 is not 龙虎社区 where there are both; where there is one, people mean it."""
    for village in VILLAGES:
        county, town = above(village)
        for end in ("村委会", "社区"):
            codes = found(county.name + town.name + bare(village) + end)
            others = [row for row in DIVISIONS.children(town.code) if row != village and bare(row) == bare(village)]
            assert codes == {village.code} or (others and codes <= {village.code, *(row.code for row in others)})


@settings(max_examples=200)
@given(
    village=st.sampled_from(VILLAGES),
    which=st.integers(0, 8),
    noise=st.text(" ，,-—（）、", max_size=6),
    at=st.integers(0, 30),
)
def test_white_space_and_punctuation_anywhere_change_nothing(
    village: Division, which: int, noise: str, at: int
) -> None:
    text = list(with_full_names(village))[which]
    assert found(text[:at] + noise + text[at:]) == {village.code}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("兴宁大坪", {"441481": "兴宁", "441481125": "大坪"}),
        ("梅州市 梅县区，大坪镇大坪村 3 号",
         {"441400": "梅州市", "441403": "梅县区", "441403104": "大坪镇", "441403104205": "大坪村"}),
        ("大坪镇政府", {"441403104": "大坪镇", "441481125": "大坪镇"}),
        ("nowhere", {}),
    ],
)  # fmt: skip
def test_the_words_that_were_taken_for_each_division_are_told(text: str, words: dict[str, str]) -> None:
    assert {each.code: each.text for each in INDEX.read(text).words} == words
