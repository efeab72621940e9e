"""What makes the grid worker's page an app that opens without a network: its manifest, its icons, the service worker,
the form without anything personal, the types to search in, and a refusal of the API in the worker's words."""

import json
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError

from citybrain.access import Here, json_body
from citybrain.console.appearance import theme_of
from citybrain.console.choices import domains_of
from citybrain.console.door import Visitor, page_routes
from citybrain.console.problem_words import in_words
from citybrain.console.rendering import FOLDER, HEADERS, address_of, static_version
from citybrain.console.report import appicon, reporting
from citybrain.console.texts import language, named, t
from citybrain.keys import May
from citybrain.problem import FieldError, Problem, field_errors, not_found

SHELL, TYPES = "/report/offline", "/report/types"
BESIDE = (
    "console.css",
    "dark.css",
    "places.js",
    "said.js",
    "scripted.js",
    "icon.svg",
)  # what the page loads from elsewhere
WORKER = "report/worker.js"

routes = page_routes()


class Wrong(BaseModel):
    field: str
    message: str
    remedy: str = ""


class Deed(BaseModel):
    actor: str
    action: str
    at: str


class Case(BaseModel):
    timeline: list[Deed] = Field(min_length=1)


class Refusal(BaseModel):
    """Of problem+json what has words."""

    status: int
    detail: str = ""
    errors: list[Wrong] = []
    legal: list[str] | None = None
    case: Case | None = None


@routes.get(SHELL)
def shell(request: Request, key: Visitor, here: Here) -> Response:
    """The form alone: a phone keeps it, so it holds no token, no report and no case."""
    key.require(May.POST)
    request.state.visitor = None  # its token, too, belongs in no page that is kept
    return reporting.form_page(request, key, here, "report_offline.html")


@routes.get(TYPES)
def types(key: Visitor, here: Here) -> Response:
    """Every type that may be reported with all it is found by, the best kinds of texts first."""
    key.require(May.POST)
    found = here.type_index.texts(each.code for each in domains_of(key, here))
    items = [
        {"domain": each.domain, "code": each.kind.code, "name": named(each.kind.row), "class": each.kind.row.class_}
        | {"texts": each.texts}
        for each in found
    ]
    return JSONResponse(items, headers=HEADERS | {"Cache-Control": "private, max-age=3600", "Vary": "Cookie"})


@routes.post("/report/said")
def said(_key: Visitor, problem: Annotated[Any, Depends(json_body)]) -> Response:
    """A problem as the API answered it, said as the pages say it."""
    try:
        known = Refusal.model_validate(problem)
    except ValidationError as error:
        raise Problem(422, "no problem", errors=field_errors(error.errors())) from None
    extra = known.model_dump(include={"legal", "case"}, exclude_none=True)
    errors = [FieldError(**row.model_dump()) for row in known.errors]
    told = Problem(known.status, known.detail, errors=errors, **extra)
    return JSONResponse(in_words(told), headers=HEADERS)


@routes.get("/report/worker.js")
def worker(request: Request) -> Response:
    """The service worker: what it keeps stands in it, so that a new version is another worker, and so is the same one
    for whom the kept page looks otherwise."""
    own = sorted(path.name for path in (FOLDER / "static/report").iterdir())
    files = [f"report/{name}" for name in own if f"report/{name}" != WORKER] + list(BESIDE)
    version = f"{static_version()}-{language.get()}-{theme_of(request)}"
    app = {"version": version, "shell": SHELL, "lists": [TYPES], "files": [address_of(name) for name in files]}
    text = f"self.app = {json.dumps(app)};\nimportScripts({json.dumps(address_of(WORKER))});\n"
    return Response(text, headers=HEADERS | {"Service-Worker-Allowed": "/report"}, media_type="text/javascript")


@routes.get("/report/app.webmanifest")
def manifest(here: Here) -> Response:
    icons = [{"src": address_of("icon.svg"), "sizes": "any", "type": "image/svg+xml"}]
    for side in appicon.SIDES[1:]:
        png = {"src": f"/report/icon-{side}.png", "sizes": f"{side}x{side}", "type": "image/png"}
        icons.append(png | {"purpose": "any maskable"})
    told = {"id": "/report", "start_url": "/report", "scope": "/", "display": "standalone", "icons": icons}
    told |= {"name": t("report.app", city=here.city.name), "short_name": t("report.app_short")}
    told |= {"background_color": "#f4f6f8", "theme_color": appicon.GROUND}
    return JSONResponse(told, headers=HEADERS, media_type="application/manifest+json")


@routes.get("/report/icon-{side}.png")
def icon(side: int) -> Response:
    if side not in appicon.SIDES:
        raise not_found("icon")
    return Response(appicon.icon(side), headers=HEADERS | {"Cache-Control": "max-age=86400"}, media_type="image/png")
