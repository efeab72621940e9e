"""Generated ground is a clean partition of the towns, the same every time, and coded as grid cells are."""

import json
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import shapely

from geo.cells import Town, generate, is_community, reading_order
from geo.divisions import read_divisions

PACK = Path(__file__).parents[2] / "citybrain/cities/meizhou"
DIVISIONS = read_divisions(PACK / "divisions.csv")


def towns(*codes):
    features = json.loads((PACK / "boundaries/town.geojson").read_text(encoding="utf-8"))["features"]
    found = []
    for feature in features:
        about = feature["properties"]
        if not codes or about["code"] in codes:
            polygon = shapely.from_geojson(json.dumps(feature["geometry"]))
            found.append(Town(about["code"], about["name"], polygon, (about["seat_lon"], about["seat_lat"])))
    return found


# Three towns that border each other, one of them in several parts, and a reservoir that has one village.
SOME = ("441402004", "441402006", "441402105", "441403500")


@pytest.fixture(scope="module")
def some():
    return generate(towns(*SOME), DIVISIONS)


@pytest.fixture(scope="module")
def city():
    return generate(towns(), DIVISIONS)


def polygons(pieces):
    return np.array([piece.polygon for piece in pieces], dtype=object)


def test_the_same_towns_give_the_same_cells(some):
    again = generate(list(reversed(towns(*SOME))), DIVISIONS)
    assert [piece.code for piece in again] == [piece.code for piece in some]
    assert shapely.to_wkb(polygons(again)).tolist() == shapely.to_wkb(polygons(some)).tolist()


def test_the_city_has_ten_to_twenty_thousand_cells_with_unique_codes(city):
    assert 10_000 <= len(city) <= 20_000
    assert len({piece.code for piece in city}) == len(city)
    assert [piece.code for piece in city] == sorted(piece.code for piece in city)


def test_cells_are_a_coverage_without_gap_or_overlap(city):
    shapes = polygons(city)
    assert shapely.is_valid(shapes).all()
    assert shapely.coverage_is_valid(shapes)
    ground = sum(town.polygon.area for town in towns())
    assert shapely.area(shapes).sum() == pytest.approx(ground, rel=1e-9)


def test_every_village_of_a_town_with_ground_has_cells(city):
    grounded = {piece.village for piece in city}
    assert grounded == {row.code for town in towns() for row in DIVISIONS.children(town.code)}
    for code in ("441423450", "441481002", "441481003"):  # no geometry, hence no ground
        assert not grounded & {row.code for row in DIVISIONS.children(code)}


def test_cells_lie_in_their_town(some):
    ground = {town.code: shapely.buffer(town.polygon, 1e-8) for town in towns(*SOME)}
    assert all(shapely.covers(ground[piece.town], piece.polygon) for piece in some)
    assert all(DIVISIONS.covers(piece.town, piece.village) for piece in some)


def test_a_code_is_the_village_and_a_serial_without_holes(city):
    serials = defaultdict(list)
    for piece in city:
        assert re.fullmatch(r"\d{15}", piece.code)
        assert piece.code[:12] == piece.village
        serials[piece.village].append(int(piece.code[12:]))
    assert all(found == list(range(1, len(found) + 1)) for found in serials.values())


def test_serials_run_west_to_east_in_rows_from_north_to_south():
    middles = np.array([(x, y) for y in (0.0, 1.0, 2.0) for x in (2.0, 0.0, 1.0)])
    assert [middles[place].tolist() for place in reading_order(middles)] == [
        [0, 2], [1, 2], [2, 2],
        [0, 1], [1, 1], [2, 1],
        [0, 0], [1, 0], [2, 0],
    ]  # fmt: skip


def test_first_serials_lie_north_of_the_last(some):
    by_village = defaultdict(list)
    for piece in some:
        by_village[piece.village].append(shapely.centroid(piece.polygon).y)
    assert all(found[0] > found[-1] for found in by_village.values() if len(found) >= 4)


def test_streets_have_smaller_cells_than_towns_in_the_mountains(city):
    areas = defaultdict(list)
    for piece in city:
        areas[piece.town].append(piece.polygon.area)
    street, mountain = np.median(areas["441402004"]), np.median(areas["441423108"])
    assert street * 5 < mountain


def test_communities_lie_nearer_the_town_seat_than_villages(some):
    for town in towns("441402105"):
        seat = shapely.Point(town.seat)
        away = defaultdict(list)
        for piece in some:
            if piece.town == town.code:
                away[is_community(DIVISIONS.get(piece.village))].append(seat.distance(shapely.centroid(piece.polygon)))
        assert np.mean(away[True]) < np.mean(away[False])


def test_a_town_without_villages_gets_no_cells():
    square = Town("X", "Nowhere", shapely.box(116, 24, 116.1, 24.1), (116.05, 24.05))
    assert generate([square], DIVISIONS) == []
