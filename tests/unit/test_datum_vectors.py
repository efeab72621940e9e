"""The shifted datums agree with what the known libraries publish as their own tests. Figures as these repositories have
them (November 2026); the code is nobody's but ours."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.datum import from_wgs84, to_wgs84

# googollee/eviltransform, python/test.py: lat, lng of WGS-84, then of GCJ-02.
EVILTRANSFORM = [
    (31.1774276, 121.5272106, 31.17530398364597, 121.531541859215),
    (22.543847, 113.912316, 22.540796131694766, 113.9171764808363),
    (39.911954, 116.377817, 39.91334545536069, 116.38404722455657),
]
# Its two BD-09 rows are left out: they lie 11 and 41 m beside Baidu's own values in the table below, because that
# formula takes sin(lat x pi) where Baidu's has sin(lat x pi x 3000 / 180).
# hujiulong/gcoord, test/fixtures/china-cities.json: WGS-84, GCJ-02, BD-09, seven digits each.
GCOORD = {
    "驻马店": ((114.0164322, 33.0133556), (114.022306, 33.0115324), (114.0287781, 33.0176697)),
    "那曲": ((92.0499619, 31.4784436), (92.0512438, 31.4762063), (92.0576832, 31.4824421)),
    "西昌": ((102.2658401, 27.8850446), (102.2673386, 27.8816151), (102.2738428, 27.8876621)),
    "郑州": ((113.6192856, 34.7478004), (113.6253334, 34.7466173), (113.6317519, 34.7528605)),
    "梅州": ((116.1174053, 24.2912377), (116.1222426, 24.2886182), (116.1287823, 24.2944828)),
    "汕尾": ((115.3702248, 22.7888255), (115.3751647, 22.7861903), (115.3817179, 22.7918527)),
    "沈阳": ((123.4253306, 41.8032629), (123.4314787, 41.8057023), (123.438095, 41.8114013)),
    "锡林浩特": ((116.0414035, 43.9312805), (116.0482308, 43.9334573), (116.0546232, 43.9397782)),
    "酒泉": ((98.4937175, 39.7319946), (98.4943595, 39.7328234), (98.5008441, 39.7388949)),
    "泉州": ((118.6711365, 24.8770487), (118.6756787, 24.8741363), (118.6821251, 24.8804872)),
    "钦州": ((108.6503952, 21.9828281), (108.6541485, 21.9799392), (108.6607283, 21.9856319)),
    "楚雄": ((101.5265949, 25.048566), (101.5280737, 25.0455363), (101.5344863, 25.0518094)),
}


def metres(a, b):
    east = (a[0] - b[0]) * 111_320 * np.cos(np.radians(b[1]))
    return np.hypot(east, (a[1] - b[1]) * 111_320)


@pytest.mark.parametrize(("lat", "lng", "gcj_lat", "gcj_lng"), EVILTRANSFORM)
def test_gcj02_is_what_eviltransform_publishes(lat, lng, gcj_lat, gcj_lng):
    assert from_wgs84(lng, lat, "gcj02") == pytest.approx((gcj_lng, gcj_lat), abs=1e-11)
    assert metres(to_wgs84(gcj_lng, gcj_lat, "gcj02"), (lng, lat)) < 1e-4


def test_both_shifts_are_what_coordtransform_publishes():
    """wandergis/coordtransform, test/app.js: 116.404, 39.915 taken as WGS-84, and as GCJ-02."""
    assert from_wgs84(116.404, 39.915, "gcj02") == pytest.approx((116.41024449916938, 39.91640428150164), abs=1e-11)
    as_wgs84 = to_wgs84(116.404, 39.915, "gcj02")
    assert from_wgs84(*as_wgs84, "bd09") == pytest.approx((116.41036949371029, 39.92133699351021), abs=1e-9)


@pytest.mark.parametrize("city", GCOORD)
def test_cities_all_over_china_are_within_a_metre_of_gcoords_table(city):
    wgs84, gcj02, bd09 = GCOORD[city]
    assert metres(from_wgs84(*wgs84, "gcj02"), gcj02) < 1
    assert metres(from_wgs84(*wgs84, "bd09"), bd09) < 1
    assert metres(to_wgs84(*gcj02, "gcj02"), wgs84) < 1
    assert metres(to_wgs84(*bd09, "bd09"), wgs84) < 1


@pytest.mark.parametrize("datum", ["gcj02", "bd09"])
def test_the_inverse_is_exact_on_a_grid_over_the_whole_of_china(datum):
    lng, lat = (each.ravel() for each in np.meshgrid(np.arange(73.3, 135.2, 0.19), np.arange(3.4, 53.7, 0.19)))
    there = from_wgs84(lng, lat, datum)
    assert metres(to_wgs84(*there, datum), (lng, lat)).max() < 1e-6
    back = to_wgs84(lng, lat, datum)
    assert metres(from_wgs84(*back, datum), (lng, lat)).max() < 1e-6


@given(st.floats(-180, 180), st.floats(-85, 85))
def test_outside_the_rectangle_round_china_gcj02_is_wgs84(lng, lat):
    inside = 72.004 <= lng <= 137.8347 and 0.8293 <= lat <= 55.8271
    shifted = from_wgs84(lng, lat, "gcj02")
    assert inside or (float(shifted[0]), float(shifted[1])) == (lng, lat)
    assert math.isfinite(float(shifted[0]) + float(shifted[1]))


def test_feet_and_southern_metres_are_read_easting_first():
    """Boston's City Hall in Massachusetts State Plane, US survey feet; Rio's Corcovado in SIRGAS 2000, UTM 23S."""
    assert metres(to_wgs84(775_626.3, 2_956_668.5, "epsg:2249"), (-71.0580, 42.3604)) < 1
    assert metres(to_wgs84(683_476.5, 7_460_687.3, "epsg:31983"), (-43.2105, -22.9519)) < 1
