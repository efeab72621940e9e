"""Errors for the person who gets them: RFC 9457 problem+json that names field, reason and remedy."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from itertools import islice
from types import MappingProxyType
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from citybrain.logs import request_id

MAX_ERRORS = 20
TIME_ERRORS = ("timezone_aware", "datetime_type", "datetime_parsing", "datetime_from_date_parsing", "time")


def time_remedy(example: str) -> str:
    return f"RFC 3339 with an offset, as in {example} (in an address %2B for the plus)"


_REMEDIES = dict.fromkeys(TIME_ERRORS, time_remedy("2026-11-22T08:00:00+00:00")) | {
    "missing": "this field is required",
    "extra_forbidden": "no such field: check the spelling, or leave it out",
    "json_invalid": "send UTF-8 JSON",
    "finite_number": "send a finite number",
    "float_type": "send a number, not a text",
    "float_parsing": "send a number",
    "int_parsing": "send a whole number",
    "bool_type": "send true or false",
    "list_type": "send a JSON array",
    "dict_type": "send a JSON object",
    "model_type": "send a JSON object",
    "string_type": "send a text",
    "string_unicode": "send UTF-8 without lone surrogates",
    "string_too_long": "shorten it",
    "string_too_short": "it must not be empty",
    "unreadable": "write what can be read",
    "too_long": "send fewer",
    "greater_than_equal": "send more",
    "less_than_equal": "send less",
    "literal_error": "send one of these",
    "datum": "name the datum that the device really uses",
    "location": "send lng, lat and their datum, or a geometry, a division_code or an address",
}


@dataclass(frozen=True, slots=True)
class FieldError:
    field: str
    message: str
    remedy: str


class Problem(Exception):
    """Anything that ends a request early. `never retry` unless it says otherwise (429 and 503 do)."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: list[FieldError] | None = None,
        retry_after: int | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, errors or []
        self.retry_after, self.extra = retry_after, extra

    def as_dict(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "type": f"urn:citybrain:problem:{self.status}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = [asdict(error) for error in self.errors]
        return body | self.extra

    def response(self) -> Response:
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        body = self.as_dict()
        if under := request_id.get():
            body["request_id"] = under  # by which it is found in the log
        return Response(orjson.dumps(body), self.status, headers, "application/problem+json")


NOT_ACKNOWLEDGED = (
    "not acknowledged: {}; repeating is safe, with the same source_event_id or feedback_id where there is one"
)
STORE_AWAY = Problem(503, NOT_ACKNOWLEDGED.format("the store cannot answer now"), retry_after=2)


def invalid(field: str, message: str, remedy: str) -> Problem:
    return Problem(422, f"{field}: {message}", errors=[FieldError(field, message, remedy)])


def field_errors(found: Iterable[Mapping[str, Any]], own: Mapping[str, str] = MappingProxyType({})) -> list[FieldError]:
    """What pydantic found, the first of it, with what to do about it: `own` remedies of the city first. The field is
    `body` where it is the whole."""
    remedies = {**_REMEDIES, **own}
    return [
        FieldError(".".join(map(str, each["loc"])) or "body", each["msg"], remedies.get(each["type"], "see /docs"))
        for each in islice(found, MAX_ERRORS)
    ]


def not_found(what: str) -> Problem:
    """Also for what exists outside the asker's scope: whether it exists is not theirs to know."""
    return Problem(404, f"no such {what}, or it is outside what this key may see")


def refusal(scope: Scope, problem: Problem) -> Response:
    """As problem+json, or in the form that the protocol at this address has for its errors."""
    forms = getattr(scope["app"].state, "forms", {}) if "app" in scope else {}
    own = next((form for prefix, form in forms.items() if scope["path"].startswith(prefix)), None)
    return own(Request(scope), problem) if own else problem.response()


async def answer_problem(_request: Request, error: Exception) -> Response:
    if not isinstance(error, Problem):
        raise error
    return error.response()
