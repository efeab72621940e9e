"""Signing in with a browser: the key is posted once, a cookie that no script can read stands for it afterwards."""

from typing import Any

from fastapi import APIRouter, Request, Response

from citybrain.access import COOKIE, Asker, Here, JsonBody, keyring_of
from citybrain.keys import SESSION_MS, WALL_MS, Key, close_session, open_session
from citybrain.problem import Problem

routes = APIRouter(prefix="/api/v1", tags=["session 登录"])


@routes.post("/session")
def sign_in(request: Request, response: Response, here: Here, body: JsonBody) -> dict[str, Any]:
    """`{"key": "…"}` → the cookie, and the `csrf_token` that writes must send as X-CSRF-Token."""
    plain = body.get("key") if isinstance(body, dict) else None
    if not isinstance(plain, str) or not plain:
        raise Problem(401, 'send {"key": "…"}')
    key = keyring_of(request).check(plain)
    return {"csrf_token": begin(response, key, here, secure=request.url.scheme == "https"), **who(key)}


@routes.get("/session")
def who_am_i(key: Asker) -> dict[str, Any]:
    return {"csrf_token": key.csrf, **who(key)}


@routes.delete("/session", status_code=204)
def sign_out(request: Request, _key: Asker, here: Here) -> Response:
    if token := request.cookies.get(COOKIE):
        with here.store.write() as tx:
            close_session(tx, token)
    response = Response(status_code=204)
    response.delete_cookie(COOKIE)
    return response


def begin(response: Response, key: Key, here: Here, *, secure: bool, wall: bool = False) -> str:
    with here.store.write() as tx:
        token, csrf = open_session(tx, key, here.clock(), wall=wall)
    age = (WALL_MS if wall else SESSION_MS) // 1000
    response.set_cookie(COOKIE, token, max_age=age, httponly=True, samesite="strict", secure=secure, path="/")
    return csrf


def who(key: Key) -> dict[str, Any]:
    scope = {"domains": key.domains, "divisions": key.divisions, "departments": key.departments, "duties": key.duties}
    return {"name": key.name, "role": key.role, **{name: sorted(codes) for name, codes in scope.items()}}
