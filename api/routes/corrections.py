"""Corrections of payees' money, for operators: debts written off, earnings of the wrong payee."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body

from api.commands import Commands, CommandsDep
from api.dependencies import NewObjectId, Operator, Services, ServicesDep, SessionDep
from api.idempotency import CommerceRoute
from api.paging import Cursor, Limit, next_cursor, parse_id
from api.routes.earnings import PayeeFilter
from api.schemas.earnings import CorrectionList, CorrectionView, ReassignmentBody, WriteOffBody
from api.schemas.orders import money
from api.workflow_calls import ask_correction
from domain.errors import InvalidInput, NotFound
from models.database import Session
from models.queries import order_lines, orders, payees, recorded_commands
from models.queries.payees import CorrectionRow

router = APIRouter(route_class=CommerceRoute, tags=["earnings"])


def _view(row: CorrectionRow) -> CorrectionView:
    return CorrectionView.model_validate(
        {
            "id": row.id,
            "kind": row.kind,
            "payee_ref": row.payee,
            "to_payee": row.to_payee,
            "order_line_id": row.line_id,
            "amount": money(row.amount, row.currency),
            "reason": row.reason,
            "requested_by": row.requested_by,
            "created_at": row.created_at,
        }
    )


async def _run(
    services: Services,
    session: Session,
    commands: Commands,
    correction_id: str,
    kind: str,
    user_id: str,
    body: dict[str, Any],
) -> CorrectionView:
    async with commands.transaction() as first:
        await recorded_commands.record(first, correction_id, kind, user_id, body)
    await ask_correction(services, correction_id)
    row = await payees.correction(session, correction_id)
    if row is None:
        raise NotFound("no such correction")
    return _view(row)


@router.post("/v1/earnings/write-offs", status_code=201, operation_id="write_off_payee")
async def write_off_payee(
    body: Annotated[WriteOffBody, Body()],
    caller: Operator,
    services: ServicesDep,
    session: SessionDep,
    commands: CommandsDep,
    correction_id: NewObjectId,
) -> CorrectionView:
    """Give up what a payee owes us; 409 `write_off_exceeds_debt` for more than that, now or at
    `effective_at`; 409 `period_closed` for a month that is closed for good."""
    if body.effective_at is not None and body.effective_at > datetime.now(UTC):
        raise InvalidInput("a write-off can't take effect in the future")
    asked = {
        "payee": body.payee_ref,
        "currency": body.amount.currency,
        "amount": body.amount.amount,
        "reason": body.reason,
        "effective_at": None if body.effective_at is None else body.effective_at.isoformat(),
    }
    return await _run(services, session, commands, correction_id, "write_off", caller.user_id, asked)


@router.post("/v1/earnings/reassignments", status_code=201, operation_id="reassign_earnings")
async def reassign_earnings(
    body: Annotated[ReassignmentBody, Body()],
    caller: Operator,
    services: ServicesDep,
    session: SessionDep,
    commands: CommandsDep,
    correction_id: NewObjectId,
) -> CorrectionView:
    """Move earnings to the payee they belong to: reversed there, accrued here, held as the line's are."""
    line = await order_lines.get(session, parse_id(body.order_line_id, "order line"))
    order = None if line is None else await orders.get(session, line.order_id)
    if line is None or order is None:
        raise NotFound("no such order line")
    if body.amount.currency != order.currency:
        raise InvalidInput(f"the order is in {order.currency}", code="currency_mismatch")
    asked = {
        "line_id": line.id,
        "payee": body.from_payee,
        "to_payee": body.to_payee,
        "currency": body.amount.currency,
        "amount": body.amount.amount,
        "reason": body.reason,
    }
    return await _run(services, session, commands, correction_id, "reassignment", caller.user_id, asked)


@router.get("/v1/earnings/corrections", operation_id="list_corrections")
async def list_corrections(
    caller: Operator, session: SessionDep, cursor: Cursor, payee: PayeeFilter = None, limit: Limit = 20
) -> CorrectionList:
    """Corrections, newest first; of one payee, from either side."""
    rows = await payees.corrections(session, payee=payee, before=cursor, limit=limit + 1)
    return CorrectionList(
        data=[_view(row) for row in rows[:limit]], next_cursor=next_cursor([row.id for row in rows], limit)
    )
