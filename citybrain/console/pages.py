"""The console's pages as the service wires them: their routes, their own files, and how a page is made."""

from fastapi import APIRouter

from citybrain.console import (
    appearance,
    boundarypage,
    bulkpage,
    casemap,
    casepage,
    coverage_workbook,
    coveragepage,
    desk,
    eventpage,
    exporting,
    groundmap,
    phone,
    queuepage,
    reporting,
    signing,
    triage,
    views,
    wallpage,
)
from citybrain.console.rendering import FOLDER, OwnFiles, render

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
    boundarypage,
    wallpage,
    reporting,
    phone,
):
    routes.include_router(_page.routes)

static = OwnFiles(directory=FOLDER / "static")
