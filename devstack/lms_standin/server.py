"""Running a stand-in: one process, loopback only, quick to stop, able to cut a connection."""

import asyncio
import sqlite3
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_TRANSPORT = "standin.transport"


class _CuttableProtocol(HttpToolsProtocol):
    """Hands the socket's transport to the application, which ASGI alone does not."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast(dict[str, Any], self.scope)[_TRANSPORT] = self.transport


class CutConnection(Response):
    """An answer that never comes: the connection is reset instead."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reset the connection and wait until the server has noticed."""
        cast(asyncio.Transport, scope[_TRANSPORT]).abort()
        while (await receive())["type"] != "http.disconnect":
            pass


def run_server(app: Starlette, port: int) -> None:
    """Serve on loopback until SIGTERM or SIGINT; ends within two seconds of it."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        http=_CuttableProtocol,
        ws="none",
        log_level="warning",
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=1,
        timeout_keep_alive=75,  # longer than clients keep a connection: none is used that was just closed
    )
    uvicorn.Server(config).run()


async def json_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object; an empty body is an empty object; else 400."""
    raw = await request.body()
    if not raw:
        return {}
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise HTTPException(400, "the body must be a JSON object")
    return body


async def answer_bad_control_call(request: Request, error: Exception) -> Response:
    """A control call with a missing or ill-typed member is the caller's mistake, said plainly."""
    return JSONResponse({"error": {"code": "bad_call", "message": f"{type(error).__name__}: {error}"}}, 400)


BAD_CALLS: dict[Any, Any] = {
    KeyError: answer_bad_control_call,
    TypeError: answer_bad_control_call,
    ValueError: answer_bad_control_call,
    sqlite3.IntegrityError: answer_bad_control_call,
}
