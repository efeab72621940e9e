"""Errors for the person who gets them: RFC 9457 problem+json that names field, reason and remedy."""

from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response


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
        return Response(orjson.dumps(self.as_dict()), self.status, headers, "application/problem+json")


def invalid(field: str, message: str, remedy: str) -> Problem:
    return Problem(422, f"{field}: {message}", errors=[FieldError(field, message, remedy)])


def not_found(what: str) -> Problem:
    """Also for what exists outside the asker's scope: whether it exists is not theirs to know."""
    return Problem(404, f"no such {what}, or it is outside what this key may see")


async def answer_problem(_request: Request, error: Exception) -> Response:
    if not isinstance(error, Problem):
        raise error
    return error.response()
