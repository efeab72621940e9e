"""A decision recomputed with other packs differs in what follows from them, and the cause is named."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from deciding import SMOKE, another_city, another_domain, decided, lines, parts, replaced, told, use
from desk import Desk
from sqlalchemy import update

from citybrain.city import load_city
from citybrain.config import BUILTIN_CITY
from citybrain.store.tables import events
from geo.locator import Locator


def test_another_grade_of_a_type_is_named_and_nothing_else(desk: Desk, tmp_path: Path) -> None:
    event_id = decided(desk, {"domain": "fire", "title": "居民楼三楼起火了，冒黑烟"})
    head = 'code = "fire.building_fire"'
    use(desk, fire=another_domain(tmp_path, "fire", lambda text: graver(text, head)))
    answer = told(desk, event_id)
    assert parts(answer) == {"grade": ["rules"]}
    assert (answer["differences"][0]["then"]["value"], answer["differences"][0]["now"]["value"]) == (2, 1)
    assert answer["changed"] == ["rules"]
    said = lines(desk, answer, "fire")
    assert "有 1 处不同" in said
    assert "等级：当时Ⅱ 级（重大）（按类型），现在Ⅰ 级（特别重大）（按类型）（领域规则）" in said


def graver(text: str, head: str) -> str:
    before, found, after = text.partition(head)
    assert found
    return before + found + after.replace("grade = 2", "grade = 1", 1)


def test_a_rule_that_is_gone_changes_what_follows_from_it_and_names_the_rules(desk: Desk, tmp_path: Path) -> None:
    event_id = decided(desk, {"domain": "fire", "attributes": SMOKE})
    change = replaced('code = "smoke_detector"', 'code = "smoke_detector"\nterms = ["从不出现的词"]')
    use(desk, fire=another_domain(tmp_path, "fire", change))
    answer = told(desk, event_id)
    found = parts(answer)
    assert found == {"type": ["rules"], "reasons": ["rules"]}
    assert "判定过程不同（领域规则）" in lines(desk, answer, "fire")


def test_another_department_is_named_and_nothing_else(desk: Desk, tmp_path: Path) -> None:
    event_id = decided(desk, {"domain": "fire", "title": "居民楼三楼起火了，冒黑烟"})
    city = another_city(tmp_path, "departments.toml", lambda text: text.replace("{division}-xf", "{division}-xfdd"))
    use(desk, city)
    answer = told(desk, event_id)
    assert parts(answer) == {"department": ["departments"]}
    assert answer["differences"][0]["then"]["lead"] == "441402-xf"
    assert answer["differences"][0]["now"]["lead"] == "441402-xfdd"
    assert answer["changed"] == ["departments"]


def test_another_calendar_moves_what_is_due_and_nothing_else(desk: Desk, tmp_path: Path) -> None:
    event_id = decided(desk, {"domain": "grid", "title": "路边通信交接箱门没关"})  # one working day, from Monday 9:00
    use(desk, another_city(tmp_path, "calendar.csv", lambda text: text.rstrip() + "\n2025-03-04,holiday\n"))
    answer = told(desk, event_id)
    assert parts(answer) == {"due_at": ["calendar"]}
    assert answer["differences"][0]["then"].startswith("2025-03-04T")
    assert answer["differences"][0]["now"].startswith("2025-03-05T")


def test_other_settings_of_placing_are_named_where_they_find_another_place(desk: Desk, tmp_path: Path) -> None:
    lng = next(
        116.12 + step / 200
        for step in range(600)
        if desk.here.locator.locate([116.12 + step / 200], [24.29])[0].method == "outside"
    )
    location = {"lng": lng, "lat": 24.29, "datum": "wgs84"}  # some hundred metres outside
    event_id = decided(desk, {"domain": "grid", "type": "c01039", "location": location})
    city = another_city(tmp_path, "city.toml", lambda text: re.sub(r"(?m)^snap_m = .*", "snap_m = 2000", text))
    use(desk, city)
    vars(desk.here)["locator"] = Locator(
        desk.here.locator.edition, city.divisions, crs=city.file.city.crs, snap_m=city.file.city.snap_m
    )
    answer = told(desk, event_id)
    assert parts(answer) == {"place": ["placing"]}
    then, now = answer["differences"][0]["then"], answer["differences"][0]["now"]
    assert (then["method"], now["method"]) == ("outside", "snapped")
    assert "现在 " in lines(desk, answer, "grid")


def moved_counties(text: str) -> str:
    """Every border 0.2 degrees further east."""
    found = json.loads(text)

    def shift(positions: Any) -> Any:
        if isinstance(positions[0], list):
            return [shift(each) for each in positions]
        return [positions[0] + 0.2, *positions[1:]]

    for feature in found["features"]:
        feature["geometry"]["coordinates"] = shift(feature["geometry"]["coordinates"])
    return json.dumps(found, ensure_ascii=False)


@pytest.fixture
def small(tmp_path: Path, new_desk: Any) -> Any:
    """A desk whose editions stand in a folder of its own, and its city with counties and towns alone."""
    desk = new_desk(tmp_path)
    pack = tmp_path / "pack"
    shutil.copytree(BUILTIN_CITY, pack)
    toml = (pack / "city.toml").read_text()
    kept = [line for line in toml.splitlines() if not line.startswith(("village =", "cell ="))]
    (pack / "city.toml").write_text("\n".join(kept).replace("117.0, 25.0]", "117.5, 25.0]"))  # room to move in
    rows = (pack / "divisions.csv").read_text().splitlines()
    (pack / "divisions.csv").write_text("\n".join(row for row in rows if ",village," not in row) + "\n")
    use(desk, load_city(pack))
    vars(desk.here)["locator"] = desk.here.city.locator(tmp_path / "editions")
    yield desk
    desk.here.store.close()


def test_another_edition_is_named_and_the_place_is_still_found_in_its_own(small: Desk, tmp_path: Path) -> None:
    event_id = decided(small, {"domain": "fire", "title": "居民楼三楼起火了，冒黑烟"})
    own = small.here.locator.edition.id
    county = tmp_path / "pack" / "boundaries" / "county.geojson"
    town = tmp_path / "pack" / "boundaries" / "town.geojson"
    for path in (county, town):
        path.write_text(moved_counties(path.read_text()))
    use(small, load_city(tmp_path / "pack"))
    vars(small.here)["locator"] = small.here.city.locator(tmp_path / "editions")

    answer = told(small, event_id)

    assert answer["changed"] == ["edition"]
    assert parts(answer) == {"place_in_use": ["edition"]}
    assert answer["edition_kept"] is True
    assert answer["explanation"]["basis"]["edition"] == own != answer["basis_in_use"]["edition"]
    assert "按现行边界的位置：当时 梅江区" in lines(small, answer, "fire")

    (kept,) = (tmp_path / "editions").glob(f"{own.rpartition('-')[2]}*.npz")
    kept.unlink()
    small.here._stored.clear()
    gone = told(small, event_id)
    assert (gone["edition_kept"], parts(gone)) == (False, {"place_in_use": ["edition"]})
    assert f"当时的边界版本 {own} 已不在数据目录" in lines(small, gone, "fire")


def test_a_record_that_was_tampered_with_differs_without_a_cause(desk: Desk) -> None:
    event_id = decided(desk, {"domain": "fire", "title": "居民楼三楼起火了，冒黑烟"})
    with desk.here.store.write() as tx:
        tx.execute(update(events).where(events.c.id == event_id).values(title="消防通道被堵"))
    answer = told(desk, event_id)
    assert answer["same"] is False
    assert {cause for causes in parts(answer).values() for cause in causes} == {"unknown"}
    assert "请核对记录是否被改动" in lines(desk, answer, "fire")


def test_comments_in_a_pack_are_no_other_rules_and_a_changed_handler_is(tmp_path: Path) -> None:
    same = another_domain(tmp_path / "a", "fire", lambda toml: toml + "\n# a comment\n")
    other = another_domain(tmp_path / "b", "fire", lambda toml: toml, handler="\n# another way\n")
    built_in = another_domain(tmp_path / "c", "fire", lambda toml: toml)
    assert same.rules == built_in.rules
    assert other.rules != built_in.rules
