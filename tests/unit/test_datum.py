"""Coordinates of every declared datum come out as WGS-84, to the metre against references and exactly both ways."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.datum import UnknownDatum, check_datum, from_wgs84, to_wgs84

REFERENCES = [  # WGS-84, GCJ-02, BD-09
    ((116.1174053, 24.2912377), (116.1222426, 24.2886182), (116.1287823, 24.2944828)),
    ((116.6184049, 23.6594433), (116.6227694, 23.6566973), (116.6292404, 23.6629172)),
    ((113.2590543, 23.131788), (113.2643859, 23.1291146), (113.2708188, 23.135343)),
]
CHINA = st.tuples(st.floats(74.0, 134.0), st.floats(4.0, 53.0))


def metres(a, b):
    east = (float(a[0]) - float(b[0])) * 111_320 * math.cos(math.radians(float(b[1])))
    return math.hypot(east, (float(a[1]) - float(b[1])) * 111_320)


@pytest.mark.parametrize(("wgs84", "gcj02", "bd09"), REFERENCES)
def test_reference_points_agree_within_a_metre(wgs84, gcj02, bd09):
    assert metres(to_wgs84(*gcj02, "gcj02"), wgs84) < 1
    assert metres(to_wgs84(*bd09, "bd09"), wgs84) < 1
    assert metres(from_wgs84(*wgs84, "gcj02"), gcj02) < 1
    assert metres(from_wgs84(*wgs84, "bd09"), bd09) < 1


def test_gcj02_agrees_with_the_published_formula():
    assert from_wgs84(121.5272106, 31.1774276, "gcj02") == pytest.approx(
        (121.531541859215, 31.17530398364597), abs=1e-12
    )


@given(CHINA, st.sampled_from(["gcj02", "bd09"]))
def test_shifted_datums_round_trip_below_a_millimetre(point, datum):
    assert metres(to_wgs84(*from_wgs84(*point, datum), datum), point) < 0.001
    assert metres(from_wgs84(*to_wgs84(*point, datum), datum), point) < 0.001


@given(st.floats(115.0, 118.0), st.floats(22.0, 26.0), st.sampled_from(["epsg:4548", "epsg:4527", "cgcs2000"]))
def test_projected_datums_round_trip_below_a_millimetre(lng, lat, datum):
    assert metres(to_wgs84(*from_wgs84(lng, lat, datum), datum), (lng, lat)) < 0.001


def test_projected_coordinates_are_easting_first():
    east, north = from_wgs84(116.1174053, 24.2912377, "epsg:4548")
    assert 400_000 < east < 420_000
    assert 2_600_000 < north < 2_700_000


def test_cgcs2000_is_wgs84_within_metres():
    assert metres(to_wgs84(116.1, 24.3, "cgcs2000"), (116.1, 24.3)) < 2


def test_wgs84_comes_back_untouched_and_in_the_same_shape():
    lng, lat = to_wgs84(np.array([116.1, 116.2]), np.array([24.1, 24.2]), "WGS84")
    assert lng.tolist() == [116.1, 116.2]
    assert lat.tolist() == [24.1, 24.2]


def test_many_points_at_once_equal_one_at_a_time():
    lng, lat = np.linspace(115.5, 117, 50), np.linspace(23.5, 24.9, 50)
    east, north = to_wgs84(lng, lat, "bd09")
    assert [(e, n) for e, n in zip(east, north, strict=True)] == [
        to_wgs84(e, n, "bd09") for e, n in zip(lng, lat, strict=True)
    ]


def test_outside_china_gcj02_shifts_nothing():
    assert to_wgs84(2.35, 48.85, "gcj02") == (2.35, 48.85)


@pytest.mark.parametrize(
    "name", ["", "wgs-84", "epsg:", "epsg:999999", "epsg:4978", "epsg:5773", "epsg:12", None, 4326, "+proj=x"]
)
def test_unknown_datum_is_refused_naming_the_known_ones(name):
    with pytest.raises(UnknownDatum, match=r"wgs84, cgcs2000, gcj02, bd09 or epsg:NNNN"):
        check_datum(name)


def test_coordinates_outside_a_projection_are_not_finite_rather_than_wrong():
    lng, _ = to_wgs84(1e30, 1e30, "epsg:4548")
    assert not np.isfinite(lng)
