"""What the OpenAPI document says beyond the routes: problem answers, the bearer scheme, the key header."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.idempotency import CommerceRoute

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
_READ_PROBLEMS = {"400", "401", "403", "404", "422", "429", "503"}
_WRITE_PROBLEMS = _READ_PROBLEMS | {"409", "412", "413"}
_KEY_HEADER: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "Same key, same request: the same answer, and one effect.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


def describe(app: FastAPI) -> None:
    """Complete the document, once, when it is first asked for."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=app.version,
                description="Payments, orders and revenue of a learning platform.",
                routes=app.routes,
            )
            components = schema.setdefault("components", {})
            components.setdefault("schemas", {})["Problem"] = _PROBLEM
            components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
            for route in app.routes:
                if isinstance(route, CommerceRoute):
                    _complete(schema, route)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _complete(schema: dict[str, Any], route: CommerceRoute) -> None:
    for method in route.methods or ():
        operation = schema["paths"][route.path_format].get(method.lower())
        if operation is None:
            continue
        if route.takes_key:
            operation.setdefault("parameters", []).append(_KEY_HEADER)
        operation["security"] = [{"bearer": []}]
        problems = _READ_PROBLEMS if method == "GET" else _WRITE_PROBLEMS
        for status in sorted(problems | {"500"}):
            operation["responses"][status] = {
                "description": "A problem (RFC 9457)",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }
