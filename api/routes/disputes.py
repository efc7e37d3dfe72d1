"""Disputes, for operators: what banks ask back, what speaks for us, and what to do."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.audit import AuditReason
from api.commands import Commands, CommandsDep
from api.dependencies import NewObjectId, Operator, Services, ServicesDep, SessionDep
from api.idempotency import CommerceRoute
from api.paging import Cursor, Limit, next_cursor, parse_id
from api.parameters import DisputePath
from api.schemas.common import Money
from api.schemas.disputes import (
    DisputeAnswer,
    DisputeList,
    DisputeStateName,
    DisputeSummary,
    SubmitEvidenceBody,
)
from domain.errors import Conflict, NotFound
from models.database import Session
from models.queries import disputes, recorded_commands
from models.queries.disputes import DisputeRow

router = APIRouter(route_class=CommerceRoute, tags=["disputes"])


@router.get("/v1/disputes", operation_id="list_disputes")
async def list_disputes(
    caller: Operator,
    session: SessionDep,
    cursor: Cursor,
    state: Annotated[DisputeStateName | None, Query(description="Only disputes in this state.")] = None,
    limit: Limit = 20,
) -> DisputeList:
    """Disputes and inquiries, newest first."""
    rows = await disputes.page(session, state=state, before=cursor, limit=limit + 1)
    return DisputeList(
        data=[dispute_view(row) for row in rows[:limit]],
        next_cursor=next_cursor([row.id for row in rows], limit),
    )


@router.get("/v1/disputes/{dispute_id}", operation_id="get_dispute")
async def get_dispute(dispute_id: DisputePath, caller: Operator, session: SessionDep) -> DisputeAnswer:
    """One dispute, with the evidence as it would be submitted."""
    row = await disputes.get(session, parse_id(dispute_id, "dispute"))
    if row is None:
        raise NotFound("no such dispute")
    return DisputeAnswer(dispute=dispute_view(row), evidence=row.evidence)


@router.post(
    "/v1/disputes/{dispute_id}/submit-evidence", status_code=202, operation_id="submit_dispute_evidence"
)
async def submit_evidence(
    dispute_id: DisputePath,
    caller: Operator,
    services: ServicesDep,
    session: SessionDep,
    commands: CommandsDep,
    command_id: NewObjectId,
    body: SubmitEvidenceBody | None = None,
) -> DisputeAnswer:
    """Have the evidence submitted to the bank, now or a day before its deadline; it can be done once.

    Until then the other can still be asked for. A dispute without a deadline has it submitted now.
    """
    later = body is not None and body.when == "before_deadline"
    what = disputes.WISH_SUBMIT_IN_TIME if later else disputes.WISH_SUBMIT
    return await _wish(services, session, commands, caller.user_id, command_id, dispute_id, what)


@router.post("/v1/disputes/{dispute_id}/accept", status_code=202, operation_id="accept_dispute")
async def accept_dispute(
    dispute_id: DisputePath,
    caller: Operator,
    services: ServicesDep,
    session: SessionDep,
    commands: CommandsDep,
    command_id: NewObjectId,
    reason: AuditReason,
) -> DisputeAnswer:
    """Accept the loss; it can't be taken back."""
    return await _wish(
        services, session, commands, caller.user_id, command_id, dispute_id, disputes.WISH_ACCEPT
    )


async def _wish(
    services: Services,
    session: Session,
    commands: Commands,
    user_id: str,
    command_id: str,
    dispute_id: str,
    what: str,
) -> DisputeAnswer:
    """Keep the wish with the command, then wake the dispute's workflow, the only one that acts on it."""
    async with commands.transaction() as first:
        row = await disputes.get(first, parse_id(dispute_id, "dispute"))
        if row is None:
            raise NotFound("no such dispute")
        if await recorded_commands.get(first, command_id) is None:
            if row.is_over:
                raise Conflict(f"the dispute is {row.state}", code="dispute_over")
            if what != disputes.WISH_ACCEPT and row.evidence_submitted_at is not None:
                raise Conflict("the evidence was submitted already", code="evidence_submitted")
            if what == disputes.WISH_SUBMIT_IN_TIME and row.evidence_due_by is None:
                what = disputes.WISH_SUBMIT
            await recorded_commands.record(
                first, command_id, f"{what}_dispute", user_id, {"dispute_id": row.id}
            )
            await disputes.wish(first, row.id, what)
    await services.dispatcher.wake_dispute(row.provider_id)
    fresh = await disputes.get(session, row.id) or row
    return DisputeAnswer(dispute=dispute_view(fresh), evidence=fresh.evidence)


def dispute_view(row: DisputeRow) -> DisputeSummary:
    """One dispute as the API shows it."""
    return DisputeSummary(
        id=row.id,
        provider_dispute_id=row.provider_id,
        order_id=row.order_id,
        order_number=row.order_number,
        amount=Money(amount=row.amount, currency=row.currency),
        withdrawn=Money(amount=row.withdrawn, currency=row.currency),
        reason=row.reason,
        state=row.state,
        processor_status=row.status,
        evidence_due_by=row.evidence_due_by,
        evidence_submitted_at=row.evidence_submitted_at,
        evidence_scheduled=row.wish == disputes.WISH_SUBMIT_IN_TIME,
        created_at=row.created_at,
        closed_at=row.closed_at,
    )
