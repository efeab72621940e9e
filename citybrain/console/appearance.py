"""How pages look to one reader: the language and the theme of the switches in every footer, which cookies remember.
Until somebody chooses, the browser's language and the system's theme."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import RedirectResponse

from citybrain.console.texts import LANGUAGES

LANGUAGE, THEME = "citybrain_language", "citybrain_theme"  # the cookies
SYSTEM = "system"
THEMES = (SYSTEM, "light", "dark")
YEAR = 365 * 86_400
_TAG = re.compile(r"([A-Za-z]{1,8})(?:-[\w-]*)?\s*(?:;\s*q=(\d(?:\.\d{0,3})?))?")

routes = APIRouter(include_in_schema=False)


def language_of(request: Request) -> str:
    chosen = request.cookies.get(LANGUAGE, "")
    return chosen if chosen in LANGUAGES else _preferred(request.headers.get("accept-language", "")[:500])


def _preferred(header: str) -> str:
    """What an Accept-Language header likes best of what there is."""
    weights = [(tag.lower(), float(weight or 1)) for tag, weight in _TAG.findall(header)]
    liked = [each for each in weights if each[0] in LANGUAGES and each[1]]
    return max(liked, key=lambda each: each[1])[0] if liked else LANGUAGES[0]


def theme_of(request: Request) -> str:
    chosen = request.cookies.get(THEME, SYSTEM)
    return chosen if chosen in THEMES else SYSTEM


@routes.get("/appearance")
def choose(
    request: Request,
    language: Literal["zh", "en"] | None = None,
    theme: Literal["system", "light", "dark"] | None = None,
    back: Annotated[str | None, Query(max_length=2000)] = None,
) -> Response:
    """Sets what is given and leads back to the page it was asked from."""
    response = RedirectResponse(local(back, came_from(request)), 303)
    for name, chosen in ((LANGUAGE, language), (THEME, theme)):
        if chosen:
            https = request.url.scheme == "https"
            response.set_cookie(name, chosen, max_age=YEAR, httponly=True, samesite="lax", secure=https, path="/")
    return response


def came_from(request: Request) -> str:
    """The page of ours with the link or form that led here, as its address was then; else the front page."""
    page = urlsplit(request.headers.get("referer", ""))
    return local(page.path + (f"?{page.query}" if page.query else ""))


def local(path: str | None, otherwise: str = "/") -> str:
    """`path` if it leads to a page of ours, else `otherwise`: nobody is sent to a foreign host by our link."""
    if not path or not path.startswith("/") or path[1:2] in ("/", "\\") or not path.isprintable():
        return otherwise
    return path
