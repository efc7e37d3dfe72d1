"""Refunds: an operator at any time, a learner within the item's window."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Body

from api.dependencies import NewObjectId, ServicesDep, SessionDep, SignedIn
from api.idempotency import CommerceRoute
from api.routes.orders import own_order
from api.routes.views import refund_view
from api.schemas.orders import RefundAnswer, RefundBody
from api.workflow_calls import ask_refund
from domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from domain.orders import PaymentState
from models.database import Session
from models.queries import orders, refunds
from models.queries.orders import OrderRow

router = APIRouter(route_class=CommerceRoute, tags=["refunds"])


@router.post("/v1/orders/{order_id}/refunds", status_code=202, operation_id="create_refund")
async def create_refund(
    order_id: str,
    body: Annotated[RefundBody, Body()],
    caller: SignedIn,
    services: ServicesDep,
    session: SessionDep,
    refund_id: NewObjectId,
) -> RefundAnswer:
    """Refund lines, an amount, or all that remains. The money is reserved before the processor is asked."""
    row = await own_order(session, caller, order_id)
    if not caller.is_operator:
        await _within_learners_right(session, row, body)
    if body.amount is not None and body.amount.currency != row.currency:
        raise InvalidInput(f"the order is in {row.currency}", code="currency_mismatch")
    async with services.commands.transaction() as first:
        await orders.record_command(
            first,
            refund_id,
            "refund",
            caller.user_id,
            {
                "order_id": row.id,
                "lines": None if body.lines is None else [line.model_dump() for line in body.lines],
                "amount": None if body.amount is None else body.amount.amount,
                "reason": body.reason,
                "keep_access": body.keep_access,
            },
        )
    await ask_refund(services, refund_id)
    refund = await refunds.get(session, refund_id)
    if refund is None:
        raise NotFound("no such refund")
    return RefundAnswer(refund=refund_view(refund))


async def _within_learners_right(session: Session, row: OrderRow, body: RefundBody) -> None:
    """A learner may return whole lines within the window, and not keep the access."""
    if body.amount is not None or any(line.amount is not None for line in body.lines or []):
        raise Forbidden("a learner refunds whole lines; an operator can refund an amount")
    if body.keep_access:
        raise Forbidden("only an operator may leave the access")
    if row.payment_state is not PaymentState.PAID or row.paid_at is None:
        raise Conflict("nothing was paid", code="not_paid")
    wanted = {line.line_id for line in body.lines or []}
    for line in await orders.lines(session, row.id):
        if wanted and line.id not in wanted:
            continue
        if datetime.now(UTC) > row.paid_at + timedelta(days=line.refund_window_days):
            raise Conflict(
                f"the refund window of {line.refund_window_days} days has closed", code="refund_window_closed"
            )
