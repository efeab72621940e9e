"""Who comes in to a page: sessions only, everybody else is sent to sign in; every form carries the session's token.

A Problem that the API would answer as JSON becomes a page here."""

import hmac
import logging
from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote

from fastapi import APIRouter, Depends
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from citybrain.access import COOKIE, of_session
from citybrain.console.appearance import language_of
from citybrain.console.problem_words import in_words
from citybrain.console.rendering import render
from citybrain.console.texts import language, t
from citybrain.intake.body import read_body
from citybrain.keys import Key
from citybrain.logs import request_id
from citybrain.problem import STORE_AWAY, Problem, field_errors
from citybrain.store.database import StoreUnavailable

log = logging.getLogger(__name__)
FIELDS = 500  # of one form; a case with more reports is split through the API

Form = dict[str, list[str]]


class PageRoute(APIRoute):
    """Answers people: with a page, whatever goes wrong."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def page(request: Request) -> Response:
            language.set(language_of(request))
            try:
                return await answer(request)
            except Problem as problem:
                if problem.status == 401:
                    return _sign_in_first(request)
                return problem_page(request, problem)
            except RequestValidationError as error:
                return problem_page(request, Problem(422, "wrong fields", errors=field_errors(error.errors())))
            except StoreUnavailable as error:
                log.warning("the store cannot answer: %s", error)
                return problem_page(request, STORE_AWAY)
            except Exception:
                log.exception("a page failed")
                return problem_page(request, Problem(500, "an unforeseen error; it is in the log"))

        return page


def page_routes() -> APIRouter:
    return APIRouter(route_class=PageRoute, include_in_schema=False)


def problem_page(request: Request, problem: Problem) -> Response:
    again = request.url.path if problem.status in (404, 422) and request.url.query else None
    shown = {"status": problem.status, "said": in_words(problem), "again": again}
    response = render(request, "problem.html", problem.status, **shown, under=request_id.get())
    if problem.retry_after is not None:
        response.headers["Retry-After"] = str(problem.retry_after)
    return response


def visitor(request: Request) -> Key:
    """Raises Problem 401 without a session."""
    token = request.cookies.get(COOKIE)
    if not token:
        raise Problem(401, "sign in first")
    key = of_session(request, token)
    request.state.visitor = key
    return key


async def form(request: Request) -> Form:
    """The fields of a form, capped while they stream; a field that is not filled in is left out."""
    body = await read_body(request)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=False, max_num_fields=FIELDS, strict_parsing=False)
    except ValueError:
        raise Problem(422, f"a form of at most {FIELDS} fields in UTF-8 is expected") from None
    fields: Form = {}
    for name, value in pairs:
        if value.strip() and "\x00" not in value:
            fields.setdefault(name, []).append(value.strip())
    return fields


def one(fields: Form, name: str) -> str | None:
    return fields[name][0] if name in fields else None


def same_token(given: str | None, expected: str | None) -> None:
    """Raises Problem 403: the form was not made by a page of this session."""
    if not (given and expected and hmac.compare_digest(given, expected)):
        raise Problem(403, "the form is not one of this session: open the page again")


Visitor = Annotated[Key, Depends(visitor)]
AnyForm = Annotated[Form, Depends(form)]


def posted(key: Visitor, fields: AnyForm) -> Form:
    same_token(one(fields, "csrf"), key.csrf)
    return fields


Posted = Annotated[Form, Depends(posted)]


def see(path: str) -> Response:
    return RedirectResponse(path, 303)


def _sign_in_first(request: Request) -> Response:
    if request.url.path.startswith("/fragments/"):
        return Response(t("page.sign_in_again"), 401, media_type="text/plain; charset=utf-8")
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    response = see(f"/login?next={quote(asked, safe='')}" if request.method == "GET" and asked != "/" else "/login")
    response.delete_cookie(COOKIE)
    return response
