"""Signing in and out: the key is typed once, a cookie that no script can read stands for it afterwards."""

import secrets
from typing import Annotated

from fastapi import Query, Request, Response

from citybrain.access import COOKIE, Here, keyring_of
from citybrain.api.sessions import begin
from citybrain.console.appearance import local
from citybrain.console.door import AnyForm, Posted, Visitor, one, page_routes, same_token, see, visitor
from citybrain.console.problem_words import in_words
from citybrain.console.rendering import render
from citybrain.console.texts import t
from citybrain.keys import Key, Role, close_session
from citybrain.problem import Problem

FORM_COOKIE = "citybrain_form"  # before there is a session, this stands in for its token

routes = page_routes()


@routes.get("/login")
def ask(request: Request, next: Annotated[str | None, Query(max_length=2000)] = None) -> Response:
    try:
        return see(home(visitor(request), next))
    except Problem:
        return _ask(request, next)


@routes.post("/login")
def sign_in(request: Request, here: Here, fields: AnyForm) -> Response:
    goal = one(fields, "next")
    if not _made_here(request, one(fields, "csrf")):
        return _ask(request, goal, [t("login.expired")], 403)
    try:
        key = keyring_of(request).check(one(fields, "key") or "")
    except Problem as problem:
        return _ask(request, goal, in_words(problem), 401)
    response = see(home(key, goal))
    begin(response, key, here, secure=request.url.scheme == "https")
    response.delete_cookie(FORM_COOKIE)
    return response


@routes.post("/logout")
def sign_out(request: Request, here: Here, _key: Visitor, _form: Posted) -> Response:
    if token := request.cookies.get(COOKIE):
        with here.store.write() as tx:
            close_session(tx, token)
    response = see("/login")
    response.delete_cookie(COOKIE)
    return response


def home(key: Key, goal: str | None) -> str:
    return local(goal, "/report" if key.role in (Role.SOURCE, Role.WORKER) else "/")


def _made_here(request: Request, token: str | None) -> bool:
    try:
        same_token(token, request.cookies.get(FORM_COOKIE))
    except Problem:
        return False
    return True


def _ask(request: Request, goal: str | None, said: list[str] | None = None, status: int = 200) -> Response:
    token = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(24)
    response = render(request, "login.html", status, csrf=token, goal=local(goal, ""), said=said or [])
    https = request.url.scheme == "https"
    response.set_cookie(FORM_COOKIE, token, httponly=True, samesite="strict", secure=https, path="/login")
    return response
