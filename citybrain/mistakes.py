"""Turns what pydantic finds wrong with a city's or a domain's file into mistakes a person can mend, all at once."""

from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from geo.mistake import Mistake, did_you_mean

# Where pydantic speaks of Python instead of what stands in the file.
_EXPECTED = {
    "string_type": "a text",
    "string_too_short": "a text that is not empty",
    "too_short": "at least {min_length} item(s)",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    **dict.fromkeys(("date_type", "date_parsing", "date_from_datetime_parsing"), "a date such as 2026-01-01"),
}
SHOWN = 80  # characters of a wrong value that are repeated in the message


def from_validation(file: str, error: ValidationError, model: type[BaseModel]) -> list[Mistake]:
    return [_mistake(file, detail, model) for detail in error.errors(include_url=False)]


def _mistake(file: str, detail: ErrorDetails, model: type[BaseModel]) -> Mistake:
    location = detail["loc"]
    item = _item(location)
    if detail["type"] == "extra_forbidden":
        known = _keys(model, location[:-1])
        return Mistake(
            file, item, f"an unknown key; known are {', '.join(known)}{did_you_mean(str(location[-1]), known)}"
        )
    if detail["type"] == "missing":
        return Mistake(file, item, "a value, it is missing")
    expectation = detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if expected := _EXPECTED.get(detail["type"]):
        expectation = expected.format_map(detail.get("ctx", {}))
    near = ""
    if detail["type"] == "literal_error":
        choices = [part.strip().strip("'") for part in detail["ctx"]["expected"].replace(" or ", ", ").split(",")]
        near = did_you_mean(str(detail["input"]), choices)
    return Mistake(file, item, f"{expectation}, found {_shown(detail['input'])}{near}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def _item(location: tuple[int | str, ...]) -> str:
    """`type[3].limit.unit`, counting from 1 as a person reading the file does."""
    parts = [f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).lstrip(".") or "the file"


def _keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    for part in location:
        if isinstance(part, str) and (inner := _inner(model, part)):
            model = inner
    return sorted(field.alias or name for name, field in model.model_fields.items())


def _inner(model: type[BaseModel], key: str) -> type[BaseModel] | None:
    field = model.model_fields.get(key)
    return _model_in(field.annotation) if field else None


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
