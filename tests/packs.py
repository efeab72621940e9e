"""City packs made for a test: any polygons, anywhere, as a folder that is read like every other city's."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas
import shapely

from citybrain.city import load_city
from citybrain.commands.scaffold import new_city
from geo.locator import Locator

Rows = Sequence[tuple[str, str, Any]]  # code, code of the parent, WGS-84 polygon


def write_pack(folder: Path, levels: Mapping[str, Rows], *, nested: bool = False, crs: str = "EPSG:4326") -> Path:
    """A pack whose boundary files are in `crs`: GeoJSON for degrees, GeoPackage for any other."""
    west, south, east, north = shapely.total_bounds([polygon for rows in levels.values() for *_, polygon in rows])
    box = (west - 0.01, south - 0.01, east + 0.01, north + 0.01)
    named = {level: f"{level} here" for level in levels}
    new_city(
        folder, name="Somewhere", code="here", timezone="UTC", levels=named, nested=nested, box=box, domains=["grid"]
    )
    with (folder / "divisions.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerows([("code", "name", "level", "parent_code"), ("here", "Somewhere", "city", "")])
        for level, rows in levels.items():
            table.writerows((code, f"{level} {code}", level, parent) for code, parent, _ in rows)
    for level, rows in levels.items():
        columns = {
            "code": [row[0] for row in rows],
            "name": [f"{level} {row[0]}" for row in rows],
            "source": "surveyed",
        }
        shapes = geopandas.GeoDataFrame(columns, geometry=[row[2] for row in rows], crs="EPSG:4326")
        (folder / f"boundaries/{level}.geojson").unlink()
        if crs == "EPSG:4326":
            shapes.to_file(folder / f"boundaries/{level}.geojson", COORDINATE_PRECISION=15)
        else:
            shapes.to_crs(crs).to_file(folder / f"boundaries/{level}.gpkg")
    return folder


def locator_of(folder: Path, **settings: float) -> Locator:
    city = load_city(folder)
    made = city.locator(folder / "editions")
    return Locator(made.edition, city.divisions, crs=made.crs, **settings) if settings else made
