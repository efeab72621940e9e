"""The console's pages as the service wires them: their routes, their own files, and how a page is made."""

from fastapi import APIRouter

from citybrain.console import (
    appearance,
    bulkpage,
    casemap,
    casepage,
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
    reporting,
    phone,
):
    routes.include_router(_page.routes)

static = OwnFiles(directory=FOLDER / "static")
