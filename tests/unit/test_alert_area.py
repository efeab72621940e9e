"""The areas of CAP alerts, latitude first and radius in kilometres, become geometry or are refused with a reason."""

import math

import pytest
import shapely
from pyproj import Geod

from geo.alert_area import alert_area
from geo.geometry import GeometryError

SQUARE = "24.0,116.0 24.0,116.1 24.1,116.1 24.1,116.0 24.0,116.0"


def test_a_polygon_is_read_latitude_first() -> None:
    assert alert_area([SQUARE], []).equals(shapely.box(116.0, 24.0, 116.1, 24.1))


def test_a_circle_of_kilometres_is_as_large_on_the_ground() -> None:
    circle = alert_area([], ["24.29,116.12 5"])
    area, _ = Geod(ellps="WGS84").geometry_area_perimeter(circle)
    assert abs(area) == pytest.approx(math.pi * 5_000**2, rel=0.003)
    assert circle.centroid.coords[0] == pytest.approx((116.12, 24.29), abs=1e-5)


@pytest.mark.parametrize("radius", ["0", "0.0", "0.000"])
def test_a_circle_of_radius_0_is_a_point(radius: str) -> None:
    assert alert_area([], [f"24.29,116.12 {radius}"]) == shapely.Point(116.12, 24.29)


def test_several_areas_are_one_geometry_and_count_once_where_they_overlap() -> None:
    other = "24.0,116.05 24.0,116.15 24.1,116.15 24.1,116.05 24.0,116.05"
    whole = alert_area([SQUARE, other], ["23.0,115.0 0"])
    assert whole.area == pytest.approx(0.015)
    assert whole.intersects(shapely.Point(115.0, 23.0))


@pytest.mark.parametrize(
    ("polygons", "circles", "reason"),
    [
        ([], [], "no polygon and no circle"),
        (["24.0,116.0 24.0,116.1 24.1,116.1 24.1,116.0"], [], "not closed"),
        (["24.0,116.0 24.0,116.1 24.0,116.0"], [], "at least 4"),
        (["24.0,116.0 24.1,116.1 24.0,116.1 24.1,116.0 24.0,116.0"], [], "not valid"),
        (["116.0,24.0 116.1,24.0 116.1,24.1 116.0,24.0"], [], "pair of degrees"),
        (["24.0 116.0 24.0 116.1"], [], "pair of degrees"),
        (["nan,116.0 24.0,116.1 24.1,116.1 nan,116.0"], [], "pair of degrees"),
        ([""], [], "at least 4"),
        ([], ["24.29,116.12"], "lat,lon radius"),
        ([], ["24.29,116.12 -1"], "lat,lon radius"),
        ([], ["24.29,116.12 inf"], "lat,lon radius"),
        ([], ["24.29,116.12 24.3,116.1 5"], "lat,lon radius"),
        ([], ["0,179.99 50"], "date line"),
        ([" ".join(["24.0,116.0"] * 20_001)], [], "vertices"),
    ],
)
def test_what_is_no_area_is_refused_with_its_reason(polygons: list[str], circles: list[str], reason: str) -> None:
    with pytest.raises(GeometryError, match=reason) as caught:
        alert_area(polygons, circles)
    assert caught.value.remedy
