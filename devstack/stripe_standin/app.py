"""The stand-in as an ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from devstack.lms_standin.server import BAD_CALLS
from devstack.stripe_standin.account import Account
from devstack.stripe_standin.controls import Controls
from devstack.stripe_standin.errors import ApiError
from devstack.stripe_standin.gateway import Gateway
from devstack.stripe_standin.pages import Pages

_METHODS = ["GET", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"]


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    data_dir: Path
    webhook_url: str | None = None
    webhook_secret: str | None = None
    account_currency: str = "usd"


async def _healthz(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _refused(request: Request, error: Exception) -> Response:
    """A control call that the state of things doesn't allow."""
    assert isinstance(error, ApiError)
    return JSONResponse(error.body("req_control"), error.status)


def create_app(options: Options) -> Starlette:
    """Build the application; the state lies in one file of the data directory."""
    account = Account(options.data_dir, options.account_currency.lower())
    if options.webhook_url and options.webhook_secret:
        account.endpoints.configure(options.webhook_url, options.webhook_secret)
    controls = Controls(account)
    gateway = Gateway(account)

    async def api(request: Request) -> Response:
        return await gateway(request)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await account.start()
        yield
        await account.stop()

    routes = [
        Route("/healthz", _healthz),
        Route("/v1/{path:path}", api, methods=_METHODS),
        *controls.routes(),
        *Pages(account, controls).routes(),
    ]
    handlers: dict[Any, Any] = {ApiError: _refused, **BAD_CALLS}
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)
