"""Liveness, readiness, metrics."""

import asyncio
from collections.abc import Awaitable
from typing import Annotated

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest
from pydantic import Field
from sqlalchemy.exc import SQLAlchemyError

from api.dependencies import Services, ServicesDep
from api.schemas.common import Output
from api.workflow_calls import check_temporal
from domain.errors import LmsUnavailable, Misconfigured
from models.queries import webhook_endpoints

DISABLED_ENDPOINTS = Gauge(
    "commerce_webhook_endpoints_disabled", "Receivers of events that are off, though by no operator."
)
router = APIRouter(tags=["operations"])


class Health(Output):
    """Each part: `ok`, or what is wrong with it."""

    status: Annotated[str, Field(description="`ok`, or `unavailable` when a part is not `ok`.")]
    parts: Annotated[
        dict[str, str],
        Field(
            description="`database`, `temporal`, `lms` and `payments`: `ok`, or what is wrong with it. Empty "
            "for `/healthz`."
        ),
    ] = {}


@router.get("/healthz", operation_id="healthz")
async def healthz() -> Health:
    """The process is alive."""
    return Health(status="ok")


@router.get("/readyz", operation_id="readyz", responses={503: {"model": Health}})
async def readyz(services: ServicesDep, response: Response) -> Health:
    """Whether everything that a sale needs can be reached."""
    checks: dict[str, Awaitable[None]] = {
        "database": services.database.ping(),
        "temporal": check_temporal(services.temporal),
        "lms": _check_lms(services),
        "payments": services.payments.check(),
    }
    outcomes = await asyncio.gather(
        *(asyncio.wait_for(check, timeout=4) for check in checks.values()), return_exceptions=True
    )
    parts = {name: _state(outcome) for name, outcome in zip(checks, outcomes, strict=True)}
    ready = all(state == "ok" for state in parts.values())
    if not ready:
        response.status_code = 503
    return Health(status="ok" if ready else "unavailable", parts=parts)


def _state(outcome: BaseException | None) -> str:
    """`ok`, or the kind of trouble. What the LMS says is for an operator, and holds no secret."""
    if outcome is None:
        return "ok"
    for kind in (LmsUnavailable, Misconfigured):
        if isinstance(outcome, kind):
            return f"{kind.__name__}: {outcome.detail}"
    return type(outcome).__name__


async def _check_lms(services: Services) -> None:
    """What the check at the start found to mend; else whether the LMS answers at all."""
    if services.lms_watch.complaint is not None:
        raise Misconfigured(services.lms_watch.complaint)
    await services.lms.reach()


@router.get("/metrics", operation_id="metrics", response_class=Response)
async def metrics(services: ServicesDep) -> Response:
    """Prometheus metrics of this process."""
    try:
        async with services.commands.transaction() as session:
            DISABLED_ENDPOINTS.set(await webhook_endpoints.count_disabled(session))
    except SQLAlchemyError:
        DISABLED_ENDPOINTS.set(float("nan"))
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
