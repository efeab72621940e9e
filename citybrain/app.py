"""The only wiring: one API process, from its installation to its routes."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from citybrain.access import asking
from citybrain.api import health, keys, places, registers, roots, sessions, stream, vacancies
from citybrain.api.key_uses import Uses
from citybrain.casework import api as casework
from citybrain.casework import attachment_api, explaining, silence_api, taking_in
from citybrain.console import pages, reference
from citybrain.console.case.photoform import FORM_BYTES
from citybrain.console.maps.groundmap import draw_ahead
from citybrain.dispatch import api as dispatch
from citybrain.editions import api as editions
from citybrain.editions.sending import UPLOAD_BYTES
from citybrain.editions.watch import Watch
from citybrain.indicators import api as indicators
from citybrain.indicators import performance_api
from citybrain.installation import Installation, keep_for_good
from citybrain.intake import reading
from citybrain.intake.api import BATCH_BYTES, Intake
from citybrain.intake.body import MIB, Capped, Room
from citybrain.intake.cloudevents import CloudEvents
from citybrain.intake.committer import Committer
from citybrain.intake.filing import file
from citybrain.intake.photo import PHOTO_BYTES
from citybrain.intake.rates import Rates
from citybrain.keyring import Keyring
from citybrain.keys import Key
from citybrain.operations import metrics
from citybrain.operations.admission import Admission
from citybrain.operations.observing import PROBES, Observed
from citybrain.problem import Problem, answer_problem, field_errors, refusal

EVENTS_PER_SECOND, EVENTS_AT_ONCE = 20_000, 100_000  # for one key
COUNTED = {"/api/v1/events": "single", "/api/v1/events/batch": "batch", "/cloudevents": "cloudevents"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
Door = Callable[[Request, Key], Awaitable[Response]]
LARGER_BODIES = {  # all others: 1 MiB
    "/api/v1/events/batch": BATCH_BYTES,
    "/cloudevents": BATCH_BYTES,
    "/api/v1/locate": places.LOCATE_BYTES,
    "/api/v1/editions": UPLOAD_BYTES,
    "/boundaries": UPLOAD_BYTES,
    "/api/v1/*/attachments": PHOTO_BYTES,
    "/cases/*/photos": FORM_BYTES,
}
ON_DISK = ("/api/v1/editions", "/boundaries", "/cases/*/photos")  # these come in as files


def build(here: Installation) -> FastAPI:
    committer = Committer(partial(file, installation=here))
    share = here.config.api_processes
    intake = Intake(here, committer, Rates(EVENTS_PER_SECOND / share, EVENTS_AT_ONCE / share, here.clock))
    keyring = Keyring(here.store, here.clock)
    sequencer, watch, uses = stream.Sequencer(here), Watch(here, draw_ahead), Uses(here.store, keyring)

    @asynccontextmanager
    async def running(_app: FastAPI) -> AsyncIterator[None]:
        _ = here.locator  # the ground is read before the first request
        keep_for_good()
        watch.start()
        uses.start()
        yield
        uses.close()
        watch.close()
        sequencer.close()
        committer.close()
        here.ringer.close()

    app = FastAPI(title=f"citybrain {here.city.name}", version="1", lifespan=running, docs_url=None, redoc_url=None)
    doors = {
        "/api/v1/events": intake.post_event,
        "/api/v1/events/batch": intake.post_batch,
        "/cloudevents": CloudEvents(intake, here).post,
    }
    figures = metrics.Figures(here)
    app.add_middleware(Admission, figures.turned_away, (*PROBES, *ON_DISK))
    app.add_middleware(Doors, doors=doors)
    room = Room(here.config.bodies_mib * MIB)
    app.add_middleware(Capped, MIB, LARGER_BODIES, room, ON_DISK)
    app.add_middleware(Observed, doors=COUNTED, took=figures.acknowledged)
    app.state.installation, app.state.keyring, app.state.forms = here, keyring, {}
    app.state.sequencer, app.state.intake, app.state.figures = sequencer, intake, figures
    later = (places, registers, vacancies, roots, keys, sessions, stream, health, metrics, reference, pages)
    cased = (attachment_api, casework, silence_api)  # photos first: an action may have any name
    for module in (reading, explaining, taking_in, *cased, dispatch, editions, indicators, performance_api, *later):
        app.include_router(module.routes)
    for domain in here.domains.values():
        if adapter := domain.part("routes"):
            app.include_router(adapter.routes)
            app.state.forms |= getattr(adapter, "forms", {})
    app.state.forms["/"] = pages.refused  # behind those of the domains
    reference.document_intake(app)
    app.mount("/static", pages.static)
    _answer_errors(app, here)
    return app


class Doors:
    """Where events come in, before the routes: what a framework does around a handler would be half of their cost."""

    def __init__(self, app: ASGIApp, doors: Mapping[str, Door]) -> None:
        self._app, self._doors = app, doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        door = self._doors.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if door is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive, send)
        try:
            answer = await door(request, await asking(request))
        except Problem as problem:
            answer = problem.response()
        await answer(scope, receive, send)


def _answer_errors(app: FastAPI, here: Installation) -> None:
    app.add_exception_handler(Problem, answer_problem)

    @app.exception_handler(RequestValidationError)
    async def invalid_request(_request: Request, error: RequestValidationError) -> Response:
        errors = field_errors(({**each, "loc": _field(each)} for each in error.errors()), here.remedies)
        detail = "; ".join(f"{each.field}: {each.message}" for each in errors)
        return Problem(422, detail, errors=errors).response()

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        response = refusal(request.scope, Problem(error.status_code, str(error.detail)))
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            response.headers["Allow"] = ", ".join(_allowed(request))
        return response

    @app.exception_handler(ClientDisconnect)
    async def gone(_request: Request, _error: ClientDisconnect) -> Response:
        return Problem(400, "the connection ended before the body did").response()

    @app.exception_handler(DataError)
    async def not_to_be_kept(_request: Request, _error: DataError) -> Response:
        return Problem(422, "the store cannot take a value: a NUL character, or a number that is too large").response()


def _allowed(request: Request) -> list[str]:
    """What this address takes, by whichever of the routes: the one that refuses knows only its own methods."""
    scope, routes = request.scope, [route for route in request.app.routes if not isinstance(route, Mount)]
    found = {"POST"} if scope["path"] in COUNTED else set()
    for method in METHODS:
        asked = {**scope, "method": method}
        if any(route.matches(asked)[0] is Match.FULL for route in routes):
            found.add(method)
    return sorted(found) or ["GET", "HEAD"]


def _field(error: dict[str, Any]) -> tuple[str | int, ...]:
    """Where in the query or the body; broken JSON is broken as a whole."""
    return () if error["type"] == "json_invalid" else tuple(error["loc"][1:])
