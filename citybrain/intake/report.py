"""The one definition of a report 上报: it validates what is posted and documents it. Nothing here touches the store."""

import hashlib
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

from citybrain.problem import FieldError, Problem
from geo.datum import check_datum

MAX_DEPTH = 32
MAX_ERRORS = 20
FUTURE_MS = 10 * 60 * 1000  # phones' clocks run ahead a little
EARLIEST = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


def _known_datum(name: str) -> str:
    try:
        check_datum(name)
    except ValueError as error:
        raise PydanticCustomError("datum", "{reason}", {"reason": str(error)}) from None
    return name


def _text_time(value: Any) -> Any:
    if not isinstance(value, str):
        raise PydanticCustomError("time", "must be a text such as 2026-11-22T08:00:00+08:00")
    return value


Text = Annotated[str, StringConstraints(strict=True, strip_whitespace=True)]
Degrees = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Datum = Annotated[Text, AfterValidator(_known_datum)]
Time = Annotated[AwareDatetime, BeforeValidator(_text_time)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Location(_Strict):
    """Where: coordinates, a GeoJSON geometry, a division code or an address. Coordinates win over the others."""

    lng: Degrees | None = None
    lat: Degrees | None = None
    datum: Datum | None = Field(None, description="wgs84, cgcs2000, gcj02, bd09 or epsg:NNNN; default: the source's")
    accuracy_m: Annotated[float, Field(strict=True, ge=0, le=100_000, allow_inf_nan=False)] | None = None
    address: Annotated[Text, Field(max_length=500)] | None = None
    division_code: Annotated[Text, Field(min_length=1, max_length=64)] | None = None
    geometry: dict[str, Any] | None = Field(None, description="GeoJSON geometry")

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        if (self.lng is None) != (self.lat is None):
            raise PydanticCustomError("location", "lng and lat belong together: one of them is missing")
        if self.lng is None and not (self.geometry or self.division_code or self.address):
            raise PydanticCustomError("location", "needs lng and lat, a geometry, a division_code or an address")
        return self


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
    grade: Literal[1, 2, 3, 4] | None = None
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


def parse_report(raw: Any, now: int) -> Report:
    """A validated report from parsed JSON, or a Problem (422) that lists every mistake. `now` in ms."""
    if not isinstance(raw, dict):
        raise Problem(422, "an event is a JSON object", errors=[FieldError("", "not an object", "send {…}")])
    if _deeper_than(raw, MAX_DEPTH):
        error = FieldError("", f"nested deeper than {MAX_DEPTH}", "flatten attributes; simplify the geometry")
        raise Problem(422, "the event is nested too deeply", errors=[error])
    try:
        report = Report.model_validate(raw)
    except ValidationError as error:
        raise _problem(error) from None
    occurred = report.occurred_at
    if occurred < EARLIEST or occurred.timestamp() * 1000 > now + FUTURE_MS:
        remedy = "send when it happened; check the clock and the offset of the device"
        when = "in the future" if occurred >= EARLIEST else "before the year 2000"
        raise Problem(422, f"occurred_at is {when}", errors=[FieldError("occurred_at", when, remedy)])
    return report


def parse_json(body: bytes) -> Any:
    """JSON as everyone understands it: UTF-8, no NaN, no lone surrogates, no NUL characters."""
    try:
        if b"\\u0000" in body and "\x00" in orjson.dumps(orjson.loads(body)).decode().replace("\\u0000", "\x00"):
            raise Problem(422, "a text contains the NUL character", errors=[FieldError("", "NUL", "leave it out")])
        return orjson.loads(body)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError) as error:
        remedy = "send UTF-8 JSON; NaN, Infinity and lone surrogates are no JSON"
        raise Problem(422, f"not JSON: {error}", errors=[FieldError("", str(error), remedy)]) from None


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


def _deeper_than(value: Any, limit: int) -> bool:
    """By a stack of its own: recursion is what a hostile body attacks."""
    stack = [(value, 1)]
    while stack:
        item, depth = stack.pop()
        if depth > limit:
            return True
        inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        stack.extend((each, depth + 1) for each in inner if isinstance(each, (dict, list)))
    return False


_REMEDIES = {
    "missing": "this field is required",
    "extra_forbidden": "no such field: check the spelling, or put it into attributes",
    "finite_number": "send a finite number",
    "float_type": "send a number, not a text",
    "string_type": "send a text",
    "string_too_long": "shorten it",
    "string_too_short": "it must not be empty",
    "literal_error": "grades are 1 (Ⅰ), 2, 3 or 4 (Ⅳ)",
    "timezone_aware": "add the offset, as in 2026-11-22T08:00:00+08:00",
    "datetime_from_date_parsing": "RFC 3339 with an offset, as in 2026-11-22T08:00:00+08:00",
    "datetime_parsing": "RFC 3339 with an offset, as in 2026-11-22T08:00:00+08:00",
    "time": "RFC 3339 with an offset, as in 2026-11-22T08:00:00+08:00",
    "dict_type": "send a JSON object",
    "model_type": "send a JSON object",
    "datum": "name the datum that the device really uses",
    "location": 'as in {"lng": 116.12, "lat": 24.29, "datum": "gcj02"}',
}


def _problem(error: ValidationError) -> Problem:
    errors = [
        FieldError(".".join(str(part) for part in item["loc"]), item["msg"], _REMEDIES.get(item["type"], item["msg"]))
        for item in error.errors(include_url=False, include_context=False, include_input=False)[:MAX_ERRORS]
    ]
    fields = ", ".join(dict.fromkeys(each.field for each in errors))
    return Problem(422, f"the event has {error.error_count()} mistake(s): {fields}", errors=errors)
