"""What the OpenAPI document says beyond the routes: problem answers, the bearer scheme, the key header."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.audit import REASON_HEADER, REASON_SAYS
from api.dependencies import Access
from api.error_codes import ERROR_CODES
from api.event_webhooks import add_webhooks
from api.examples import add_examples
from api.idempotency import CommerceRoute
from api.operation_errors import codes_of
from api.routers import ALL_ROUTERS
from domain.scopes import Scope

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "code", "request_id"],
    "properties": {
        "type": {
            "type": "string",
            "format": "uri",
            "description": "The page that says what to do about `code`.",
        },
        "title": {"type": "string", "description": "The code in words, the same each time."},
        "status": {"type": "integer", "description": "The HTTP status, once more."},
        "detail": {"type": "string", "description": "What is wrong this time, for people: decide by `code`."},
        "code": {"type": "string", "description": "Stable, in snake_case; new ones may come at any time."},
        "request_id": {
            "type": "string",
            "description": "As in `X-Request-Id`: it finds the request in the logs.",
        },
        "errors": {
            "type": "array",
            "description": "What of the request has not its form, part by part; left out where all has.",
            "items": {
                "type": "object",
                "properties": {
                    "pointer": {
                        "type": "string",
                        "description": "Where it is, as a JSON Pointer such as `/body/lines/0/amount`.",
                    },
                    "detail": {"type": "string", "description": "What is wrong there, for people."},
                },
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
_DESCRIPTION = (
    "Payments, orders and revenue of a learning platform. Every write takes an `Idempotency-Key`, but for "
    "`POST /v1/auth/login`, `/v1/auth/refresh`, `/v1/auth/logout`, `/v1/checkout/quote`, "
    "`/v1/split-rules/simulate` and the inbound `/v1/webhooks/`; errors are "
    "problem documents (RFC 9457) whose `code` is stable: [all codes, event types and webhook settings]"
    "(/docs/reference). What is to go says so in `Deprecation` and `Sunset` headers, half a year ahead."
)
_TAGS = {
    "auth": "Sign-in at the LMS, access and refresh tokens, our signing keys.",
    "catalog": "Courses, registrations and bundles with their prices.",
    "promotions": "Promotion codes.",
    "cart": "The caller's open cart.",
    "checkout": "Quotes, and the order that a cart becomes.",
    "orders": "Orders, what happened to them, their documents.",
    "refunds": "Money that goes back, and adjustments.",
    "disputes": "What banks take back, and evidence against it.",
    "store credit": "Credit that pays for later orders.",
    "payments": "Payments as the processor reports them.",
    "entitlements": "Rights to courses, and how far the LMS is with them.",
    "dashboard": "All of a learner in one answer.",
    "LMS": "Times in which the LMS is left alone.",
    "people": "What is kept of a person.",
    "runs": "Dated runs of a course that are cancelled or moved.",
    "resolutions": "What learners are asked when their run changes, and what they choose.",
    "tax": "Tax rates by place and day.",
    "splits": "Who gets which share of a sale.",
    "earnings": "What payees have accrued, and what was released.",
    "ledger": "Journals, accounts, balances, closed months.",
    "reconciliation": "Differences from the processor's books.",
    "inbound webhooks": "Events of Stripe, the LMS and the payout system.",
    "webhook endpoints": "Receivers of our events.",
    "webhook deliveries": "What was sent to them, again if need be.",
    "operations": "Health, metrics, the audit log.",
}
# What a stale `If-Match` is refused for, and what is answered 304.
_VERSIONED = frozenset(
    {
        *("change_item", "change_promotion", "change_affiliate", "change_webhook_endpoint"),
        *("delete_webhook_endpoint", "rotate_webhook_secret"),
        *("add_cart_item", "change_cart_item", "remove_cart_item", "set_promo", "clear_promo"),
    }
)
_CACHED = frozenset(
    {
        *("get_item", "get_promotion", "get_affiliate", "get_cart", "get_webhook_endpoint"),
        *("get_document", "get_receipt", "get_credit_note"),
    }
)
_TAGGED = (_VERSIONED | _CACHED) - {"delete_webhook_endpoint"} | {
    *("create_item", "create_promotion", "create_affiliate", "create_webhook_endpoint"),
}
_HEADER = {"in": "header", "required": False, "schema": {"type": "string", "minLength": 1, "maxLength": 500}}
_IF_MATCH = _HEADER | {
    "name": "If-Match",
    "description": "The `ETag` that was read: 412 when the object has changed since.",
}
_IF_NONE_MATCH = _HEADER | {
    "name": "If-None-Match",
    "description": "The `ETag` of the copy at hand: 304 when it is still current.",
    "schema": {"type": "string"},  # what is no tag matches nothing
}
_ETAG: dict[str, Any] = {
    "ETag": {
        "description": "For `If-Match` of a change and `If-None-Match` of a read.",
        "schema": {"type": "string"},
    }
}
# Operators do these, too, with what is not theirs.
_ALSO_BY_OPERATORS = frozenset({"cancel_order", "resolve_line"})
_AUDIT_REASON = _HEADER | {"name": REASON_HEADER, "description": REASON_SAYS}
_RETRY_AFTER: dict[str, Any] = {
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}}
}
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
                description=_DESCRIPTION,
                routes=app.routes,
                tags=[{"name": name, "description": text} for name, text in _TAGS.items()],
            )
            components = schema.setdefault("components", {})
            components.setdefault("schemas", {})["Problem"] = _PROBLEM
            components["securitySchemes"] = _SECURITY
            schema["servers"] = [{"url": app.state.public_url}]
            for route in product_routes():
                _complete(schema, route, app.state.public_url)
            for unused in ("HTTPValidationError", "ValidationError"):
                components["schemas"].pop(unused, None)
            add_examples(schema)
            add_webhooks(schema)
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


def _complete(schema: dict[str, Any], route: CommerceRoute, public_url: str) -> None:
    for method in route.methods or ():
        operation = schema["paths"][route.path_format].get(method.lower())
        if operation is None:
            continue
        parameters = operation.setdefault("parameters", [])
        if route.takes_key:
            parameters.append(_KEY_HEADER)
        if route.operation_id in _VERSIONED:
            parameters.append(_IF_MATCH)
        if _has_a_reason_to_ask(route) and not _asks_why(operation, schema["components"]["schemas"]):
            parameters.append(_AUDIT_REASON)
        good = next(answer for status, answer in operation["responses"].items() if status.startswith("2"))
        if route.operation_id in _TAGGED:
            good["headers"] = _ETAG
        if route.operation_id in _CACHED:
            parameters.append(_IF_NONE_MATCH)
            operation["responses"]["304"] = {"description": "The copy at hand is current."}
        operation["security"] = _security(route.access)
        operation["responses"].pop("422", None)
        for status, codes in codes_of(route, operation).items():
            operation["responses"][str(status)] = _problem_answer(status, codes, public_url)


def _has_a_reason_to_ask(route: CommerceRoute) -> bool:
    """Whether it is a write by the powers of an operator."""
    powers = route.access is not None and bool(route.access.roles)
    return route.takes_key and (powers or route.operation_id in _ALSO_BY_OPERATORS)


def _asks_why(operation: dict[str, Any], schemas: dict[str, Any]) -> bool:
    """Whether the operation has a place for the reason already, in its body or as a header that it needs."""
    if any(parameter["name"] == REASON_HEADER for parameter in operation["parameters"]):
        return True
    media = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    body = media.get("schema", {})
    shapes = [body, *body.get("anyOf", ())]
    named = [schemas[shape["$ref"].rpartition("/")[2]] for shape in shapes if "$ref" in shape]
    return any("reason" in shape.get("properties", {}) for shape in named)


def _problem_answer(status: int, codes: list[str], public_url: str) -> dict[str, Any]:
    """One status: each of its codes is named, and shown by an example."""
    answer: dict[str, Any] = {
        "description": "; ".join(f"`{code}`: {ERROR_CODES[code].title}" for code in codes),
        "content": {
            "application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {code: {"value": _problem_example(code, public_url)} for code in codes},
            }
        },
    }
    if status in (429, 503):
        answer["headers"] = _RETRY_AFTER
    return answer


def _problem_example(code: str, public_url: str) -> dict[str, Any]:
    doc = ERROR_CODES[code]
    return {
        "type": f"{public_url}/docs/errors#{code}",
        "title": doc.title,
        "status": doc.status,
        "detail": doc.meaning,
        "code": code,
        "request_id": "0f1b6a3e-6a53-4f5e-9a43-3a5c2f0d8b11",
    }
