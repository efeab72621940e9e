"""Who is asking, for every route: a key in the Authorization header, or a browser's session cookie."""

from dataclasses import replace
from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import Request

from citybrain.installation import Installation
from citybrain.keys import Key, Keyring, session_of
from citybrain.problem import Problem

COOKIE = "citybrain_session"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def installation_of(request: Request) -> Installation:
    return cast(Installation, request.app.state.installation)


def keyring_of(request: Request) -> Keyring:
    return cast(Keyring, request.app.state.keyring)


def asker(request: Request) -> Key:
    """Raises Problem 401, or 403 for a browser's write without its token."""
    authorization = request.headers.get("authorization")
    if authorization is None and (token := request.cookies.get(COOKIE)):
        key = of_session(request, token)
        if request.method not in SAFE and request.headers.get("x-csrf-token") != key.csrf:
            raise Problem(403, "a write by session needs the X-CSRF-Token that POST /api/v1/session answered")
        return key
    return keyring_of(request).bearer(authorization)


def of_session(request: Request, token: str) -> Key:
    here = installation_of(request)
    with here.store.read() as tx:
        session = session_of(tx, token, here.clock())
    key = keyring_of(request).named(session[0]) if session else None
    if session is None or key is None:
        raise Problem(401, "the session has ended: sign in again")
    return replace(key, csrf=session[1])


Asker = Annotated[Key, Depends(asker)]
Here = Annotated[Installation, Depends(installation_of)]
