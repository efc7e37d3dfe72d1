"""The stand-in LMS as an ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from devstack.lms_standin.controls import Controls
from devstack.lms_standin.lms import Lms
from devstack.lms_standin.pages import Pages
from devstack.lms_standin.server import BAD_CALLS
from devstack.lms_standin.service import Service
from devstack.lms_standin.tokens import Tokens
from devstack.lms_standin.users import Refused


async def _healthz(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return JSONResponse({"error": {"code": error.code, "message": error.message}}, error.status)


def create_app(data_dir: Path, webhook_url: str | None, webhook_secret: str | None, token: str) -> Starlette:
    """Build the application; the state lies in `data_dir`."""
    lms = Lms(data_dir, webhook_url, webhook_secret)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await lms.deliveries.start()
        yield
        await lms.deliveries.stop()
        lms.close()

    routes = [
        Route("/healthz", _healthz),
        *Service(lms, token).routes(),
        *Controls(lms).routes(),
        *Pages(lms).routes(),
        *Tokens().routes(),
    ]
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={Refused: _refused, **BAD_CALLS})
