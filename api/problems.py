"""Errors as `application/problem+json` (RFC 9457), request ids, and the limit of a body's size."""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.error_codes import STATUS_BY_CODE, TITLES
from domain.errors import (
    CommerceError,
    Conflict,
    Forbidden,
    InvalidInput,
    LmsRejected,
    NotFound,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from integrations.logs import bind, bound

log = logging.getLogger("gateway")

MEDIA_TYPE = "application/problem+json"
_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_BODY_LIMIT = 256 * 1024
_WEBHOOK_BODY_LIMIT = 1024 * 1024
# Who sends slower than this holds a connection, and means to.
_BODY_SECONDS = 20
_STATUS_BY_CLASS: tuple[tuple[type[CommerceError], int], ...] = (
    (InvalidInput, 422),
    (NotFound, 404),
    (Conflict, 409),
    (Unauthenticated, 401),
    (Forbidden, 403),
    (RateLimited, 429),
    (Unavailable, 503),
    (LmsRejected, 422),
)
_NO_ADDRESS = "there is no such address; /docs lists all operations"
_NOT_SAID_TO_BE_JSON = "send the body as JSON, with the header `Content-Type: application/json`"
_CODE_BY_STATUS = {400: "malformed_body", 404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}

_QUIET_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})


def current_request_id() -> str:
    """The id of the request that is being served; empty outside of one."""
    return bound("request_id")


def status_of(error: CommerceError) -> int:
    """The HTTP status of an error: by its code where the contract names one, else by its class."""
    if error.code in STATUS_BY_CODE:
        return STATUS_BY_CODE[error.code]
    return next((status for kind, status in _STATUS_BY_CLASS if isinstance(error, kind)), 500)


def problem(
    request: Request,
    status: int,
    code: str,
    detail: str,
    members: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """One problem answer."""
    body = {
        "type": f"{request.app.state.public_url}/docs/errors#{code}",
        "title": TITLES.get(code, code.replace("_", " ").capitalize()),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": current_request_id(),
        **(members or {}),
    }
    return JSONResponse(body, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def problem_response(request: Request, error: CommerceError) -> JSONResponse:
    """Our error as a problem; the detail of an unexpected one stays in the log."""
    status = status_of(error)
    headers: dict[str, str] = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, RateLimited):
        headers["Retry-After"] = str(error.retry_after_seconds)
    elif status == 503:
        seconds = getattr(error, "retry_after_seconds", None)
        headers["Retry-After"] = str(max(1, round(seconds)) if seconds else 2)
    elif error.code == "idempotency_key_in_use":
        headers["Retry-After"] = "1"
    if status >= 500 and status != 503:
        log.error("%s: %s", error.code, error.detail)
        return problem(request, status, "internal", "something went wrong on our side", headers=headers)
    return problem(request, status, error.code, error.detail or error.code, error.members, headers)


def _pointer(location: tuple[int | str, ...]) -> str:
    return "/" + "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in location)


def _invalid_shape(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        return problem(request, 400, "malformed_body", "the body is not JSON")
    errors = [{"pointer": _pointer(item["loc"]), "detail": _said(item)} for item in found]
    # One mistake that has a code of its own is called by it.
    code = found[0]["type"] if len(found) == 1 and found[0]["type"] in TITLES else "invalid_request"
    own_words = code != "invalid_request" or errors[0]["detail"] == _NOT_SAID_TO_BE_JSON
    detail = errors[0]["detail"] if own_words else "the request does not have the form it should"
    return problem(request, 422, code, detail, {"errors": errors})


def _said(mistake: Mapping[str, Any]) -> str:
    """What is wrong, in words for who wrote the request; most are the validator's."""
    kind, given, limits = mistake["type"], mistake.get("input"), mistake.get("ctx", {})
    if mistake["loc"] == ("body",) and isinstance(given, bytes):  # nobody tried to read it
        return _NOT_SAID_TO_BE_JSON
    if mistake["loc"] == ("body",) and kind == "model_attributes_type":
        return "must be a JSON object"
    if isinstance(given, str) and kind.endswith("too_short"):
        least = limits["min_length"]
        return f"must have at least {least} characters" if given or least > 1 else "must not be empty"
    if isinstance(given, str) and kind.endswith("too_long"):
        return f"must have at most {limits['max_length']} characters"
    return str(mistake["msg"])


def _commerce_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, CommerceError)
    return problem_response(request, error)


def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = _CODE_BY_STATUS.get(error.status_code, "http_error")
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_allowed(request))  # the router names the first route's method only
    detail = _NO_ADDRESS if error.status_code == 404 else str(error.detail)
    return problem(request, error.status_code, code, detail, headers=headers)


