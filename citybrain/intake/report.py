"""The one definition of a report 上报: it validates what is posted and documents it. Nothing here touches the store."""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from citybrain.problem import FieldError, Problem, field_errors, invalid
from citybrain.strict_json import check_fit
from geo.datum import check_datum

FUTURE_MS = 10 * 60 * 1000  # phones' clocks run ahead a little
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
EARLIEST = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


def _known_datum(name: str) -> str:
    try:
        return check_datum(name)
    except ValueError as error:
        raise PydanticCustomError("datum", "{reason}", {"reason": str(error)}) from None


def _text_time(value: Any) -> Any:
    """Seconds since 1970, which pydantic would take too, may as well be milliseconds or another calendar's."""
    if not isinstance(value, str) or not _DATE.match(value):
        raise PydanticCustomError("time", "must be a text with date, time and offset")
    return value


def _no_truth(value: Any) -> Any:
    """True equals 1 in Python, not in JSON."""
    if isinstance(value, bool):
        raise PydanticCustomError("literal_error", "Input should be 1, 2, 3 or 4")
    return value


Text = Annotated[str, StringConstraints(strict=True, strip_whitespace=True)]
Code = Annotated[Text, Field(min_length=1, max_length=64)]
Degrees = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Datum = Annotated[Text, AfterValidator(_known_datum)]
Time = Annotated[AwareDatetime, BeforeValidator(_text_time)]
Grade = Annotated[Literal[1, 2, 3, 4], BeforeValidator(_no_truth)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Location(_Strict):
    """Where: a GeoJSON geometry, coordinates, a division code or an address; of several the first of these counts."""

    lng: Degrees | None = None
    lat: Degrees | None = None
    datum: Datum | None = Field(None, description="wgs84, cgcs2000, gcj02, bd09 or epsg:NNNN; default: the source's")
    accuracy_m: Annotated[float, Field(strict=True, ge=0, le=100_000, allow_inf_nan=False)] | None = None
    address: Annotated[Text, Field(max_length=500)] | None = None
    division_code: Code | None = None
    division_codes: Annotated[list[Code], Field(min_length=1, max_length=4)] | None = Field(
        None, description="one of each level, where one does not say the others; instead of division_code"
    )
    geometry: dict[str, Any] | None = Field(None, description="GeoJSON geometry")

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        if (self.lng is None) != (self.lat is None):
            raise PydanticCustomError("location", "lng and lat belong together: one of them is missing")
        if self.division_code and self.division_codes:
            raise PydanticCustomError("location", "either division_code or division_codes")
        if self.lng is None and not (self.geometry or self.divisions or self.address):
            raise PydanticCustomError("location", "needs lng and lat, a geometry, a division_code or an address")
        return self

    @property
    def divisions(self) -> list[str]:
        return [self.division_code] if self.division_code else self.division_codes or []


class Reporter(_Strict):
    name: Annotated[Text, Field(max_length=100)] | None = None
    phone: Annotated[Text, Field(max_length=50)] | None = None


class Report(_Strict):
    """What somebody reports: what, where, when."""

    source_event_id: Annotated[Text, Field(min_length=1, max_length=128, description="the source's own id")]
    domain: Annotated[Text, Field(min_length=1, max_length=64)]
    type: Annotated[Text, Field(min_length=1, max_length=64)] | None = None
    title: Annotated[Text, Field(max_length=200)] = ""
    description: Annotated[Text, Field(max_length=10_000)] = ""
    occurred_at: Time
    grade: Grade | None = None
    location: Location
    reporter: Reporter | None = None
    attributes: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _geometry_belongs_to_location(cls, data: Any) -> Any:
        """`geometry` may stand beside `location`, as GeoJSON features have it."""
        if isinstance(data, dict) and "geometry" in data:
            data = dict(data)
            geometry, location = data.pop("geometry"), data.get("location") or {}
            if isinstance(location, dict) and "geometry" not in location:
                data["location"] = {**location, "geometry": geometry}
        return data


def parse_report(raw: Any, now: int, remedies: Mapping[str, str]) -> Report:
    """A validated report from parsed JSON, or a Problem (422) that lists every mistake. `now` in ms; `remedies` are the
    city's."""
    if not isinstance(raw, dict):
        raise invalid("body", "an event is a JSON object", "send {…}; several go to /api/v1/events/batch")
    check_fit(raw)
    try:
        report = Report.model_validate(raw)
    except ValidationError as error:
        raise _problem(error, remedies) from None
    occurred = report.occurred_at
    if occurred < EARLIEST or occurred.timestamp() * 1000 > now + FUTURE_MS:
        remedy = "send when it happened; check the clock and the offset of the device"
        when = "in the future" if occurred >= EARLIEST else "before the year 2000"
        raise Problem(422, f"occurred_at is {when}", errors=[FieldError("occurred_at", when, remedy)])
    return report


def canonical(raw: Any) -> bytes:
    """One form for what says the same: keys sorted, 116.0 as 116. Call after `parse_report`, which bounds the depth."""
    return orjson.dumps(_whole(raw), option=orjson.OPT_SORT_KEYS)


def digest(form: bytes) -> bytes:
    return hashlib.sha256(form).digest()


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _problem(error: ValidationError, remedies: Mapping[str, str]) -> Problem:
    errors = field_errors(error.errors(include_url=False, include_context=False, include_input=False), remedies)
    fields = ", ".join(dict.fromkeys(each.field for each in errors))
    return Problem(422, f"the event has {error.error_count()} mistake(s): {fields}", errors=errors)
