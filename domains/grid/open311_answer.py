"""How Open311 GeoReport v2 is answered: XML or JSON by the end of the address, errors as an array of code and
description, with the few codes that its clients know."""

import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import orjson
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sqlalchemy.exc import DataError
from starlette.requests import Request
from starlette.responses import Response

from citybrain.problem import Problem, field_errors

# "404 for resources that don't exist, 403 for wrong or missing api_key and basically 400 for any other error"; what a
# client may send again keeps the status that says so.
CODES = {401: 403, 409: 400, 415: 400, 422: 400}
FIELDS = {
    "location": "lat, long, address_string, address_id",
    "location.lng": "long",
    "location.lat": "lat",
    "location.address": "address_string",
    "location.division_code": "address_id",
    "reporter.name": "first_name, last_name, email",
    "reporter.phone": "phone",
    "type": "service_code",
    "source_event_id": "Idempotency-Key",
}
_UNFIT = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML 1.0 cannot hold

Shown = Mapping[str, Any]


class Open311Route(APIRoute):
    """Answers in the protocol's own form, whatever goes wrong; what goes wrong around it finds that form in `forms`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def told(request: Request) -> Response:
            try:
                return await answer(request)
            except Problem as problem:
                return refused(request, problem)
            except RequestValidationError as error:
                errors = field_errors({**each, "loc": each["loc"][1:]} for each in error.errors())
                return refused(request, Problem(422, "wrong parameters", errors=errors))
            except DataError:
                return refused(request, Problem(422, "a NUL character, or a number that is too large"))

        return told


def answer(request: Request, whole: str, one: str, items: Sequence[Shown], status: int = 200) -> Response:
    """A list: `<whole><one>…</one></whole>`, in JSON an array."""
    if _wants_json(request):
        return _json(items, status)
    root = Element(whole)
    for item in items:
        _fill(SubElement(root, one), item)
    return _xml(root, status)


def answer_one(request: Request, name: str, item: Shown) -> Response:
    if _wants_json(request):
        return _json(item, 200)
    root = Element(name)
    _fill(root, item)
    return _xml(root, 200)


def refused(request: Request, problem: Problem) -> Response:
    code = CODES.get(problem.status, problem.status)
    told = [f"{FIELDS.get(each.field, each.field)}: {each.message}; {each.remedy}" for each in problem.errors]
    found = [{"code": code, "description": text} for text in told or [problem.detail]]
    response = answer(request, "errors", "error", found, code)
    if problem.retry_after is not None:
        response.headers["Retry-After"] = str(problem.retry_after)
    return response


def _wants_json(request: Request) -> bool:
    return request.url.path.endswith(".json")


def _fill(element: Element, item: Shown) -> None:
    """A list in it becomes `<values><value>…</value></values>`: its elements are named as it is, in the singular."""
    for name, value in item.items():
        child = SubElement(element, name)
        if isinstance(value, list):
            for each in value:
                inner = SubElement(child, name.removesuffix("s"))
                _fill(inner, each) if isinstance(each, dict) else _write(inner, each)
        else:
            _write(child, value)


def _write(element: Element, value: Any) -> None:
    if value is not None:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        element.text = _UNFIT.sub("\ufffd", text)


def _json(body: Any, status: int) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json; charset=utf-8")


def _xml(root: Element, status: int) -> Response:
    body = b'<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="utf-8", xml_declaration=False)
    return Response(body, status, media_type="text/xml; charset=utf-8")
