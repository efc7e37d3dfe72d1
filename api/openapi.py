"""What the OpenAPI document says beyond the routes: problem answers, the bearer scheme, the key header."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.dependencies import Access
from api.idempotency import CommerceRoute
from api.routers import ALL_ROUTERS
from domain.scopes import Scope

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
_SECURITY: dict[str, Any] = {
    "person": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An access token. Roles stand beside the operations that not everybody may use.",
    },
    "machine": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "ck_...",
        "description": "An API key, made by `commerce apikey create`. Its scopes are: "
        + ", ".join(f"`{scope}`" for scope in Scope)
        + ".",
    },
}
_READ_PROBLEMS = {"400", "401", "403", "404", "422", "429", "503"}
_WRITE_PROBLEMS = _READ_PROBLEMS | {"408", "409", "412", "413"}
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
            components["securitySchemes"] = _SECURITY
            for route in product_routes():
                _complete(schema, route)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def product_routes() -> list[CommerceRoute]:
    """Every route of the contract. (The app wraps its routers and does not show their routes.)"""
    return [route for router in ALL_ROUTERS for route in router.routes if isinstance(route, CommerceRoute)]


def _security(access: Access | None) -> list[dict[str, list[str]]]:
    if access is None:
        return []
    persons = {"person": sorted(role.value for role in access.roles)}
    return [persons] if access.scope is None else [persons, {"machine": [access.scope.value]}]


def _complete(schema: dict[str, Any], route: CommerceRoute) -> None:
    for method in route.methods or ():
        operation = schema["paths"][route.path_format].get(method.lower())
        if operation is None:
            continue
        if route.takes_key:
            operation.setdefault("parameters", []).append(_KEY_HEADER)
        operation["security"] = _security(route.access)
        problems = _READ_PROBLEMS if method == "GET" else _WRITE_PROBLEMS
        for status in sorted(problems | {"500"}):
            operation["responses"][status] = {
                "description": "A problem (RFC 9457)",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }
