"""Where each report is: coordinates turned to WGS-84 and located in one vectorised pass a datum, geometries, division
codes and addresses for the rest. What is wrong with a location is said here, before anything is kept."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from pydantic import ValidationError

from citybrain.city import City
from citybrain.installation import Installation
from citybrain.intake.report import Location
from citybrain.problem import Problem, field_errors, invalid
from citybrain.remedies import a_division
from geo.datum import check_datum, to_wgs84
from geo.geometry import GeometryError, geometry_to_wgs84, parse_geometry
from geo.locator import Locator
from geo.place import Place

SWAP_MARGIN = 0.02  # degrees: datums differ by less, so a shifted point on the rim is not taken for a swapped one


@dataclass(frozen=True, slots=True)
class Spot:
    """A checked location with its datum settled. The `place` of a geometry is found while it is checked: cutting it may
    take a while, and `locate` holds up everyone who waits for the same commit."""

    location: Location
    datum: str
    has_point: bool
    place: Place | None = None


def check_location(location: Location, datum: str | None, here: Installation) -> Spot:
    """Raises Problem (422): no degrees, (0, 0), exchanged coordinates, a bad geometry, an unknown division."""
    city = here.city
    datum = check_datum(location.datum or datum or city.default_datum)
    point = location.lng is not None and location.lat is not None and not _is_placeholder(location, city)
    if point:
        _check_degrees(location, datum, city)
    if not point:
        _check_divisions(location, here)
    place = None
    if location.geometry is not None:
        try:
            geometry = parse_geometry(location.geometry)
            _check_positions(geometry, datum, city)
            place = here.locator.locate_geometry(geometry_to_wgs84(geometry, datum))
        except GeometryError as error:
            raise invalid("location.geometry", error.reason, error.remedy) from None
    return Spot(location, datum, point, place)


def locate(spots: Sequence[Spot], locator: Locator) -> list[Place]:
    """A place for each, in order, all of the locator's edition: a geometry that was placed before another edition came
    into use is placed again."""
    places: list[Place | None] = [None] * len(spots)
    by_datum: dict[str, list[int]] = {}
    for index, spot in enumerate(spots):
        if spot.place is not None:
            current = spot.place.edition == locator.edition.id
            places[index] = spot.place if current else _of_geometry(spot.location, spot.datum, locator)
        elif spot.has_point:
            by_datum.setdefault(spot.datum, []).append(index)
        else:
            places[index] = _without_point(spot.location, locator)
    for datum, indices in by_datum.items():
        chosen = [spots[index].location for index in indices]
        lng, lat = to_wgs84(
            np.array([each.lng for each in chosen], float), np.array([each.lat for each in chosen], float), datum
        )
        accuracy = np.array([each.accuracy_m or 0.0 for each in chosen])
        for index, place in zip(indices, locator.locate(lng, lat, accuracy), strict=True):
            places[index] = place
    return [place for place in places if place is not None]


def locate_again(locations: Sequence[dict[str, Any]], city: City, locator: Locator) -> list[Place]:
    """The places of recorded locations, in whichever edition the locator has. They were checked when they came."""
    spots = []
    for raw in locations:
        location, datum, place = Location.model_validate(raw), raw["datum"], None
        if location.geometry is not None:
            place = _of_geometry(location, datum, locator)
        has_point = location.lng is not None and not _is_placeholder(location, city)
        spots.append(Spot(location, datum, has_point, place))
    return locate(spots, locator)


def explain_place(raw: dict[str, Any], here: Installation) -> dict[str, Any]:
    """The place of one point, and every polygon that was tried. Raises the same Problems as reporting it would."""
    spot = _spot_of(raw, here)
    if not spot.has_point:
        return {"given": raw, "place": locate([spot], here.locator)[0].as_dict(), "levels": []}
    lng, lat = _turned(float(spot.location.lng or 0), float(spot.location.lat or 0), spot.datum)
    return {"given": {**raw, "datum": spot.datum}, **here.locator.explain(lng, lat, spot.location.accuracy_m)}


def _of_geometry(location: Location, datum: str, locator: Locator) -> Place:
    return locator.locate_geometry(geometry_to_wgs84(parse_geometry(location.geometry), datum))


def place_of(raw: dict[str, Any], installation: Installation) -> dict[str, Any]:
    """The place of a location that an operator gives by hand."""
    return locate([_spot_of(raw, installation)], installation.locator)[0].as_dict()


def _spot_of(raw: dict[str, Any], installation: Installation) -> Spot:
    try:
        location = Location.model_validate(raw)
    except ValidationError as error:
        found = ({**each, "loc": ("location", *each["loc"])} for each in error.errors())
        errors = field_errors(found, installation.remedies)
        raise Problem(422, f"{errors[0].field}: {errors[0].message}", errors=errors) from None
    return check_location(location, None, installation)


def _without_point(location: Location, locator: Locator) -> Place:
    if location.divisions:
        return locator.locate_division(*location.divisions)
    return locator.locate_address(location.address or "")


def _check_divisions(location: Location, here: Installation) -> None:
    """Each is one of this city's, and all of them can be true of one place."""
    field = "location.division_code" if location.division_code else "location.division_codes"
    named: dict[str, str] = {}
    for code in location.divisions:
        place = here.locator.locate_division(code)
        if place.method == "none":
            raise invalid(field, f"no division {code!r}", a_division(here.city))
        for level, each in place.codes.items():
            if each and (other := named.setdefault(level, each)) != each:
                both = f"{other} and {each} of {here.city.level_in_english(level)}"
                raise invalid(field, f"they contradict each other: {both}", "name one division of each level at most")


