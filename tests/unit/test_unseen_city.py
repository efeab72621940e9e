"""A city that nobody has seen works as it comes: whatever its codes, levels, hemisphere and coordinate system, every
point is placed as geopandas places it, the lowest code where several districts cover it."""

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
from packs import locator_of, write_pack


def partition(rng: Any, box: Any, count: int) -> list[Any]:
    west, south, east, north = box
    sites = shapely.multipoints(rng.uniform((west, south), (east, north), (count, 2)))
    frame = shapely.box(*box)
    faces = shapely.intersection(shapely.get_parts(shapely.voronoi_polygons(sites, extend_to=frame)), frame)
    return [face for face in faces if face.area > 0]


def ragged(rng: Any, box: Any, count: int) -> list[Any]:
    """A partition with holes in it, ponds, exclaves, gaps, and districts a little larger than they should be."""
    faces = partition(rng, box, count)
    small = 0.002 * (box[2] - box[0])
    for number in range(0, len(faces) - 1, 5):
        pond = faces[number].representative_point().buffer(small, quad_segs=3)
        faces[number] = faces[number].difference(pond)
        if number % 2:  # the neighbour's exclave lies in it
            faces[number + 1] = faces[number + 1].union(pond)
    faces[3] = faces[3].buffer(small / 50, join_style="mitre")
    faces[-1] = faces[-1].buffer(-small)
    return faces


def codes_of(rng: Any, count: int, style: str) -> list[str]:
    names = {
        "numbers": [str(number + 1) for number in range(count)],  # "10" sorts before "2"
        "words": [f"{'ÄBñ中z'[number % 5]}-{number:x}/{count - number}" for number in range(count)],
        "blocks": [f"{441400 + number * 7:06d}{number:03d}" for number in range(count)],
    }[style]
    return [names[number] for number in rng.permutation(count)]


CITIES: dict[str, dict[str, Any]] = {
    "west of Greenwich, wards and precincts that do not nest, in US survey feet": {
        "box": (-71.20, 42.22, -70.95, 42.42), "crs": "EPSG:2249", "levels": {"county": 12, "town": 71},
        "style": "numbers", "draw": ragged,
    },
    "south of the equator, one level of 255 districts, none called county": {
        "box": (-43.45, -23.05, -43.10, -22.75), "crs": "EPSG:31983", "levels": {"village": 255}, "style": "words",
        "draw": ragged,
    },
    "south and east, three levels, in degrees": {
        "box": (174.60, -37.05, 174.95, -36.70), "crs": "EPSG:4326", "style": "blocks", "draw": partition,
        "levels": {"county": 13, "village": 90, "cell": 200},
    },
}  # fmt: skip


@pytest.mark.parametrize("name", CITIES)
def test_every_point_is_placed_as_geopandas_places_it(tmp_path: Path, name: str) -> None:
    asked = CITIES[name]
    rng = np.random.default_rng(len(name))
    levels = {}
    for level, count in asked["levels"].items():
        faces = asked["draw"](rng, asked["box"], count)
        codes = codes_of(rng, len(faces), asked["style"])
        levels[level] = [(f"{level[:2]}{code}", "here", face) for code, face in zip(codes, faces, strict=True)]
    pack = write_pack(tmp_path / "pack", levels, crs=asked["crs"])
    here = locator_of(pack)
    west, south, east, north = asked["box"]
    xy = [rng.uniform((west - 0.02, south - 0.02), (east + 0.02, north + 0.02), (5_000, 2))]
    tables = {}
    for level in levels:
        (file,) = pack.glob(f"boundaries/{level}.*")
        tables[level] = geopandas.read_file(file).to_crs(4326).sort_values("code").reset_index(drop=True)
        corners = shapely.get_coordinates(tables[level].geometry)
        xy += [corners, (corners[1:] + corners[:-1]) / 2]
    points = np.vstack(xy)
    found = here.codes(points[:, 0], points[:, 1])
    for level, table in tables.items():
        expected = joined(points, table)
        assert found[level].tolist() == expected
        assert 0.5 < np.mean([code is not None for code in expected]) < 1.0
    for number in rng.choice(len(points), 100).tolist():
        (place,) = here.locate(points[number, :1], points[number, 1:])
        if place.method == "contains":
            assert {level: place.codes[level] for level in levels} == {level: found[level][number] for level in levels}


def joined(points: Any, table: Any) -> list[str | None]:
    there = geopandas.GeoDataFrame(geometry=shapely.points(points), crs=4326)
    pairs = there.sjoin(table, how="left", predicate="covered_by")
    lowest = pairs["index_right"].groupby(level=0).min()
    return [None if np.isnan(number) else table["code"][int(number)] for number in lowest]
