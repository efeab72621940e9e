"""The API's reference at `/docs`: one page from the OpenAPI description, loading nothing from anywhere else."""

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from starlette.responses import Response

from citybrain.console.pages import render
from citybrain.intake.cloudevents import REQUIRED, STRUCTURED
from citybrain.intake.report import Report

routes = APIRouter(include_in_schema=False)


def document_intake(app: FastAPI) -> None:
    """Adds the plain routes, from the same definition that validates them."""

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
            report = Report.model_json_schema(ref_template="#/components/schemas/{model}")
            schema.setdefault("components", {}).setdefault("schemas", {}).update(report.pop("$defs", {}))
            schema["components"]["schemas"]["Report"] = report
            one = {"$ref": "#/components/schemas/Report"}
            paths = schema["paths"]
            paths["/api/v1/events"]["post"] = _operation(
                "Report one event 上报", one, {"202": "recorded", "200": "known"}
            )
            batch = {"type": "array", "items": one}
            paths["/api/v1/events/batch"] = {
                "post": _operation("Report up to 10,000 events", batch, {"200": "results"})
            }
            envelope = {"type": "object", "required": list(REQUIRED), "properties": {"data": one}}
            paths["/cloudevents"] = {
                "post": _operation(
                    "Report by CloudEvents 1.0: structured, binary (ce-… headers) or a batch",
                    envelope, {"202": "recorded", "200": "known, or a batch's results"}, f"{STRUCTURED}+json",
                )
            }  # fmt: skip
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


def _operation(
    summary: str, schema: dict[str, Any], answers: dict[str, str], media: str = "application/json"
) -> dict[str, Any]:
    return {
        "tags": ["events 事件"],
        "summary": summary,
        "requestBody": {"required": True, "content": {media: {"schema": schema}}},
        "responses": {status: {"description": text} for status, text in answers.items()},
    }
