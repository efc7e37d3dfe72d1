"""Refunds: an operator at any time, a learner within the item's window."""

from typing import Annotated

from fastapi import APIRouter, Body, Query

from api.audit import AuditReason
from api.commands import Commands, CommandsDep
from api.dependencies import NewObjectId, Operator, Services, ServicesDep, SessionDep, SignedIn
from api.idempotency import CommerceRoute
from api.paging import Cursor, Limit, next_cursor, parse_id
from api.parameters import OrderPath, RefundPath
from api.rate_limits import limited
from api.refund_right import check_learners_right
from api.routes.orders import own_order
from api.routes.views import refund_view
from api.schemas.common import Money
from api.schemas.refunds import RefundAnswer, RefundBody, RefundList, RefundStatusName
from api.workflow_calls import ask_refund
from domain.errors import Conflict, InvalidInput, NotFound
from domain.limits import REFUND
from domain.orders import DisputeState, RefundStatus
from models.database import Session
from models.queries import orders, recorded_commands, refunds
from models.queries.refunds import check_cancelable, check_failed

router = APIRouter(route_class=CommerceRoute, tags=["refunds"])


@router.post("/v1/orders/{order_id}/refunds", status_code=202, operation_id="create_refund")
@limited(REFUND)
async def create_refund(
    order_id: OrderPath,
    body: Annotated[RefundBody, Body()],
    caller: SignedIn,
    services: ServicesDep,
    session: SessionDep,
    commands: CommandsDep,
    refund_id: NewObjectId,
) -> RefundAnswer:
    """Refund lines, an amount, or all that remains. The money is reserved before the processor is asked."""
    row = await own_order(session, caller, order_id)
    remark = None
    if not caller.is_operator and await recorded_commands.get(session, refund_id) is None:
        remark = await check_learners_right(services, session, row, body)
    named = [body.amount, *(line.amount for line in body.lines or [])]
    if any(isinstance(one, Money) and one.currency != row.currency for one in named):
        raise InvalidInput(f"the order is in {row.currency}", code="currency_mismatch")
    async with commands.transaction() as first:
        await recorded_commands.record(
            first,
            refund_id,
            "refund",
            caller.user_id,
            {
                "order_id": row.id,
                "lines": None
                if body.lines is None
                else [{"line_id": line.line_id, "amount": _minor(line.amount)} for line in body.lines],
                "amount": None if body.amount is None else body.amount.amount,
                "reason": body.reason,
                "keep_access": body.keep_access,
                "remark": remark,
            },
        )
    await ask_refund(services, refund_id)
    refund = await refunds.get(session, refund_id)
    if refund is None:
        raise NotFound("no such refund")
    return RefundAnswer(refund=refund_view(refund))


@router.get("/v1/refunds", operation_id="list_refunds")
async def list_refunds(
    caller: Operator,
    session: SessionDep,
    cursor: Cursor,
    status: Annotated[
        RefundStatusName | None,
        Query(description="Only refunds with this status; those that were given up are among the failed."),
    ] = None,
    limit: Limit = 20,
) -> RefundList:
    """All refunds, newest first. The failed ones are still owed, unless they were canceled."""
    rows = await refunds.page(
        session, status=None if status is None else RefundStatus(status), before=cursor, limit=limit + 1
    )
    return RefundList(
        data=[refund_view(row) for row in rows[:limit]],
        next_cursor=next_cursor([row.id for row in rows], limit),
    )


@router.get("/v1/refunds/{refund_id}", operation_id="get_refund")
async def get_refund(refund_id: RefundPath, caller: SignedIn, session: SessionDep) -> RefundAnswer:
    """One refund, for operators and the learner whose order it is of."""
    row = await refunds.get(session, parse_id(refund_id, "refund"))
    if row is None or not (caller.is_operator or row.user_id == caller.user_id):
        raise NotFound("no such refund")
    return RefundAnswer(refund=refund_view(row))


@router.post("/v1/refunds/{refund_id}/reissue", status_code=202, operation_id="reissue_refund")
async def reissue_refund(
    refund_id: RefundPath,
    caller: Operator,
    services: ServicesDep,
    session: SessionDep,
    commands: CommandsDep,
    command_id: NewObjectId,
) -> RefundAnswer:
    """Have a failed refund issued again, once its cause is mended."""
    return await _wish(
        services, session, commands, caller.user_id, command_id, refund_id, refunds.WISH_REISSUE
    )


@router.post("/v1/refunds/{refund_id}/cancel", status_code=202, operation_id="cancel_refund")
async def cancel_refund(
    refund_id: RefundPath,
    caller: Operator,
    services: ServicesDep,
    session: SessionDep,
    commands: CommandsDep,
    command_id: NewObjectId,
    reason: AuditReason,
) -> RefundAnswer:
    """Give a failed refund up: revenue, shares and access are as before it."""
    return await _wish(
        services, session, commands, caller.user_id, command_id, refund_id, refunds.WISH_CANCEL
    )


async def _wish(
    services: Services,
    session: Session,
    commands: Commands,
    user_id: str,
    command_id: str,
    refund_id: str,
    what: str,
) -> RefundAnswer:
    """Keep the wish with the command, then wake the refund's workflow, the only one that acts on it."""
    async with commands.transaction() as first:
        row = await refunds.get(first, parse_id(refund_id, "refund"), lock=True)
        if row is None:
            raise NotFound("no such refund")
        if await recorded_commands.get(first, command_id) is None:
            check_failed(row)
            if what == refunds.WISH_CANCEL:
                check_cancelable(row)
                order = await orders.get(first, row.order_id)
                if order is not None and order.dispute_state is DisputeState.OPEN:
                    raise Conflict("a dispute is open; its outcome decides", code="dispute_open")
            await recorded_commands.record(
                first, command_id, f"{what}_refund", user_id, {"refund_id": row.id}
            )
            await refunds.wish(first, row.id, what)
    await services.dispatcher.wake_refund(row.id)
    fresh = await refunds.get(session, row.id)
    return RefundAnswer(refund=refund_view(fresh or row))


def _minor(amount: Money | int | None) -> int | None:
    return amount.amount if isinstance(amount, Money) else amount
