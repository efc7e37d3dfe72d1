"""The LMS's maintenance, for operators: selling goes on, grants and revokes wait."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Body

from api.dependencies import Operator, SessionDep
from api.idempotency import CommerceRoute
from api.schemas.lms_maintenance import MaintenanceBody, MaintenanceView
from domain.errors import InvalidInput
from models.database import Session
from models.queries import lms_gate

router = APIRouter(route_class=CommerceRoute, tags=["LMS"])

_LONGEST = timedelta(days=14)


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
async def end_lms_maintenance(caller: Operator, session: SessionDep) -> MaintenanceView:
    """End it early; those who wait come within ten minutes."""
    await lms_gate.end_maintenance(session)
    return await _view(session)
