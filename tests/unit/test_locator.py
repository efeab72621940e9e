"""The locator gives the same answer as asking every polygon, edges and corners included, and says how sure it is."""

import json
import math

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geo.divisions import read_divisions
from geo.edition import load_edition
from geo.locator import Locator
from geo.reading import Scheme

# A city of 2 x 2 towns in 2 counties, sides of a quarter degree, whose corners are exact binary numbers.
ROWS = (
    "code,name,level,parent_code\nC,城,city,\nA,甲区,county,C\nB,乙县,county,C\n"
    "A1,东山镇,town,A\nA2,西山镇,town,A\nB1,东山镇,town,B\nB2,南山镇,town,B\nB3,无地镇,town,B\n"
)
X, Y, STEP = 116.0, 24.0, 0.25
TOWNS = {"A1": (0, 0), "A2": (0, 1), "B1": (1, 0), "B2": (1, 1)}


def box(column, row, wide=1, high=1):
    return shapely.box(X + column * STEP, Y + row * STEP, X + (column + wide) * STEP, Y + (row + high) * STEP)


def collection(rows, source="surveyed"):
    return json.dumps(
        {
            "type": "FeatureCollection",
            "features": [
                {
                    "type": "Feature",
                    "properties": {"code": code, "name": f"{code} name", "source": source},
                    "geometry": json.loads(shapely.to_geojson(polygon)),
                }
                for code, polygon in rows
            ],
        }
    )


def make(folder, levels, nested=True, **settings):
    (folder / "boundaries").mkdir(parents=True, exist_ok=True)
    (folder / "divisions.csv").write_text(ROWS, encoding="utf-8")
    for level, text in levels.items():
        (folder / f"boundaries/{level}.geojson").write_text(text, encoding="utf-8")
    divisions = read_divisions(folder / "divisions.csv")
    scheme = Scheme(tuple(levels), "EPSG:4548", nested)
    edition = load_edition(folder, divisions, scheme, cache_dir=folder / "cache", dated="2026-01-01")
    return Locator(edition, divisions, **settings)


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    counties = [("A", box(0, 0, 1, 2)), ("B", box(1, 0, 1, 2))]
    towns = [(code, box(*at)) for code, at in TOWNS.items()]
    levels = {"county": collection(counties), "town": collection(towns, "approximate")}
    return make(tmp_path_factory.mktemp("city"), levels, snap_m=50, near_m=10)


def metres_east(metres, lat=Y + STEP / 2):
    return metres / (111_320 * math.cos(math.radians(lat)))


def one(city, lng, lat, accuracy=None):
    return city.locate([lng], [lat], accuracy)[0]


def test_a_point_inside_is_contained_at_every_level(city):
    place = one(city, X + 0.1, Y + 0.1)
    assert place.codes == {"county": "A", "town": "A1", "village": None, "cell": None}
    assert (place.method, place.near_edge, place.candidates) == ("contains", False, ())


def test_edges_and_corners_go_to_the_lowest_code(city):
    assert one(city, X + STEP, Y + 0.1).codes["town"] == "A1"
    assert one(city, X + STEP, Y + STEP).codes["town"] == "A1"
    assert one(city, X + 0.1, Y + STEP).codes["town"] == "A1"
    assert one(city, X + STEP, Y + 2 * STEP).codes == {"county": "A", "town": "A2", "village": None, "cell": None}


def test_bulk_codes_equal_single_places(city):
    lng, lat = np.meshgrid(np.linspace(X - 0.1, X + 0.6, 29), np.linspace(Y - 0.1, Y + 0.6, 29))
    codes = city.codes(lng.ravel(), lat.ravel())
    places = [place.codes if place.method == "contains" else {} for place in city.locate(lng.ravel(), lat.ravel())]
    for level, found in codes.items():
        assert found.tolist() == [place.get(level) for place in places]


def test_a_point_near_an_edge_names_its_neighbours_with_shares(city):
    place = one(city, X + STEP - metres_east(4), Y + STEP / 2)
    assert place.near_edge
    assert [(c.level, c.code) for c in place.candidates] == [
        ("county", "A"), ("county", "B"), ("town", "A1"), ("town", "B1"),
    ]  # fmt: skip
    shares = [c.share for c in place.candidates]
    assert shares[0] + shares[1] == pytest.approx(1, abs=1e-3)
    assert shares[0] == pytest.approx(0.5 + (0.4 * math.sqrt(1 - 0.16) + math.asin(0.4)) / math.pi, abs=0.01)


