"""One layer's ground, asked for many points at once: which polygon contains them, which is nearest, which are near."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.clearance import Clearance
from geo.covering import NONE, Covering, Floats, Indices
from geo.layer import Layer
from geo.raster import Raster, finder

_CIRCLE_SEGMENTS = 12  # a quarter circle; the polygon's area is 0.3 % below the circle's


class Ground:
    """Answers are indices into the layer, which is sorted by code: the lowest index is the lowest code."""

    def __init__(self, layer: Layer, raster: Raster, crs: str) -> None:
        self.layer = layer
        self.raster, self._covering = raster, Covering(layer.polygons)
        self._polygons, self._projected = layer.polygons, layer.projected
        self._edges = shapely.boundary(layer.projected)
        self._tree = self._covering.tree
        self._metres = shapely.STRtree(self._projected)
        self.median_m2 = float(np.median(shapely.area(self._projected)))
        self._warm()
        self._clearance = Clearance(raster, crs)
        self.find, self.clear = finder(raster, self._covering), self._clearance.finder()

    def contains(self, lng: Floats, lat: Floats) -> Indices:
        """The polygon that covers each WGS-84 point, edges and corners included; the lowest code where several do."""
        return self.raster.locate(lng, lat, self._covering)

    def clearance(self, lng: Floats, lat: Floats) -> Floats:
        """Metres, at least, from each WGS-84 point to the nearest edge; below zero: ask `near_edge`."""
        return self._clearance.of(lng, lat)

    def nearest(self, points: Any, reach: float) -> tuple[Indices, Floats]:
        """The nearest polygon within `reach` metres of each projected point, of several as near the lowest code, and
        how far it is."""
        point, polygon = self._metres.query(points, predicate="dwithin", distance=reach)
        far = shapely.distance(self._projected[polygon], points[point])
        order = np.lexsort((polygon, far, point))
        first = order[np.diff(point[order], prepend=-1) > 0]
        found, metres = np.full(len(points), NONE, dtype=np.int64), np.full(len(points), np.inf)
        found[point[first]], metres[point[first]] = polygon[first], far[first]
        return found, metres

    def near_edge(self, index: Indices | int, points: Any, radius: Floats | float) -> NDArray[np.bool_]:
        """Whether each projected point lies within `radius` metres of the edge of its polygon `index`."""
        return np.asarray(shapely.dwithin(self._edges[index], points, radius))

    def to_edge(self, index: Indices, points: Any) -> Floats:
        """Metres from each projected point to the edge of polygon `index`."""
        return np.asarray(shapely.distance(self._edges[index], points))

    def around(self, lng: float, lat: float) -> Indices:
        """The polygons in whose box a WGS-84 point lies."""
        return np.asarray(self._tree.query(shapely.points(lng, lat)))

    def touching(self, shape: Any) -> Indices:
        """The polygons that a WGS-84 shape touches."""
        return np.sort(self._tree.query(shape, predicate="intersects"))

    def within(self, point: Any, reach: float) -> Indices:
        """The polygons within `reach` metres of a projected point."""
        return np.asarray(self._metres.query(point, predicate="dwithin", distance=reach))

    def shares_of_circles(self, points: Any, radius: Floats, reach: Floats) -> tuple[Indices, Indices, Floats, Floats]:
        """Rows (point, polygon, share, distance) for every polygon within `reach` metres of a projected point: its part
        of the circle of `radius` metres, and how far it is from the point, 0 if it contains it."""
        point, polygon = self._metres.query(points, predicate="dwithin", distance=reach)
        far = shapely.distance(self._projected[polygon], points[point])
        circles = shapely.buffer(points, radius, quad_segs=_CIRCLE_SEGMENTS)
        share = np.where(shapely.covers(self._projected[polygon], circles[point]), 1.0, 0.0)
        cut = np.flatnonzero((share < 1.0) & (far < radius[point]))
        parts = shapely.intersection(self._projected[polygon[cut]], circles[point[cut]])
        share[cut] = shapely.area(parts) / shapely.area(circles[point[cut]])
        return point, polygon, share, far

    def touched(self, geometry: Any) -> Indices:
        """The polygons a WGS-84 geometry touches, ascending."""
        return np.sort(self._tree.query(geometry, predicate="intersects"))

    def parts(self, geometry: Any, polygons: Indices) -> Any:
        """What a WGS-84 geometry has in each of the polygons, in degrees, where borders coincide exactly."""
        if shapely.get_dimensions(geometry) == 1:
            return self._line_parts(shapely.get_parts(geometry), polygons)
        shapely.prepare(geometry)
        parts = self._polygons[polygons]
        cut = ~shapely.covers(geometry, parts)
        parts[cut] = shapely.intersection(geometry, parts[cut])
        return parts

    def _line_parts(self, segments: Any, polygons: Indices) -> Any:
        """Segment by segment: cutting a line whole computes all crossings with itself, anew for each polygon."""
        polygon, segment = shapely.STRtree(segments).query(self._polygons[polygons], predicate="intersects")
        parts = segments[segment]
        cut = ~shapely.covers(self._polygons[polygons[polygon]], parts)
        parts[cut] = shapely.intersection(self._polygons[polygons[polygon[cut]]], parts[cut])
        order = np.argsort(polygon, kind="stable")
        nothing = np.full(len(polygons), shapely.GeometryCollection())
        return shapely.geometrycollections(parts[order], indices=polygon[order], out=nothing)

    def _warm(self) -> None:
        # GEOS builds a prepared geometry's index at its first use, which is not safe from several threads at once.
        for shapes in (self._projected, self._edges):
            shapely.prepare(shapes)
        corners = shapely.get_point(shapely.get_exterior_ring(shapely.get_geometry(self._projected, 0)), 0)
        shapely.dwithin(self._edges, corners, 1.0)
        shapely.dwithin(self._projected, corners, 1.0)
        shapely.covers(self._projected, shapely.buffer(corners, 1.0, quad_segs=1))
