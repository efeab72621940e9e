"""The responsibility map names every place and type for which routing would find no department, as coarsely as it can,
and nobody sees more of it than what is theirs."""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from fastapi.testclient import TestClient

from citybrain.api.vacancies import Part, part
from citybrain.app import build
from citybrain.commands.vacancies import summary, write
from citybrain.keys import create_key
from citybrain.routing.responsibility import Responsibility
from geo.pieces import pieces

MEIJIANG, JIANGNAN, DABU = "441402", "441402004", "441422"


@pytest.fixture
def desk(tmp_path: Path, new_desk: Any) -> Iterator[Desk]:
    """A city without the fire departments of itself and of Meijiang, and without any of Dabu."""
    made: Desk = new_desk(tmp_path)
    left = {
        code: each
        for code, each in made.here.city.departments.items()
        if not (
            "fire" in each.domains
            and each.level in ("city", "county")
            and each.divisions[0][:6] in ("441400", MEIJIANG)
        )
        and not all(division.startswith(DABU) for division in each.divisions)
    }
    made.here.city = replace(made.here.city, departments=left)
    yield made
    made.here.store.close()


def test_each_pair_is_what_routing_would_find(desk: Desk) -> None:
    """Asked place by place and type by type, as an event there would ask."""
    here = desk.here
    asked = part(here, None)
    routing = Responsibility(here.city.departments.values())
    places, types = pieces(here.locator)[::97], [code for code in asked.types if code[-1] in "04e"]
    missing = set()
    for type_ in types:
        duty, domain, level = asked.map.types[type_]
        missing |= {
            (type_, finest(place)) for place in places if not routing.assign(duty, (), domain, level, place).lead
        }
    sample = {finest(place) for place in places}
    told = {(type_, finest(place)) for type_, _, place in asked.map.each(types, asked.mine)}
    assert {pair for pair in told if pair[1] in sample} == missing
    assert missing


def finest(place: Any) -> str:
    return list(place.values())[-1]


def test_all_places_of_a_division_are_told_as_that_division(desk: Desk) -> None:
    asked = part(desk.here, None)
    told = {(row["type"], row["division"]): row for row in asked.grouped()}
    assert ("fire.building_fire", MEIJIANG) in told
    assert {code for _, code in told} <= {MEIJIANG, DABU} | set(desk.here.city.divisions)
    assert not any(code.startswith(MEIJIANG) and code != MEIJIANG for type_, code in told if type_.startswith("fire."))
    assert sum(row["places"] for row in told.values()) == asked.map.pairs(asked.types, asked.mine)


def test_a_city_where_nobody_is_missing_has_none(tmp_path: Path, new_desk: Any) -> None:
    whole: Desk = new_desk(tmp_path)
    assert list(part(whole.here, None).grouped()) == []
    assert list(summary(part(whole.here, None)))[-1].endswith(": 0 pairs without a department")
    whole.here.store.close()


def test_the_api_tells_pages_and_each_key_its_own(desk: Desk) -> None:
    def key(role: str, name: str, **scope: Any) -> dict[str, str]:
        with desk.here.store.write() as tx:
            return {"Authorization": f"Bearer {create_key(tx, name, role, desk.now, 'test', **scope)}"}

    chief, fire = key("admin", "chief"), key("operator", "fire", divisions=[JIANGNAN], domains=["fire"])
    source = key("source", "app")
    with TestClient(build(desk.here)) as client:

        def get(path: str, headers: dict[str, str]) -> Any:
            return client.get(f"/api/v1/responsibility{path}", headers=headers)

        first = get("?limit=3", chief).json()
        second = get(f"?limit=3&cursor={first['next']}", chief).json()
        rows = list(part(desk.here, None).grouped())
        assert first["items"] + second["items"] == rows[:6]
        assert first["pairs"] == sum(row["places"] for row in rows)
        assert {row["division"] for row in get(f"?division={MEIJIANG}&limit=500", chief).json()["items"]} == {MEIJIANG}
        mine = get("?limit=500", fire).json()
        assert {(row["domain"], row["division"]) for row in mine["items"]} == {("fire", JIANGNAN)}
        assert get(f"?division={DABU}", fire).status_code == 404
        assert get("", source).status_code == 403
        assert get("", {}).status_code == 401
        assert get("?division=nowhere", chief).json()["errors"][0]["field"] == "division"
        assert get("?type=x", chief).status_code == get("?domain=x", chief).status_code == 422
        table = list(csv.DictReader(io.StringIO(get(".csv?type=fire.building_fire", chief).text)))
        assert [{**row, "places": int(row["places"])} for row in table] == [
            row for row in rows if row["type"] == "fire.building_fire"
        ]
        every = list(csv.DictReader(io.StringIO(get(".csv?type=fire.building_fire&each=1", chief).text)))
        assert len(every) == sum(int(row["places"]) for row in table)
        assert {row["county"] for row in every if row["cell"]} >= {MEIJIANG}


def test_the_command_line_has_a_summary_and_a_table(desk: Desk, tmp_path: Path) -> None:
    asked: Part = part(desk.here, None, domain="fire")
    lines = list(summary(asked))
    assert any(line.startswith("nobody for fire/") and f"({MEIJIANG})" in line for line in lines)
    assert lines[-1].startswith(f"{len(asked.types)} types in ")
    write(asked, str(tmp_path / "all.csv"), each=False)
    with (tmp_path / "all.csv").open(encoding="utf-8", newline="") as table:
        assert len(list(csv.DictReader(table))) == len(list(asked.grouped()))
