"""What is wrong with boundaries is found, named, placed and measured; and nothing else is found."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from plots import ENVELOPE, Plots, feature, write

from geo.changes import mapping
from geo.compile import Outcome, compile_files
from geo.fault import map_layer
from geo.reading import Given, Scheme

SCHEME = Scheme(("county", "town"), "EPSG:4548", envelope=ENVELOPE)


def outcome(folder: Path, plots: Plots, towns: list[dict[str, Any]], **more: Any) -> Outcome:
    files = [
        Given(write(folder / "county.geojson", plots.county_features()), "county", "county.geojson"),
        Given(write(folder / "town.geojson", towns), "town", "town.geojson"),
    ]
    return compile_files(files, plots.divisions(), SCHEME, **more)


def found(made: Outcome) -> set[tuple[str, str, bool]]:
    return {(fault.kind, fault.code, fault.error) for fault in made.faults}


def beside(plots: Plots, code: str) -> tuple[str, Any]:
    """A neighbour in the same county, and the border between the two."""
    home, shape = plots.rows[code]
    for other, (county, polygon) in plots.rows.items():
        border = shape.intersection(polygon)
        if other != code and county == home and border.geom_type == "LineString":
            return other, border
    raise AssertionError


def plant(kind: str, plots: Plots, towns: list[dict[str, Any]], at: int) -> set[tuple[str, str, bool]]:
    """Makes one fault at the town number `at`, and says what should be found."""
    code = plots.codes[at]
    home, shape = plots.rows[code]
    ring = shapely.get_coordinates(shape)
    if kind in ("overlap", "small overlap"):
        other, border = beside(plots, code)
        middle, aim = shapely.get_coordinates([border.centroid, plots.rows[other][1].centroid])
        tip = middle + (aim - middle) * (1.0 if kind == "overlap" else 0.02)
        part = shapely.Polygon([*border.coords, tip])
        towns[at] = feature(code, shape.union(part), name="x", parent=home)
        return {("overlap", min(code, other), kind == "overlap")}
    if kind == "gap":
        del towns[at]
        return {("gap", home, False)}
    if kind == "other parent":
        towns[at]["properties"]["parent"] = "B" if home == "A" else "A"
        return {("outside_parent", code, True), ("gap", home, False)}
    if kind == "no parent":
        towns[at]["properties"]["parent"] = "nowhere"
        return {("missing_parent", code, True)}
    if kind == "twice":
        twin = plots.codes[at - 1]
        towns[at]["properties"]["code"] = twin
        return {("duplicate_code", twin, True)}
    if kind == "bow tie":
        towns[at] = feature(code, shapely.Polygon(ring[[0, 2, 1, 3, 0]]), name="x", parent=home)
        return {("broken", code, True)}
    if kind == "spike":
        out = ring[0] + (ring[2] - ring[0]) * 0.5
        towns[at] = feature(code, shapely.Polygon([ring[0], out, *ring]), name="x", parent=home)
        return {("mended", code, False)}
    if kind == "sliver":
        middle = shape.centroid
        strip = shapely.box(middle.x, middle.y, middle.x + 1e-6, middle.y + 2e-4)
        towns[at] = feature(code, shape.difference(strip), name="x", parent=home)
        towns.append(feature("S", strip, name="x", parent=home))
        return {("sliver", "S", False), ("new_code", "S", False)}
    return set()


KINDS = (
    "nothing",
    "overlap",
    "small overlap",
    "gap",
    "other parent",
    "no parent",
    "twice",
    "bow tie",
    "spike",
    "sliver",
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000), across=st.sampled_from([4, 6]), up=st.integers(2, 4), at=st.integers(0, 1_000))
def test_a_planted_fault_is_found_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, kind: str, seed: int, across: int, up: int, at: int
) -> None:
    plots = Plots(across, up, seed)
    towns = plots.town_features()
    expected = plant(kind, plots, towns, at % len(plots.codes))
    made = outcome(tmp_path_factory.mktemp("plots"), plots, towns, closed=False)
    assert found(made) == expected
    assert (made.compiled is None) == any(error for _, _, error in expected)


def test_a_fault_names_feature_place_size_and_remedy_and_lies_on_the_map(tmp_path: Path) -> None:
    plots = Plots()
    towns = plots.town_features()
    plant("overlap", plots, towns, 4)
    (told,) = [fault.as_dict() for fault in outcome(tmp_path, plots, towns).faults]
    assert (told["severity"], told["kind"], told["level"], told["file"]) == ("error", "overlap", "town", "town.geojson")
    assert told["feature"] in range(1, 13)
    shared = shapely.intersection(*(
        shapely.from_geojson(json.dumps(next(t for t in towns if t["properties"]["code"] == code)["geometry"]))
        for code in (told["code"], told["what"].rpartition(" ")[2])
    ))  # fmt: skip
    assert shared.buffer(1e-9).covers(shapely.Point(told["where"]["lng"], told["where"]["lat"]))
    assert told["area_m2"] == pytest.approx(shared.area * 111_000**2 * np.cos(np.radians(24)), rel=0.02)
    assert told["remedy"]
    (drawn,) = json.loads(map_layer(outcome(tmp_path, plots, towns).faults))["features"]
    assert shapely.from_geojson(json.dumps(drawn["geometry"])).equals_exact(shared, 1e-6)


def test_mending_says_how_much_ground_it_moved(tmp_path: Path) -> None:
    plots = Plots()
    towns = plots.town_features()
    ring = shapely.get_coordinates(plots.rows[plots.codes[0]][1])
    loop = [ring[0], ring[1], ring[2], ring[3], ring[3] + [-2e-5, -2e-5], ring[3] + [-2e-5, 0], ring[3] + [0, -2e-5]]
    towns[0] = feature(plots.codes[0], shapely.Polygon([*loop, ring[0]]), name="x", parent="A")
    made = outcome(tmp_path, plots, towns)
    (mended,) = [fault for fault in made.faults if fault.kind == "mended"]
    assert mended.area_m2 == pytest.approx(2 * 1e-5 * 1e-5 * 111_000**2, rel=0.8)


def test_a_hole_in_the_middle_of_the_coarsest_level_is_a_gap(tmp_path: Path) -> None:
    plots = Plots(3, 3, seed=1)
    whole = shapely.coverage_union_all([shape for _, shape in plots.rows.values()])
    middle = plots.rows[plots.codes[4]][1]
    counties = [feature("A", whole.difference(middle), name="A")]
    made = compile_files(
        [Given(write(tmp_path / "county.geojson", counties), "county", "county.geojson")],
        plots.divisions(), Scheme(("county",), "EPSG:4548"),
    )  # fmt: skip
    assert found(made) == {("gap", "", False)}
    assert made.faults[0].spot.equals_exact(middle, 1e-6, normalize=True)


def test_codes_that_went_changed_parents_or_names_are_told_and_stop_nothing(tmp_path: Path) -> None:
    plots = Plots()
    base = outcome(tmp_path, plots, plots.town_features()).compiled
    assert base is not None
    towns = plots.town_features()
    (gone, moved, renamed) = (towns[each]["properties"] for each in (0, 5, 7))
    gone["code"] = "N"
    moved["parent"], renamed["name"] = "", "新名"
    counties = plots.rows[moved["code"]]
    plots.rows[moved["code"]] = ("B", counties[1])
    made = outcome(tmp_path, plots, towns, base=base.layers, closed=False)
    assert found(made) == {
        ("gone_code", plots.codes[0], False),
        ("new_code", "N", False),
        ("changed_parent", moved["code"], False),
        ("renamed", renamed["code"], False),
    }
    assert made.compiled is not None
    assert made.divisions is not None
    assert made.divisions.path("N") == {"city": "C", "county": "A", "town": "N"}
    assert made.divisions.path(renamed["code"])["county"] == "B"


def test_shares_of_a_mapping_add_up_to_the_ground_that_both_editions_have(tmp_path: Path) -> None:
    old, new = Plots(seed=1), Plots(seed=2, prefix="N")
    made = [outcome(tmp_path, plots, plots.town_features()) for plots in (old, new)]
    parts = [
        part for part in mapping(*(each.compiled.layers for each in made if each.compiled)) if part.level == "town"
    ]
    for code in old.codes:
        assert sum(part.share_of_old for part in parts if part.old == code) == pytest.approx(1, abs=1e-4)
    for code in new.codes:
        assert sum(part.share_of_new for part in parts if part.new == code) == pytest.approx(1, abs=1e-4)
    straight = list(mapping(made[0].compiled.layers, made[0].compiled.layers))  # type: ignore[union-attr]
    assert {(part.old, part.share_of_old) for part in straight} == {(part.new, 1.0) for part in straight}
