"""Villages and cells for a city that nobody has mapped so finely, drawn into the layers that it has."""

from __future__ import annotations

import numpy as np
import shapely

from geo.cells import Town, generate
from geo.divisions import Divisions
from geo.layer import Layer, Objects, Progress, metric, objects
from geo.reading import Table


def draw(layers: dict[str, Layer], table: Table, divisions: Divisions, crs: str, step: Progress) -> None:
    """Adds generated villages and cells, and gives the polygons above them the new corners on their borders."""
    town = layers["town"]
    seats = _seats(table, town)
    towns = [Town(*row) for row in zip(town.codes, town.names, town.polygons, seats, strict=True)]
    pieces = generate(towns, divisions, step)
    drawn = objects([piece.polygon for piece in pieces])
    owners = objects([piece.village for piece in pieces])
    codes, polygons = _united(owners, drawn)
    names = objects([row.name if (row := divisions.get(code)) else code for code in codes])
    home = dict(zip(owners, (piece.town for piece in pieces), strict=True))
    parents = objects([home[code] for code in codes])
    layers["village"] = _generated("village", codes, names, parents, polygons, crs)
    labels, serials = objects([piece.name for piece in pieces]), objects([piece.code for piece in pieces])
    layers["cell"] = _generated("cell", serials, labels, owners, drawn, crs)
    layers["town"] = _refit(town, parents, polygons, crs)
    if "county" in layers:
        layers["county"] = _refit(layers["county"], town.parents, layers["town"].polygons, crs)


def _seats(table: Table, town: Layer) -> list[tuple[float, float]]:
    if table.seats is not None:
        return list(table.seats)
    middles = shapely.get_coordinates(shapely.point_on_surface(town.polygons))
    return [(float(lng), float(lat)) for lng, lat in middles]


def _generated(level: str, codes: Objects, names: Objects, parents: Objects, polygons: Objects, crs: str) -> Layer:
    sources = objects(["generated"] * len(codes))
    return Layer(level, codes, names, sources, parents, polygons, metric(polygons, crs))


def _united(owners: Objects, polygons: Objects) -> tuple[Objects, Objects]:
    """Each owner's polygons as one, by owner. Corners on straight borders stay, so that layers share every vertex."""
    codes = sorted(set(owners))
    starts = np.argsort(owners, kind="stable")
    groups = np.split(starts, np.flatnonzero(owners[starts][1:] != owners[starts][:-1]) + 1)
    return objects(codes), objects([shapely.coverage_union_all(polygons[group]) for group in groups])


def _refit(layer: Layer, parents: Objects, children: Objects, crs: str) -> Layer:
    """The layer with each polygon that its children fill made their union, which moves no border by a millimetre."""
    codes, unions = _united(parents, children)
    found = dict(zip(codes, unions, strict=True))
    polygons = layer.polygons.copy()
    for number, code in enumerate(layer.codes):
        union = found.get(code)
        if union is not None and shapely.symmetric_difference(union, polygons[number]).area < 1e-6 * union.area:
            polygons[number] = union
    return Layer(
        layer.level,
        layer.codes,
        layer.names,
        layer.sources,
        layer.parents,
        polygons,
        metric(polygons, crs),
    )
