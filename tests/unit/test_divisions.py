"""The tree of divisions answers who contains whom, and a broken file tells everything that is wrong with it."""

from pathlib import Path

import pytest

from geo.divisions import check_divisions, read_divisions
from geo.mistake import Mistakes

MEIZHOU = Path(__file__).parents[2] / "citybrain/cities/meizhou/divisions.csv"
SMALL = """code,name,level,parent_code
C,Harbour City,city,
W1,West,county,C
T1,Docks,town,W1
V1,Quay,village,T1
P9,Old Mill,town,C
"""


@pytest.fixture
def small(tmp_path):
    (tmp_path / "divisions.csv").write_text(SMALL, encoding="utf-8")
    return read_divisions(tmp_path / "divisions.csv")


def test_a_path_names_every_level_above(small):
    assert dict(small.path("V1")) == {"city": "C", "county": "W1", "town": "T1", "village": "V1"}


def test_a_path_may_skip_a_level(small):
    assert dict(small.path("P9")) == {"city": "C", "town": "P9"}


def test_an_unknown_code_has_no_path_and_no_children(small):
    assert dict(small.path("X")) == {}
    assert small.children("X") == ()
    assert small.get("X") is None


def test_a_division_covers_itself_and_what_is_below_it(small):
    assert small.covers("W1", "W1")
    assert small.covers("W1", "V1")
    assert not small.covers("V1", "W1")
    assert not small.covers("W1", "P9")


def test_children_and_levels_come_by_code(small):
    assert [row.code for row in small.children("C")] == ["P9", "W1"]
    assert [row.code for row in small.level("town")] == ["P9", "T1"]


def test_every_mistake_of_a_file_is_reported_at_once(tmp_path):
    path = tmp_path / "divisions.csv"
    path.write_text(
        SMALL + "W1,Again,county,C\nW2,East,conty,C\nT2,Lost,town,W7\nV2,Up,town,V1\nV3,,village,T1\nV4,Short\n"
    )
    with pytest.raises(Mistakes) as caught:
        read_divisions(path)
    told = [str(mistake) for mistake in caught.value.mistakes]
    assert len(told) == 6
    for line, what in enumerate(["only once", "did you mean county?", "a name", "4 columns"]):
        assert any(what in text for text in told), line
    assert any("T2" in text and "'W7'" in text for text in told)
    assert any("V2" in text and "a parent above level town" in text for text in told)


@pytest.mark.parametrize("text", ["", "code,name\n1,x\n", "code;name;level;parent_code\n"])
def test_wrong_columns_are_one_mistake(tmp_path, text):
    path = tmp_path / "divisions.csv"
    path.write_text(text)
    divisions, mistakes = check_divisions(path)
    assert len(divisions) == 0
    assert [mistake.item for mistake in mistakes] == ["the header"]


def test_a_missing_or_unreadable_file_is_a_mistake_not_a_crash(tmp_path):
    (tmp_path / "gbk.csv").write_bytes("code,name,level,parent_code\n1,梅州,city,\n".encode("gbk"))
    for name in ("none.csv", "gbk.csv"):
        assert [mistake.item for mistake in check_divisions(tmp_path / name)[1]] == ["the file"]


def test_meizhou_has_its_divisions():
    divisions = read_divisions(MEIZHOU)
    counts = {level: len(divisions.level(level)) for level in ("city", "county", "town", "village")}
    assert counts == {"city": 1, "county": 8, "town": 117, "village": 2269}
