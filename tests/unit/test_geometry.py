"""Posted geometry is read or refused with a reason; nothing posted crashes the process."""

import json

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.datum import UnknownDatum
from geo.geometry import MAX_VERTICES, GeometryError, geometry_to_wgs84, parse_geometry

SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]


@pytest.mark.parametrize(
    "good",
    [
        {"type": "Point", "coordinates": [116.1, 24.3]},
        {"type": "Point", "coordinates": [116.1, 24.3, 88.0]},
        {"type": "MultiPoint", "coordinates": [[116.1, 24.3], [116.2, 24.3]]},
        {"type": "LineString", "coordinates": [[0, 0], [1, 1]]},
        {"type": "MultiLineString", "coordinates": [[[0, 0], [1, 1]], [[2, 2], [3, 3]]]},
        {"type": "Polygon", "coordinates": [SQUARE, [[0.2, 0.2], [0.4, 0.2], [0.4, 0.4], [0.2, 0.2]]]},
        {"type": "MultiPolygon", "coordinates": [[SQUARE]]},
        {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [0, 0]}]},
    ],
)
def test_every_kind_of_geometry_is_read_as_shapely_reads_it(good):
    assert parse_geometry(good).equals(shapely.force_2d(shapely.from_geojson(json.dumps(good))))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (None, "JSON object"),
        ([], "JSON object"),
        ({"type": "Circle"}, "geometry type"),
        ({"type": ["Point"]}, "geometry type"),
        ({"type": "Feature", "geometry": None}, "geometry type"),
        ({"type": "Point"}, "not \\[lng, lat\\]"),
        ({"type": "Point", "coordinates": []}, "not \\[lng, lat\\]"),
        ({"type": "Point", "coordinates": [True, 1]}, "no number"),
        ({"type": "Point", "coordinates": ["1", 1]}, "no number"),
        ({"type": "Point", "coordinates": [float("nan"), 1]}, "not finite"),
        ({"type": "Point", "coordinates": [1, float("inf")]}, "not finite"),
        ({"type": "Point", "coordinates": [10**400, 1]}, "far too large"),
        ({"type": "Point", "coordinates": [1e300, 1]}, "outside every"),
        ({"type": "LineString", "coordinates": [[0, 0]]}, "at least 2"),
        ({"type": "LineString", "coordinates": [[0, 0], [0, 0]]}, "not valid"),
        ({"type": "Polygon", "coordinates": [SQUARE[:-1]]}, "not closed"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0]]]}, "at least 4"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}, "Self-intersection"),
        ({"type": "Polygon", "coordinates": []}, "empty"),
        ({"type": "GeometryCollection", "geometries": []}, "empty"),
        ({"type": "GeometryCollection", "geometries": {}}, "not a JSON array"),
        ({"type": "MultiPoint", "coordinates": [[0, 0]] * (MAX_VERTICES + 1)}, "vertices"),
    ],
)
def test_what_is_no_usable_geometry_is_refused_with_its_reason(bad, reason):
    with pytest.raises(GeometryError, match=reason) as caught:
        parse_geometry(bad)
    assert caught.value.remedy


@pytest.mark.parametrize("depth", [17, 1_000, 100_000])
@pytest.mark.parametrize("shape", ["collection", "array"])
def test_deep_nesting_is_refused_before_shapely_sees_it(depth, shape):
    deep = {"type": "Point", "coordinates": [0, 0]} if shape == "collection" else [0, 0]
    for _ in range(depth):
        deep = {"type": "GeometryCollection", "geometries": [deep]} if shape == "collection" else [deep]
    with pytest.raises(GeometryError, match="deep"):
        parse_geometry(deep if shape == "collection" else {"type": "Polygon", "coordinates": deep})
    while isinstance(deep, dict | list):  # taken apart by hand: freeing it at once recurses
        deep = (
            deep["geometries"][0]
            if isinstance(deep, dict) and "geometries" in deep
            else deep[0]
            if isinstance(deep, list)
            else None
        )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from([0, 1, 2]),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from(["type", "coordinates", "geometries", "x"]), inner)
    ),
    max_leaves=40,
)
KINDS = ["Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection"]
NUMBERS = st.lists(st.sampled_from([0, 1, 2, 0.5, -1e9, 1e9, 5e-324]), min_size=2, max_size=2)
RINGS = st.lists(NUMBERS, min_size=3, max_size=6).map(lambda ring: [*ring, ring[0]])


@settings(max_examples=400, deadline=None)
@given(
    JSON
    | st.fixed_dictionaries({"type": st.sampled_from(KINDS), "coordinates": JSON, "geometries": JSON})
    | st.fixed_dictionaries({"type": st.just("Polygon"), "coordinates": st.lists(RINGS, max_size=3)})
    | st.fixed_dictionaries(
        {"type": st.just("MultiPolygon"), "coordinates": st.lists(st.lists(RINGS, max_size=3), max_size=3)}
    )
    | st.fixed_dictionaries({"type": st.just("LineString"), "coordinates": st.lists(NUMBERS, max_size=5)})
)
def test_any_json_value_is_read_or_refused_and_nothing_else(value):
    try:
        geometry = parse_geometry(value)
    except GeometryError:
        return
    assert geometry.is_valid
    assert not geometry.is_empty


def test_a_whole_geometry_is_turned_to_wgs84():
    turned = geometry_to_wgs84(shapely.LineString([(116.1222426, 24.2886182), (116.6227694, 23.6566973)]), "gcj02")
    assert shapely.equals_exact(
        turned, shapely.LineString([(116.1174053, 24.2912377), (116.6184049, 23.6594433)]), 1e-5
    )


def test_a_geometry_in_an_unknown_datum_is_refused():
    with pytest.raises(UnknownDatum):
        geometry_to_wgs84(shapely.Point(0, 0), "mars")


def test_a_geometry_outside_its_projection_is_refused():
    with pytest.raises(GeometryError, match="domain"):
        geometry_to_wgs84(shapely.Point(9e8, 9e8), "epsg:4548")
