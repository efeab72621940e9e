"""Editions in the store: whole, immutable, one in use; on both kinds of store."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from plots import Plots, write
from postgres import both_stores, refusing
from sqlalchemy import func, insert, select

from citybrain.city import load_city
from citybrain.domain import load_domains
from citybrain.editions import listing
from citybrain.editions.loading import load
from citybrain.problem import Problem
from citybrain.store.edition_tables import edition_pieces, edition_uses, editions
from geo.reading import Given

pytestmark = both_stores
OLD, NEW = Plots(seed=1), Plots(seed=2, prefix="N")
AT = NEW.rows["N0000"][1].centroid


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("plots")
    found = load_city(OLD.write(folder / "pack"))
    return found, load_domains({}), found.locator(folder / "editions")


@pytest.fixture
def desk(tmp_path: Path, new_desk: Any, city: Any, store_kind: str, request: pytest.FixtureRequest) -> Iterator[Desk]:
    url = request.getfixturevalue("postgres").database() if store_kind == "postgresql" else None
    made: Desk = new_desk(tmp_path, url, others=city)
    city[0].edition(tmp_path / "editions")
    yield made
    made.here.store.close()


def new_edition(desk: Desk, folder: Path, **more: Any) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    given = [
        Given(write(folder / "county", NEW.county_features()), "county", "county"),
        Given(write(folder / "town", more.get("towns", NEW.town_features())), "town", "town"),
    ]
    return load(desk.here, given, name="new", dated="2027-01-01", actor="liu", progress=lambda *_: None)


def rows(desk: Desk) -> list[int]:
    with desk.here.store.read() as tx:
        return [
            tx.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (editions, edition_pieces, edition_uses)
        ]


def test_what_was_activated_is_in_use_on_every_host_and_what_it_replaced_is_kept(desk: Desk, tmp_path: Path) -> None:
    own = desk.here.city.own_edition
    new = new_edition(desk, tmp_path / "sent")["id"]
    assert listing.take(desk.here, new, "liu")
    assert not listing.take(desk.here, new, "liu")
    place = desk.here.locator.locate([AT.x], [AT.y])[0]
    assert (place.edition, place.codes["town"]) == (new, "N0000")
    assert place.town is not None
    assert place.town.name == "镇N0000"

    config = replace(desk.here.config, data=tmp_path / "another host")
    elsewhere = replace(desk.here, config=config, _stored={})
    assert elsewhere.locator.edition.id == new
    old = elsewhere.locator_of(own)
    assert old is not None
    assert old.edition.layers["town"].codes.tolist() == OLD.codes
    assert listing.take(desk.here, own, "chen")
    elsewhere.take_up()
    assert elsewhere.locator.edition.id == own
    assert [(each["id"], each["in_use"]) for each in listing.listed(desk.here)] == [(own, True), (new, False)] or [
        (each["id"], each["in_use"]) for each in listing.listed(desk.here)
    ] == [(new, False), (own, True)]
    assert [(actor, action) for actor, action in desk.story("city") if action.startswith("edition")] == [
        ("liu", "edition.loaded"),
        ("city pack", "edition.loaded"),
        ("liu", "edition.activated"),
        ("chen", "edition.activated"),
    ]
    assert desk.broken() == []


def test_editions_are_listed_page_by_page_the_newest_first_and_the_pack_s_own_once(desk: Desk) -> None:
    plain = {"name": "e", "valid": False, "report": {}, "faults": "{}", "bytes": 0, "sha256": "", "loaded_by": "liu"}
    with desk.here.store.write() as tx:
        tx.execute(insert(editions), [{"id": f"e{n}", "loaded_at": 1 + n // 2, **plain} for n in range(5)])
    pages = [listing.listed_page(desk.here, None, 2)]
    while cursor := pages[-1]["next"]:
        pages.append(listing.listed_page(desk.here, cursor, 2))
    found = [[item["id"] for item in page["items"]] for page in pages]
    assert found == [["e4", "e2"], ["e3", "e0"], ["e1", desk.here.city.own_edition]]
    own = pages[-1]["items"][-1]
    assert (own["valid"], own["loaded_at"], own["in_use"], own["used"]) == (True, None, True, None)
    assert listing.listed(desk.here) == [item for page in pages for item in page["items"]]


def test_an_edition_with_errors_has_a_report_and_no_content(desk: Desk, tmp_path: Path) -> None:
    towns = [*NEW.town_features(), NEW.town_features()[0]]
    report = new_edition(desk, tmp_path / "sent", towns=towns)
    assert not report["valid"]
    assert rows(desk) == [1, 0, 0]
    with pytest.raises(Problem, match="has errors") as refused:
        listing.take(desk.here, report["id"], "liu")
    assert refused.value.status == 409
    assert refused.value.extra["report"]["items"][0]["code"] == "N0000"
    assert desk.here.edition_in_use() == desk.here.city.own_edition


def test_nothing_is_stored_by_half(desk: Desk, tmp_path: Path) -> None:
    with refusing(desk.here.store, "edition_pieces"), pytest.raises(Exception, match="no"):
        new_edition(desk, tmp_path / "sent")
    assert rows(desk) == [0, 0, 0]
    assert new_edition(desk, tmp_path / "sent")["valid"]


def test_a_geometry_that_was_placed_before_the_change_is_placed_in_the_batch_s_edition(
    desk: Desk, tmp_path: Path
) -> None:
    from citybrain.intake.placing import check_location, locate
    from citybrain.intake.report import Location

    new = new_edition(desk, tmp_path / "sent")["id"]
    shape = {"type": "Point", "coordinates": [AT.x, AT.y]}
    spots = [check_location(Location.model_validate({"geometry": shape, "datum": "wgs84"}), None, desk.here)]
    listing.take(desk.here, new, "liu")
    spots.append(check_location(Location.model_validate({"lng": AT.x, "lat": AT.y}), "wgs84", desk.here))
    assert {(place.edition, place.codes["town"]) for place in locate(spots, desk.here.locator)} == {(new, "N0000")}


def test_open_cases_keep_the_edition_they_were_located_in(desk: Desk, tmp_path: Path) -> None:
    case = desk.open(location={"lng": AT.x, "lat": AT.y, "datum": "wgs84"})
    listing.take(desk.here, new_edition(desk, tmp_path / "sent")["id"], "liu")
    assert desk.case(case.id).place["edition"] == desk.here.city.own_edition
    later = desk.open(location={"lng": AT.x, "lat": AT.y, "datum": "wgs84"})
    assert (later.town, later.place["edition"]) == ("N0000", desk.here.locator.edition.id)
