"""The console's pages as the service wires them: their routes, their own files, and how a page is made."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from citybrain.console import appearance, signing
from citybrain.console.administration import endpointform, endpointlist, endpointpage, keypage
from citybrain.console.case import casepage, eventpage, photoform, triage
from citybrain.console.door import problem_page
from citybrain.console.indicators import coverage_workbook, coveragepage, performancepage
from citybrain.console.maps import boundarypage, casemap, groundmap
from citybrain.console.rendering import FOLDER, OwnFiles, render
from citybrain.console.report import phone, reporting
from citybrain.console.texts import language
from citybrain.console.workbench import bulkpage, desk, exporting, queuepage, views, wallpage
from citybrain.problem import Problem

__all__ = ["refused", "render", "routes", "static"]

routes = APIRouter(include_in_schema=False)
for _page in (
    appearance,
    signing,
    views,
    desk,
    queuepage,
    bulkpage,
    exporting,
    casemap,
    groundmap,
    photoform,  # before the page: `photos` is no action
    casepage,
    triage,
    eventpage,
    coveragepage,
    coverage_workbook,
    endpointlist,
    endpointform,  # before the page: `new` is no endpoint
    endpointpage,
    keypage,
    boundarypage,
    performancepage,
    wallpage,
    reporting,
    phone,
):
    routes.include_router(_page.routes)

static = OwnFiles(directory=FOLDER / "static")


def refused(request: Request, problem: Problem) -> Response:
    """What came to no route: told as a page to whoever looks at pages."""
    if request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
        return problem.response()
    language.set(appearance.language_of(request))
    return problem_page(request, problem)
