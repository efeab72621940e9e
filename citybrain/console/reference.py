"""The API's reference at `/docs`: one page from the OpenAPI description, loading nothing from anywhere else."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from starlette.responses import Response

from citybrain.console.door import page_routes
from citybrain.console.rendering import render
from citybrain.intake.report import Report

routes = page_routes()


def document_intake(app: FastAPI) -> None:
    """Adds the two plain routes, from the same definition that validates them."""

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
            report = Report.model_json_schema(ref_template="#/components/schemas/{model}")
            schema.setdefault("components", {}).setdefault("schemas", {}).update(report.pop("$defs", {}))
            schema["components"]["schemas"]["Report"] = report
            one = {"$ref": "#/components/schemas/Report"}
            paths = schema["paths"]
            paths["/api/v1/events"]["post"] = _operation("Report one event", one, {"202": "recorded", "200": "known"})
            batch = {"type": "array", "items": one}
            paths["/api/v1/events/batch"] = {
                "post": _operation("Report up to 10,000 events", batch, {"200": "results"})
            }
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


@routes.get("/docs")
def docs(request: Request) -> Response:
    schema = request.app.openapi()
    by_tag: dict[str, list[dict[str, Any]]] = {}
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            tag = (operation.get("tags") or ["other"])[0]
            by_tag.setdefault(tag, []).append({"method": method.upper(), "path": path, **operation})
    return render(request, "docs.html", sections=by_tag, report=schema["components"]["schemas"]["Report"])


def _operation(summary: str, schema: dict[str, Any], answers: dict[str, str]) -> dict[str, Any]:
    return {
        "tags": ["events 事件"],
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {status: {"description": text} for status, text in answers.items()},
    }
