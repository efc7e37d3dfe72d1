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
# The interactive documentation loads its scripts from where FastAPI has them.
_DOCS = (
    "default-src 'none'; frame-ancestors 'none'; connect-src 'self'; img-src 'self' data: "
    "https://fastapi.tiangolo.com; script-src 'self' 'unsafe-inline' https://cdn.jsdelivr.net; "
    "style-src 'self' 'unsafe-inline' https://cdn.jsdelivr.net"
)
_PAGE = "default-src 'none'; frame-ancestors 'none'; style-src 'unsafe-inline'; img-src 'self'"
_SENT_BY_FRONT_ENDS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "X-Audit-Reason",
    "X-Namespace",  # of the Temporal UI, which has payloads opened here
    "X-Request-Id",
)
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


def install(app: FastAPI, *, origins: Sequence[str], https_only: bool) -> None:
    """Put both in place; without origins no other site may ask."""
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=list(_SENT_BY_FRONT_ENDS),
            expose_headers=list(_READ_BY_FRONT_ENDS),
            max_age=600,
        )
    app.add_middleware(SecurityHeaders, https_only=https_only)


def _policy(path: str) -> str:
    if path in ("/docs", "/redoc"):
        return _DOCS
    return _PAGE if path.startswith("/docs/") else _NOTHING