def test_a_point_on_a_corner_has_four_equal_candidates(city):
    towns = [c for c in one(city, X + STEP, Y + STEP).candidates if c.level == "town"]
    assert {c.code for c in towns} == set(TOWNS)
    assert all(c.share == pytest.approx(0.25, abs=0.01) for c in towns)


def test_how_near_is_near_follows_the_accuracy(city):
    lng = X + STEP - metres_east(60)
    assert not one(city, lng, Y + 0.1).near_edge
    assert not one(city, lng, Y + 0.1, 50).near_edge
    assert one(city, lng, Y + 0.1, 70).near_edge
    both = city.locate([lng, lng, lng], [Y + 0.1] * 3, [np.nan, 50, 70])
    assert [place.near_edge for place in both] == [False, False, True]


def test_a_circle_far_larger_than_a_town_is_told_by_county(city):
    place = one(city, X + STEP, Y + STEP, 1e9)
    assert {c.level for c in place.candidates} <= {"county", "town"}
    assert sum(c.share for c in place.candidates if c.level == "county") <= 1.001


def test_a_point_just_outside_is_snapped_and_farther_ones_stay_outside(city):
    near, far = city.locate([X - metres_east(40), X - metres_east(60)], [Y + 0.1] * 2)
    assert (near.method, near.near_edge, near.codes["town"]) == ("snapped", True, "A1")
    assert (far.method, far.near_edge, far.codes["town"]) == ("outside", False, None)


def test_a_point_snapped_between_two_polygons_goes_to_the_lowest_code(city):
    assert one(city, X + STEP, Y - 0.0001).codes == {"county": "A", "town": "A1", "village": None, "cell": None}


@pytest.mark.parametrize("point", [(0, 0), (-63, 10), (180, 90), (-180, -90), (116, -24)])
def test_any_point_on_earth_is_answered(city, point):
    assert one(city, *point, 1e12).method == "outside"


def test_nothing_asked_is_nothing_answered(city):
    assert city.locate([], []) == []
    assert city.codes([], [])["town"].tolist() == []


def test_a_place_names_its_edition_and_whether_its_polygon_is_approximate(city):
    place = one(city, X + 0.1, Y + 0.1)
    assert place.edition == city.edition.id
    assert place.approximate
    told = place.as_dict()
    assert told["county"] == {"code": "A", "name": "A name"}
    assert told["cell"] is None
    assert told["wgs84"] == {"lng": X + 0.1, "lat": Y + 0.1}
    json.dumps(told)


def test_a_line_has_the_share_of_its_length_in_each_town(city):
    place = city.locate_geometry(shapely.LineString([(X + 0.15, Y + 0.1), (X + 0.45, Y + 0.1)]))
    assert place.method == "geometry"
    assert [(s.code, round(s.share, 2)) for s in place.shares] == [("B1", 0.67), ("A1", 0.33)]
    assert place.codes["county"] == "B"
    assert [c.code for c in place.candidates] == ["B", "A"]


def test_a_polygon_has_the_share_of_its_area_and_touching_counts(city):
    place = city.locate_geometry(shapely.box(X + 0.05, Y + 0.05, X + STEP, Y + 0.1))
    assert [(s.code, s.share) for s in place.shares] == [("A1", 1.0), ("B1", 0.0)]
    whole = city.locate_geometry(shapely.box(X, Y, X + 2 * STEP, Y + 2 * STEP))
    assert sum(s.share for s in whole.shares) == pytest.approx(1, abs=1e-3)
    assert len(whole.shares) == 4


def test_a_line_along_a_border_is_shared_by_both_sides_and_the_lowest_code_leads(city):
    place = city.locate_geometry(shapely.LineString([(X + STEP, Y + 0.05), (X + STEP, Y + 0.1)]))
    assert [(s.code, s.share) for s in place.shares] == [("A1", 0.5), ("B1", 0.5)]


def test_points_as_geometry_count_by_their_number(city):
    place = city.locate_geometry(shapely.MultiPoint([(X + 0.1, Y + 0.1), (X + 0.3, Y + 0.1), (X + 0.31, Y + 0.1)]))
    assert [(s.code, s.share) for s in place.shares] == [("B1", 0.6667), ("A1", 0.3333)]
    single = city.locate_geometry(shapely.Point(X + 0.1, Y + 0.1))
    assert (single.method, single.codes["town"]) == ("geometry", "A1")


