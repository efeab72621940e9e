"""Who is asking, for every route: a key in the Authorization header, or a browser's session cookie."""

from dataclasses import replace
from typing import Annotated, Any, cast

from fastapi import Depends
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from citybrain.installation import Installation
from citybrain.keyring import Keyring, borne
from citybrain.keys import Key, session_of
from citybrain.problem import Problem
from citybrain.strict_json import check_fit, parse_json

COOKIE = "citybrain_session"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# All that a session for the wall may ask for; such a session has no token to write with.
WALL = ("/wall", "/fragments/wall", "/fragments/points", "/ground/", "/api/v1/stream", "/api/v1/session")


def installation_of(request: Request) -> Installation:
    return cast(Installation, request.app.state.installation)


def keyring_of(request: Request) -> Keyring:
    return cast(Keyring, request.app.state.keyring)


def asker(request: Request) -> Key:
    """Raises Problem 401, or 403 for a browser's write without its token."""
    authorization = request.headers.get("authorization")
    if authorization is None and (token := request.cookies.get(COOKIE)):
        key = of_session(request, token)
        if request.method not in SAFE and (not key.csrf or request.headers.get("x-csrf-token") != key.csrf):
            raise Problem(403, "a write by session needs the X-CSRF-Token that POST /api/v1/session answered")
        return key
    return keyring_of(request).check(borne(authorization))


async def asking(request: Request) -> Key:
    """The same; for a key without taking a thread, which costs more than all else and may have to be waited for."""
    given = request.headers.get("authorization")
    if given is None:
        return await run_in_threadpool(asker, request)
    return await keyring_of(request).checked(borne(given))


async def _here(request: Request) -> Installation:
    return installation_of(request)  # in a coroutine, for which no thread is taken


def of_session(request: Request, token: str) -> Key:
    here = installation_of(request)
    with here.store.read() as tx:
        session = session_of(tx, token, here.clock())
    key = keyring_of(request).named(session[0]) if session else None
    if session is None or key is None:
        raise Problem(401, "the session has ended: sign in again")
    if not session[1] and not request.url.path.startswith(WALL):
        raise Problem(401, "this session is for the wall alone: sign in")
    return replace(key, csrf=session[1])


def described(*models: type[BaseModel]) -> dict[str, Any]:
    """For the reference, of a body that is read by hand: a framework would parse it before asking for a key."""
    first, *others = [model.model_json_schema() for model in models]
    schema = {"anyOf": [first, *others]} if others else first
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


async def json_body(request: Request) -> Any:
    """The body by the one parser, None where there is none. Named after the key in a route's parameters: who has no
    key is told so first."""
    body = await request.body()
    if not body:
        return None
    check_fit(value := parse_json(body))
    return value


Asker = Annotated[Key, Depends(asking)]
Here = Annotated[Installation, Depends(_here)]
JsonBody = Annotated[Any, Depends(json_body)]
