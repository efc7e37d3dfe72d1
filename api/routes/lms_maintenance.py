"""The LMS's maintenance, for operators: selling goes on, grants and revokes wait."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Body
from sqlalchemy.exc import SQLAlchemyError

from api.dependencies import Operator, Services, ServicesDep, SessionDep
from api.idempotency import CommerceRoute
from api.schemas.lms_maintenance import MaintenanceBody, MaintenanceView
from domain.errors import InvalidInput, Unavailable
from models.database import Session
from models.queries import entitlements, lms_gate

log = logging.getLogger(__name__)

router = APIRouter(route_class=CommerceRoute, tags=["LMS"])

_LONGEST = timedelta(days=14)
# Who waits longest is woken when it ends; the gate keeps the pace of their calls, and the others come by
# themselves.
_WOKEN_AT_MOST = 1000
_SIGNALS_AT_ONCE = 8


async def _view(session: Session) -> MaintenanceView:
    found = await lms_gate.maintenance(session)
    if found is None:
        return MaintenanceView(active=False, reason=None, until=None, set_by=None, set_at=None)
    return MaintenanceView(
        active=True, reason=found.reason, until=found.until, set_by=found.set_by, set_at=found.set_at
    )


@router.get("/v1/lms/maintenance", operation_id="get_lms_maintenance")
async def get_lms_maintenance(caller: Operator, session: SessionDep) -> MaintenanceView:
    """Whether the LMS is under maintenance."""
    return await _view(session)


@router.put("/v1/lms/maintenance", operation_id="set_lms_maintenance")
async def set_lms_maintenance(
    body: Annotated[MaintenanceBody, Body()], caller: Operator, session: SessionDep
) -> MaintenanceView:
    """Pause grants, revokes and the polling of completions until then; at most 14 days.

    Selling goes on, and learners read that the platform is under maintenance. Afterwards all that waited is
    done at the pace of `LMS_CALLS_PER_SECOND`.
    """
    now = datetime.now(UTC)
    if not now < body.until <= now + _LONGEST:
        raise InvalidInput("`until` lies in the next 14 days", code="maintenance_invalid")
    await lms_gate.begin_maintenance(session, reason=body.reason, until=body.until, user_id=caller.user_id)
    return await _view(session)


@router.delete("/v1/lms/maintenance", operation_id="end_lms_maintenance")
async def end_lms_maintenance(
    caller: Operator, services: ServicesDep, session: SessionDep, after: BackgroundTasks
) -> MaintenanceView:
    """End it early. The 1,000 that wait longest are tried at once, at the pace of `LMS_CALLS_PER_SECOND`;
    others come within ten minutes."""
    await lms_gate.end_maintenance(session)
    after.add_task(_hurry_those_who_wait, services)
    return await _view(session)


async def _hurry_those_who_wait(services: Services) -> None:
    """Runs after the commit; whom it does not reach comes when the pause is over."""
    gate = asyncio.Semaphore(_SIGNALS_AT_ONCE)

    async def hurry(user_id: str, course_id: str) -> None:
        async with gate:
            await services.dispatcher.hurry_entitlement(user_id, course_id)

    try:
        async with services.commands.transaction() as session:
            waiting = await entitlements.waiting_for_maintenance(session, limit=_WOKEN_AT_MOST)
        async with asyncio.TaskGroup() as signals:
            for user_id, course_id in waiting:
                signals.create_task(hurry(user_id, course_id))
    except* (Unavailable, SQLAlchemyError) as errors:
        log.warning("not all that waited for the LMS's maintenance could be told: %s", errors.exceptions[0])
