"""The smallest pieces of a city's ground that locate alike, and the divisions that have no ground: every place an event
can be in, each once."""

from __future__ import annotations

import numpy as np
import shapely

from geo.divisions import LEVELS
from geo.locator import Locator

_LOOKS = 500  # each way, where levels do not nest: a piece smaller than a step of these may be missed
Codes = dict[str, str]  # by level, coarse to fine, without the levels that it is in none of


def pieces(locator: Locator) -> list[Codes]:
    """Where levels nest, the leaves of their tree. Where not, every combination that is found on a fine grid, and each
    division alone, as a code or an address names it."""
    if not locator.edition.nested:
        return _combinations(locator) + [dict(locator.divisions.path(code)) for code in locator.divisions]
    found: list[Codes] = []
    inner: set[str] = set()
    layers = [locator.edition.layers[level].codes.tolist() for level in reversed(locator.levels)]
    listed = [[row.code for row in locator.divisions.level(level)] for level in reversed(LEVELS)]
    for codes in (*layers, *listed):
        paths = [locator.path_of(code) for code in codes if code not in inner]
        found += paths
        inner.update(code for path in paths for code in path.values())
    return found


def _combinations(locator: Locator) -> list[Codes]:
    layers = locator.edition.layers.values()
    west, south, east, north = shapely.total_bounds(np.concatenate([layer.polygons for layer in layers]))
    lng, lat = np.meshgrid(np.linspace(west, east, _LOOKS), np.linspace(south, north, _LOOKS))
    within = shapely.get_coordinates(np.concatenate([shapely.point_on_surface(layer.polygons) for layer in layers]))
    codes = locator.codes(np.append(lng, within[:, 0]), np.append(lat, within[:, 1]), locator.levels)
    rows = dict.fromkeys(zip(*(codes[level].tolist() for level in locator.levels), strict=True))
    city = {row.level: row.code for row in locator.divisions.level(LEVELS[0])}
    told = [{level: code for level, code in zip(locator.levels, row, strict=True) if code} for row in rows]
    return [city | each for each in told if each]