def test_a_mixed_collection_is_measured_by_its_areas(city):
    mixed = shapely.GeometryCollection([shapely.Point(X + 0.4, Y + 0.1), box(0, 0).buffer(-0.05)])
    assert city.locate_geometry(mixed).codes["town"] == "A1"
    beyond = shapely.GeometryCollection([shapely.Point(X + 0.4, Y + 0.1), shapely.box(0, 0, 10, 10)])
    assert city.locate_geometry(beyond).codes["town"] == "B1"


@pytest.mark.parametrize("shape", [shapely.box(-180, -90, 180, 90), shapely.box(100, 10, 130, 40)])
def test_a_geometry_around_the_whole_city_has_every_town(city, shape):
    assert {s.code for s in city.locate_geometry(shape).shares} == set(TOWNS)


def test_a_geometry_elsewhere_is_outside(city):
    place = city.locate_geometry(shapely.box(0, 0, 1, 1))
    assert (place.method, place.shares) == ("outside", ())


def test_a_division_code_gives_everything_above_it_even_without_ground(city):
    place = city.locate_division("B3")
    assert (place.method, place.codes["town"], place.codes["county"], place.wgs84) == ("division", "B3", "B", None)
    assert city.locate_division("nowhere").method == "none"
    assert city.locate_division("C").method == "none"


def test_an_address_locates_when_it_names_one_division(city):
    assert city.locate_address("城市乙县东山镇3号").codes["town"] == "B1"
    assert city.locate_address("乙县东山镇").method == "address"
    place = city.locate_address("东山镇")
    assert place.method == "none"
    assert [(c.code, c.share) for c in place.candidates] == [("A1", 0.5), ("B1", 0.5)]
    assert city.locate_address("").candidates == ()


def test_levels_that_do_not_nest_are_each_asked_for_themselves(tmp_path):
    levels = {
        "county": collection([("A", box(0, 0, 2, 1)), ("B", box(0, 1, 2, 1))]),
        "town": collection([("A1", box(0, 0, 1, 2)), ("B1", box(1, 0, 1, 2))]),
    }
    city = make(tmp_path, levels, nested=False)
    assert one(city, X + 0.1, Y + 0.3).codes == {"county": "B", "town": "A1", "village": None, "cell": None}
    edge = one(city, X + 0.1, Y + STEP - 0.00001)  # near the counties' edge, far from the towns'
    assert edge.near_edge
    assert [c.code for c in edge.candidates] == ["A", "B"]
    assert one(city, X - 0.0001, Y + 0.3).codes == {"county": "B", "town": "A1", "village": None, "cell": None}


def brute_force(polygons, codes, lng, lat):
    """The lowest code of all polygons that cover the point, asking each one."""
    point = shapely.Point(lng, lat)
    return min((code for code, polygon in zip(codes, polygons, strict=True) if polygon.covers(point)), default=None)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(
    seeds=st.lists(st.tuples(st.integers(1, 63), st.integers(1, 63)), min_size=2, max_size=25, unique=True),
    asked=st.lists(st.tuples(st.integers(-4, 68), st.integers(-4, 68)), min_size=1, max_size=40),
)
def test_every_point_of_a_random_partition_equals_brute_force(tmp_path, seeds, asked):
    scale = np.array([X, Y]), 1 / 64
    frame = shapely.box(X, Y, X + 1, Y + 1)
    at = scale[0] + np.array(seeds) * scale[1]
    faces = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(at), extend_to=frame))
    faces = [part for part in shapely.intersection(faces, frame) if part.area > 0]
    codes = [f"c{number * 7 % 26:02d}" for number in range(len(faces))]
    city = make(tmp_path, {"cell": collection(list(zip(codes, faces, strict=True)))})
    corners = shapely.get_coordinates(faces)
    middles = (corners[1:] + corners[:-1]) / 2  # on an edge, as far as floating point goes
    points = np.concatenate([scale[0] + np.array(asked) * scale[1], corners, middles])
    layer = city.edition.layers["cell"]
    expected = [brute_force(layer.polygons, layer.codes, *point) for point in points]
    assert city.codes(points[:, 0], points[:, 1])["cell"].tolist() == expected
    found = city.locate(points[:, 0], points[:, 1])
    assert [p.codes["cell"] for p in found if p.method == "contains"] == [code for code in expected if code]