def _is_placeholder(location: Location, city: City) -> bool:
    return any(location.lng == lng and location.lat == lat for lng, lat in city.placeholders)


def _check_degrees(location: Location, datum: str, city: City) -> None:
    lng, lat = float(location.lng or 0), float(location.lat or 0)
    if lng == 0 and lat == 0:
        raise invalid("location", "(0, 0) is no position in any city", "leave lng and lat out, or wait for a position")
    exchanged = lat, lng
    if datum.startswith("epsg:"):
        (lng, lat), exchanged = _turned(lng, lat, datum), _turned(lat, lng, datum)
    if _fits(*exchanged, city) and not _fits(lng, lat, city):
        shown = f"lng {location.lng:g} and lat {location.lat:g}"
        raise invalid("location", f"{shown} fit the city only when exchanged", "exchange them")
    if not (math.isfinite(lng) and math.isfinite(lat)):
        raise invalid("location", f"no position in {datum}", "send lng as easting and lat as northing")
    if not -180 <= lng <= 180:
        raise invalid("location.lng", f"{lng:g} is no longitude", "degrees from -180 to 180")
    if not -90 <= lat <= 90:
        raise invalid("location.lat", f"{lat:g} is no latitude", "degrees from -90 to 90")


def _check_positions(geometry: Any, datum: str, city: City) -> None:
    """The same for every position of a geometry."""
    xy = shapely.get_coordinates(geometry)
    if not xy.any():
        raise GeometryError("(0, 0) is no position in any city", "leave it out, or wait for a position")
    exchanged = xy[:, ::-1]
    if datum.startswith("epsg:"):
        xy, exchanged = (np.column_stack(to_wgs84(each[:, 0], each[:, 1], datum)) for each in (xy, exchanged))
    if _all_fit(exchanged, city) and not _all_fit(xy, city):
        raise GeometryError("the positions fit the city only when exchanged", "send each as [lng, lat]")
    if not datum.startswith("epsg:") and (np.abs(xy) > (180, 90)).any():
        raise GeometryError("a position is no degrees", "lng from -180 to 180, lat from -90 to 90")


def _all_fit(xy: Any, city: City) -> bool:
    west, south, east, north = city.envelope
    low, high = (west - SWAP_MARGIN, south - SWAP_MARGIN), (east + SWAP_MARGIN, north + SWAP_MARGIN)
    return bool(((xy >= low) & (xy <= high)).all())


def _turned(x: float, y: float, datum: str) -> tuple[float, float]:
    lng, lat = to_wgs84(np.array([x]), np.array([y]), datum)
    return float(lng[0]), float(lat[0])


def _fits(lng: float, lat: float, city: City) -> bool:
    west, south, east, north = city.envelope
    return west - SWAP_MARGIN <= lng <= east + SWAP_MARGIN and south - SWAP_MARGIN <= lat <= north + SWAP_MARGIN
