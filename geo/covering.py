"""Which polygon covers a point, asked of the polygons themselves: exact, and what the raster falls back to."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.layer import Objects

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

NONE = -1  # the index of no polygon


class Covering:
    """Polygons in WGS-84 degrees, ascending by code: the lowest index is the lowest code. Prepares them for good."""

    def __init__(self, polygons: Objects) -> None:
        self.polygons = polygons
        self.tree = shapely.STRtree(polygons)
        shapely.prepare(polygons)
        # GEOS builds a prepared geometry's index at its first use, which is not safe from several threads at once.
        corners = shapely.get_point(shapely.get_exterior_ring(shapely.get_geometry(polygons, 0)), 0)
        shapely.intersects_xy(polygons, shapely.get_x(corners), shapely.get_y(corners))

    def of(self, lng: Floats, lat: Floats) -> Indices:
        """The lowest polygon that covers each finite point, edges and corners included, or NONE."""
        point, polygon = self.tree.query(shapely.points(lng, lat))
        return self.lowest(point, polygon, lng, lat)

    def lowest(self, point: Indices, polygon: Indices, lng: Floats, lat: Floats) -> Indices:
        """For each point the lowest of the polygons that are named for it and cover it."""
        hit = shapely.intersects_xy(self.polygons[polygon], lng[point], lat[point])
        found = np.full(len(lng), len(self.polygons), dtype=np.int64)
        np.minimum.at(found, point[hit], polygon[hit])
        found[found == len(self.polygons)] = NONE
        return found