def _allowed(request: Request) -> list[str]:
    """The methods of all routes that have the request's path."""
    found: set[str] = set()
    for route in request.app.state.product_routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return sorted(found)


def _database_error(request: Request, error: Exception) -> JSONResponse:
    """A database that is away or gave way to another request is no bug: a retry goes on."""
    if isinstance(error, DataError):
        return problem_response(request, InvalidInput("a value can't be stored"))
    sqlstate = getattr(getattr(error, "orig", None), "sqlstate", None)
    # Connection, resources, the operator's intervention, and a transaction rolled back for another's sake.
    passing = sqlstate is None or sqlstate[:2] in ("08", "53", "57", "40")
    if isinstance(error, DBAPIError) and not passing:
        return _unexpected(request, error)
    log.warning("the database can't serve this now (%s)", sqlstate)
    return problem_response(request, Unavailable("the database can't serve this now"))


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("a request failed", exc_info=error)
    return problem(request, 500, "internal", "something went wrong on our side")


class RequestEnvelope:
    """Gives each request its id, refuses bodies that are too large, and answers what nobody caught."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _SANE_REQUEST_ID.fullmatch(given) else str(uuid.uuid4())
        with bind(request_id=request_id):
            await self._serve(scope, receive, send, request_id)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        began, started = time.perf_counter(), False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _log_access(scope, message["status"], time.perf_counter() - began)
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        limit = _WEBHOOK_BODY_LIMIT if scope["path"].startswith("/v1/webhooks/") else _BODY_LIMIT
        refusal = None
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await _read_body(receive, limit)
        except TimeoutError:
            body = None
            refusal = (408, "request_timeout", f"the body was not here within {_BODY_SECONDS} seconds")
        if body is None:
            refusal = refusal or (413, "body_too_large", f"a body has at most {limit} bytes")
            answer = problem(Request(scope), *refusal, headers={"Connection": "close"})
            await answer(scope, receive, send_with_id)
            return
        sent = False

        async def replay() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        try:
            await self._app(scope, replay, send_with_id)
        except Exception as error:
            if started:
                raise
            await _unexpected(Request(scope), error)(scope, receive, send_with_id)


def _log_access(scope: Scope, status: int, seconds: float) -> None:
    """The path without its query, which may hold what people typed."""
    if scope["path"] not in _QUIET_PATHS:
        log.info("%s %s %s in %d ms", scope["method"], scope["path"], status, seconds * 1000)


async def _read_body(receive: Receive, limit: int) -> bytes | None:
    """The whole body, or None when it is larger than the limit."""
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return body
        body += bytes(message.get("body", b""))
        if len(body) > limit:
            return None
        if not message.get("more_body", False):
            return body


def install(app: FastAPI, public_url: str, routes: Sequence[APIRoute]) -> None:
    """Put the handlers and the envelope in place; `routes` are all that the contract has."""
    app.state.public_url = public_url
    app.state.product_routes = routes
    app.add_exception_handler(CommerceError, _commerce_error)
    app.add_exception_handler(RequestValidationError, _invalid_shape)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(DBAPIError, _database_error)
    app.add_exception_handler(PoolTimeoutError, _database_error)
    app.add_middleware(RequestEnvelope)
