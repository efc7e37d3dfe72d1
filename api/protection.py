"""What every answer tells browsers, and which sites may ask."""

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_YEAR = 365 * 24 * 3600
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_NOTHING = "default-src 'none'; frame-ancestors 'none'"
_PAGE = "default-src 'none'; frame-ancestors 'none'; style-src 'unsafe-inline'; img-src data:"
_SENT_BY_FRONT_ENDS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "X-Audit-Reason",
    "X-Request-Id",
)
_SENT_BY_TEMPORAL_UIS = ("Authorization", "Content-Type", "X-Namespace")
_READ_BY_FRONT_ENDS = ("ETag", "Idempotent-Replayed", "Location", "Retry-After", "X-Request-Id")


class SecurityHeaders:
    """Adds the headers that an answer has not got already."""

    def __init__(self, app: ASGIApp, *, https_only: bool) -> None:
        self._app = app
        self._headers = dict(_HEADERS)
        if https_only:
            self._headers["Strict-Transport-Security"] = f"max-age={_YEAR}; includeSubDomains"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                wanted = self._headers | {"Content-Security-Policy": _policy(scope["path"])}
                # Answers are one caller's own, and tokens are among them.
                wanted |= {"Cache-Control": "no-store"}
                for name, value in wanted.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_protected)


class CrossOrigin:
    """Lets front ends ask everything but the codec, and Temporal UIs the codec alone."""

    def __init__(self, app: ASGIApp, *, front_ends: Sequence[str], temporal_uis: Sequence[str]) -> None:
        self._product = CORSMiddleware(
            app,
            allow_origins=list(front_ends),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=list(_SENT_BY_FRONT_ENDS),
            expose_headers=list(_READ_BY_FRONT_ENDS),
            max_age=600,
        )
        self._codec = CORSMiddleware(
            app,
            allow_origins=list(temporal_uis),
            allow_methods=["POST"],
            allow_headers=list(_SENT_BY_TEMPORAL_UIS),
            max_age=600,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        of_codec = scope["type"] == "http" and scope["path"].startswith("/codec/")
        await (self._codec if of_codec else self._product)(scope, receive, send)


def install(
    app: FastAPI, *, front_ends: Sequence[str], temporal_uis: Sequence[str], https_only: bool
) -> None:
    """Put both in place; without origins no other site may ask."""
    if front_ends or temporal_uis:
        app.add_middleware(CrossOrigin, front_ends=front_ends, temporal_uis=temporal_uis)
    app.add_middleware(SecurityHeaders, https_only=https_only)


def _policy(path: str) -> str:
    return _PAGE if path == "/docs" or path.startswith("/docs/") else _NOTHING
