"""What to write instead, in the words of the city in use: its own codes, coordinates and time, never another city's."""

import json
from collections.abc import Mapping
from datetime import datetime

from citybrain.city import City
from citybrain.problem import TIME_ERRORS, time_remedy

_THEN = datetime(2026, 11, 22, 8)


def remedies_of(city: City) -> Mapping[str, str]:
    """By kind of error, what `field_errors` advises here."""
    time = time_remedy(_THEN.replace(tzinfo=city.zone).isoformat())
    return dict.fromkeys(TIME_ERRORS, time) | {"location": f"as in {json.dumps(a_position(city))}"}


def a_position(city: City) -> dict[str, float | str]:
    """The middle of the city."""
    west, south, east, north = city.envelope
    return {"lng": round((west + east) / 2, 4), "lat": round((south + north) / 2, 4), "datum": city.default_datum}


def a_division(city: City) -> str:
    first = next(iter(city.divisions.level(city.first_level)), None)
    return "a code of GET /api/v1/divisions" + (f", such as {first.code} ({first.name})" if first else "")
