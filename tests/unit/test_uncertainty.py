"""How surely a place is known is told in metres and shares: the edges near a point, its neighbours with their distance,
what of a circle, line or area lies in which polygon, and what lies in none."""

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from packs import locator_of, write_pack
from test_unseen_city import partition, ragged

from geo.datum import project
from geo.locator import Locator

BOXES = {
    "tropics": (116.0, 24.0, 116.3, 24.3),
    "far north": (25.2, 69.9, 25.8, 70.1),  # a degree of longitude is a third of one of latitude
    "far south": (-68.4, -54.9, -68.2, -54.7),
}


@pytest.fixture(scope="module", params=BOXES)
def city(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Locator, Any]:
    box, rng = BOXES[request.param], np.random.default_rng(11)
    county = [(f"C{number}", "here", face) for number, face in enumerate(ragged(rng, box, 9))]
    cells = [(f"E{number:03d}", "here", face) for number, face in enumerate(partition(rng, box, 150))]
    pack = write_pack(tmp_path_factory.mktemp("pack"), {"county": county, "cell": cells})
    return locator_of(pack, snap_m=40.0, near_m=10.0), box


def around(city: Locator, box: Any, count: int, seed: int) -> Any:
    """Points all over the city and a little beyond, half of them within some metres of an edge."""
    rng = np.random.default_rng(seed)
    corners = np.vstack([shapely.get_coordinates(layer.polygons) for layer in city.edition.layers.values()])
    at = rng.integers(0, len(corners) - 1, count)
    edges = corners[at] + rng.random((count, 1)) * (corners[at + 1] - corners[at])
    metres = 1 / (111_320 * np.array([np.cos(np.radians(box[1])), 1.0]))
    anywhere = rng.uniform((box[0] - 0.001, box[1] - 0.001), (box[2] + 0.001, box[3] + 0.001), (count, 2))
    return np.vstack([anywhere, edges + rng.normal(0, 30, (count, 2)) * metres])


def in_metres(city: Locator, xy: Any) -> Any:
    return shapely.points(*project(xy[:, 0], xy[:, 1], "epsg:4326", city.crs))


def test_near_an_edge_is_what_measuring_to_every_edge_says(city: Any) -> None:
    here, box = city
    xy = around(here, box, 1_500, 1)
    points = in_metres(here, xy)
    radius = np.random.default_rng(2).choice([0.0, 10.0, 15.0, 60.0], len(xy))
    places = here.locate(xy[:, 0], xy[:, 1], radius)
    expected = np.zeros(len(xy), dtype=bool)
    for level, layer in here.edition.layers.items():
        index = {code: number for number, code in enumerate(layer.codes)}
        mine = np.array([index.get(place.codes[level], -1) for place in places])
        edge = shapely.boundary(layer.projected)[mine]
        expected |= (mine >= 0) & (shapely.distance(edge, points) <= np.maximum(radius, 10.0))
    expected |= [place.method == "snapped" for place in places]
    assert [place.near_edge for place in places] == expected.tolist()
    assert 0.1 < expected.mean() < 0.9


def test_one_point_at_a_time_gives_what_all_at_once_give(city: Any) -> None:
    here, box = city
    xy = around(here, box, 150, 3)
    radius = np.random.default_rng(4).choice([0.0, 25.0, 400.0], len(xy))
    together = here.locate(xy[:, 0], xy[:, 1], radius)
    assert [here.locate([x], [y], r)[0] for (x, y), r in zip(xy.tolist(), radius.tolist(), strict=True)] == together
    assert {"contains", "snapped"} <= {place.method for place in together}


def test_candidates_are_all_within_reach_with_their_distance_and_the_shares_make_one(city: Any) -> None:
    here, box = city
    xy = around(here, box, 400, 5)
    places, points = here.locate(xy[:, 0], xy[:, 1], 25.0), in_metres(here, xy)
    seen = 0
    for place, point in zip(places, points, strict=True):
        for level, layer in here.edition.layers.items():
            told = {each.code: each for each in place.candidates if each.level == level}
            if not told:
                continue
            seen += 1
            away = dict(zip(layer.codes, shapely.distance(layer.projected, point).tolist(), strict=True))
            reach = max(25.0, (place.snapped_m or 0.0) + 10.0)
            assert set(told) == {code for code, metres in away.items() if metres <= reach}
            assert all(each.distance_m == pytest.approx(away[code], abs=0.006) for code, each in told.items())
            shares = sum(each.share for each in told.values()) + place.uncovered.get(level, 0.0)
            assert shares == pytest.approx(1.0, abs=1e-9)
    assert seen > 100


def test_a_snapped_point_says_how_far_it_was_moved(city: Any) -> None:
    here, box = city
    xy = around(here, box, 1_000, 6)
    places, points = here.locate(xy[:, 0], xy[:, 1]), in_metres(here, xy)
    whole = shapely.union_all(np.concatenate([layer.projected for layer in here.edition.layers.values()]))
    away = shapely.distance(whole, points).tolist()
    assert {place.method for place in places} == {"contains", "snapped", "outside"}
    for place, metres in zip(places, away, strict=True):
        if place.method == "snapped":
            assert place.snapped_m == pytest.approx(metres, abs=0.03)
            assert place.near_edge
            assert any(each.distance_m for each in place.candidates)
        assert (place.method == "outside") == (metres > 40)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), area=st.booleans(), times=st.sampled_from([0.05, 0.4, 1.5]))
def test_shares_of_lines_and_areas_make_one_with_what_lies_in_no_polygon(
    small: tuple[Locator, Any], seed: int, area: bool, times: float
) -> None:
    here, box = small
    rng = np.random.default_rng(seed)
    corner = rng.uniform(box[:2], box[2:])
    path = corner + rng.normal(0, 0.3 * times, (5, 2))
    shape = shapely.convex_hull(shapely.multipoints(path)) if area else shapely.linestrings(path)
    place = here.locate_geometry(shape)
    touched = {code for code, each in zip(*small_cells(here), strict=True) if each.intersects(shape)}
    assert {each.code for each in place.shares} == touched
    if touched:
        assert sum(each.share for each in place.shares) + place.uncovered.get("cell", 0) == pytest.approx(1, abs=1e-9)
        assert place.codes["cell"] == place.shares[0].code
        assert list(place.shares) == sorted(place.shares, key=lambda each: (-each.share, each.code))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Locator, Any]:
    box = BOXES["tropics"]
    cells = [
        (f"E{number:03d}", "here", face) for number, face in enumerate(partition(np.random.default_rng(1), box, 60))
    ]
    return locator_of(write_pack(tmp_path_factory.mktemp("pack"), {"cell": cells})), box


def small_cells(here: Locator) -> tuple[Any, Any]:
    layer = here.edition.layers["cell"]
    return layer.codes, layer.polygons
