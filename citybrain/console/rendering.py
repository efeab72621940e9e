"""Turns a template into an answer: Jinja2 with autoescape, the city's words and times, and headers that let a page load
nothing and post nowhere but here."""

import hashlib
import mimetypes
from collections.abc import MutableMapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from citybrain.access import installation_of
from citybrain.city import City
from citybrain.console.appearance import came_from, theme_of
from citybrain.console.countdown import Countdown, countdown, span
from citybrain.console.maps.ground import demonstration_note
from citybrain.console.texts import HTML, language, listed, named, scripted, section, t, table, word
from citybrain.keys import May

FOLDER = Path(__file__).parent
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "frame-ancestors 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(self), camera=(), microphone=()",
    "Cache-Control": "no-store",
}
HAPPENINGS = " ".join(
    ["event.received", "event.quarantined", *(f"case.{action}" for action in table()["done"])]
)  # streamed
FOR_GOOD = "max-age=31536000, immutable"
mimetypes.add_type("text/javascript", ".js")  # some machines say text/plain, and a module must not be that


class OwnFiles(StaticFiles):
    """What the pages load. Addresses carry the whole folder's hash, so that a browser may keep the files for good and
    modules find each other by relative addresses; those of another version are answered too, and not kept."""

    async def get_response(self, path: str, scope: MutableMapping[str, Any]) -> Response:
        version, _, name = path.partition("/")
        response = await super().get_response(name, scope)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = FOR_GOOD if version == static_version() else "no-cache"
        return response


@cache
def static_version() -> str:
    digest = hashlib.sha256()
    for path in sorted((FOLDER / "static").rglob("*")):
        if path.is_file():
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:10]


def address_of(name: str) -> str:
    return f"/static/{static_version()}/{name}"


def moment(text: str | None) -> str:
    """RFC 3339 as 11-22 08:00; the full time stands in the element's datetime attribute."""
    return datetime.fromisoformat(text).strftime("%m-%d %H:%M") if text else ""


def place_path(place: dict[str, Any] | None) -> str:
    """梅江区 金山街道 某社区; empty when nothing is known."""
    units = [(place or {}).get(level) for level in ("county", "town", "village")]
    return " ".join(unit["name"] for unit in units if unit)


@cache
def environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.globals.update(
        asset=address_of, word=word, May=May, t=t, named=named, section=section, scripted=scripted, html=HTML,
        happenings=HAPPENINGS,
    )  # fmt: skip
    env.filters.update(moment=moment, place_path=place_path, span=span, listed=listed)
    return env


def render(request: Request, template: str, code: int = 200, **context: Any) -> Response:
    """The page. `visitor` is set by the door when somebody is signed in."""
    here = installation_of(request)
    now = here.clock()
    city: City = here.city

    def left(deadline: dict[str, Any] | None, stage: dict[str, Any] | None = None) -> Countdown:
        return countdown(deadline, city, now, stage)

    page = environment().get_template(template)
    text = page.render(
        city=city,
        city_name=named(city.file.city),
        domains=here.domains,
        departments=city.departments,
        visitor=getattr(request.state, "visitor", None),
        countdown=left,
        now=now,
        note=demonstration_note(here.locator.edition, city),
        path=request.url.path,
        html_language=HTML[language.get()],
        theme=theme_of(request),
        back=came_from(request) if request.method == "POST" else None,
        type_name=lambda domain, code: type_name(here, domain, code),
        domain_name=lambda code: domain_name(here, code),
        **context,
    )
    return Response(text, code, HEADERS, "text/html; charset=utf-8")


def type_name(here: Any, domain: str, code: str | None) -> str:
    kind = here.type_of(domain, code)
    return named(kind.row) if kind else (code or t("case.no_type"))


def domain_name(here: Any, code: str) -> str:
    domain = here.domains.get(code)
    return named(domain.manifest.domain) if domain else code
