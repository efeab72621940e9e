"""The raster gives the same answer as asking every polygon, whatever the polygons and wherever the point."""

import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.covering import NONE, Covering
from geo.layer import objects
from geo.raster import finder
from geo.rasterise import rasterise


def asked_one_by_one(polygons, xy):
    """The lowest polygon that covers each point, asked of shapely without any index."""
    points = shapely.points(xy)
    found = np.full(len(xy), NONE)
    for number in range(len(polygons) - 1, -1, -1):
        found[shapely.covers(polygons[number], points)] = number
    return found.tolist()


def answers(polygons, xy, boxes):
    covering = Covering(objects(polygons))
    raster = rasterise(covering, boxes)
    find = finder(raster, covering)
    bulk = raster.locate(xy[:, 0].copy(), xy[:, 1].copy(), covering).tolist()
    assert [find(x, y) for x, y in xy.tolist()] == bulk
    return bulk


def telling_points(polygons, raster_lines, rng):
    """Corners, points on edges, their nearest neighbours among the numbers, and points all over and around."""
    corners = shapely.get_coordinates(polygons)
    along = rng.random((len(corners) - 1, 1))
    on_edges = corners[:-1] + along * (corners[1:] - corners[:-1])
    middles = (corners[:-1] + corners[1:]) / 2
    west, south, east, north = shapely.total_bounds(polygons)
    reach = max(east - west, north - south)
    around = rng.uniform((west - reach / 4, south - reach / 4), (east + reach / 4, north + reach / 4), (300, 2))
    on_lines = np.column_stack([rng.choice(raster_lines[0], 100), rng.choice(raster_lines[1], 100)])
    exact = np.vstack([corners, on_edges, middles])
    beside = [np.nextafter(exact, exact + rng.choice([-1, 1], exact.shape)) for _ in range(2)]
    return np.vstack([exact, *beside, around, on_lines])


def box_lines(polygons, boxes):
    raster = rasterise(Covering(objects(polygons)), boxes)
    (west, south, a_lng, a_lat), (rows, columns, _) = raster.frame, raster.shape
    return west + np.arange(columns + 1) / a_lng, south + np.arange(rows + 1) / a_lat


def same_everywhere(polygons, boxes, seed):
    rng = np.random.default_rng(seed)
    xy = telling_points(polygons, box_lines(polygons, boxes), rng)
    assert answers(polygons, xy, boxes) == asked_one_by_one(polygons, xy)


seeds, sizes = st.integers(0, 10_000), st.sampled_from([4, 30, 400, 5_000])


@settings(max_examples=60, deadline=None)
@given(seed=seeds, boxes=sizes, count=st.integers(2, 40))
def test_a_random_partition(seed, boxes, count):
    sites = np.random.default_rng(seed).uniform((115.5, 23.5), (117.0, 25.0), (count, 2))
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(sites)))
    same_everywhere(list(cells), boxes, seed)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, boxes=sizes, across=st.integers(1, 6), scale=st.sampled_from([1.0, 0.1, 1 / 3]))
def test_squares_whose_edges_run_along_the_boxes(seed, boxes, across, scale):
    squares = [shapely.box(x * scale, y * scale, (x + 1) * scale, (y + 1) * scale)
               for x in range(across) for y in range(across)]  # fmt: skip
    same_everywhere(squares, boxes, seed)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, boxes=sizes)
def test_overlaps_holes_islands_and_slivers(seed, boxes):
    rng = np.random.default_rng(seed)

    def star(points):
        turns = np.linspace(0, 2 * math.pi, points, endpoint=False)
        reach = rng.uniform(0.2, 1.0, points)
        return shapely.make_valid(shapely.Polygon(
            rng.uniform(0, 2, 2) + np.column_stack([reach * np.cos(turns), reach * np.sin(turns)])
        ))  # fmt: skip

    polygons = [star(int(rng.integers(3, 14))) for _ in range(4)]
    polygons.append(shapely.box(0, 0, 2, 2).difference(shapely.Point(1, 1).buffer(0.5, quad_segs=4)))
    polygons.append(shapely.MultiPolygon([shapely.box(-1, -1, -0.9, -0.9), shapely.box(1.9, 1.9, 2.5, 2.6)]))
    polygons.append(shapely.Polygon([(0, 0), (2, 2), (2, 2 + 1e-9)]))
    polygons = [polygon for polygon in polygons if polygon.geom_type in ("Polygon", "MultiPolygon")]
    same_everywhere(polygons, boxes, seed)


@pytest.mark.parametrize("far", [(0.0, 0.0), (-180.0, -90.0), (180.0, 90.0), (1e300, -1e300)])
def test_any_finite_point_is_answered(far):
    assert answers([shapely.box(116, 24, 117, 25)], np.array([far]), None) == [NONE]


def test_a_thousand_points_more_than_a_step_are_answered_in_their_order():
    from geo.raster import STEP

    xy = np.random.default_rng(3).uniform(0, 4, (STEP + 1_000, 2))
    squares = [shapely.box(x, y, x + 1, y + 1) for x in range(3) for y in range(3)]
    assert answers(squares, xy, 300) == asked_one_by_one(squares, xy)


def test_the_size_of_the_tables_is_bounded():
    from geo.rasterise import MOST_BOXES, MOST_FINER

    rng = np.random.default_rng(5)
    cells = list(shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(rng.random((20_000, 2))))))
    raster = rasterise(Covering(objects(cells)))
    assert raster.table.size <= 1.01 * MOST_BOXES
    assert raster.finer.size <= MOST_FINER
    assert raster.table.dtype == raster.finer.dtype == np.int32


@pytest.mark.parametrize("most", [0, 5_000, 20_000])
def test_finer_boxes_that_find_no_room_change_no_answer(most):
    rng = np.random.default_rng(6)
    cells = list(shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(rng.random((300, 2))))))
    covering = Covering(objects(cells))
    raster = rasterise(covering, 400, most)
    assert raster.finer.size <= max(most, 400)
    xy = telling_points(cells, box_lines(cells, 400), rng)
    expected = asked_one_by_one(cells, xy)
    assert raster.locate(xy[:, 0].copy(), xy[:, 1].copy(), covering).tolist() == expected
    assert [finder(raster, covering)(x, y) for x, y in xy.tolist()] == expected
