"""The console's pages as the service wires them: their routes, their own files, and how a page is made."""

from fastapi import APIRouter

from citybrain.console import appearance, signing
from citybrain.console.administration import endpointform, endpointlist, endpointpage, keypage
from citybrain.console.case import casepage, eventpage, triage
from citybrain.console.indicators import coverage_workbook, coveragepage, performancepage
from citybrain.console.maps import boundarypage, casemap, groundmap
from citybrain.console.rendering import FOLDER, OwnFiles, render
from citybrain.console.report import phone, reporting
from citybrain.console.workbench import bulkpage, desk, exporting, queuepage, views, wallpage

__all__ = ["render", "routes", "static"]

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
