"""Adjustments of a paid order, by operators: goodwill and price corrections."""

from typing import Annotated, TypeVar, cast

from fastapi import APIRouter, Body

from api.commands import CommandsDep
from api.dependencies import NewObjectId, Operator, ServicesDep, SessionDep
from api.idempotency import CommerceRoute
from api.parameters import OrderPath
from api.routes.orders import own_order
from api.schemas.credit import AdjustmentAnswer, AdjustmentBody, AdjustmentView
from api.schemas.orders import money
from api.workflow_calls import ask_refund, ask_store_credit
from domain.errors import InvalidInput, NotFound
from models.queries import recorded_commands, refunds, store_credit
from models.queries.refunds import RefundRow
from models.queries.store_credit import GrantRow

T = TypeVar("T")
router = APIRouter(route_class=CommerceRoute, tags=["refunds"])


@router.post("/v1/orders/{order_id}/adjustments", status_code=202, operation_id="create_adjustment")
async def create_adjustment(
    order_id: OrderPath,
    body: Annotated[AdjustmentBody, Body()],
    caller: Operator,
    services: ServicesDep,
    session: SessionDep,
    commands: CommandsDep,
    adjustment_id: NewObjectId,
) -> AdjustmentAnswer:
    """Give something back and leave the access: goodwill, which the platform bears (as a refund, or `as`
    `store_credit`), or the correction of a price, which payees bear their share of."""
    row = await own_order(session, caller, order_id)
    if body.amount.currency != row.currency:
        raise InvalidInput(f"the order is in {row.currency}", code="currency_mismatch")
    asked = {"order_id": row.id, "amount": body.amount.amount, "reason": body.reason}
    if body.given_as == "store_credit":
        asked |= {"user_id": row.user_id, "currency": row.currency}
        async with commands.transaction() as first:
            await recorded_commands.record(first, adjustment_id, "store_credit", caller.user_id, asked)
        await ask_store_credit(services, adjustment_id)
        return AdjustmentAnswer(
            adjustment=adjustment_of_grant(_found(await store_credit.grant(session, adjustment_id)))
        )
    asked |= {"kind": body.kind, "lines": None, "keep_access": True}
    async with commands.transaction() as first:
        await recorded_commands.record(first, adjustment_id, "refund", caller.user_id, asked)
    await ask_refund(services, adjustment_id)
    return AdjustmentAnswer(
        adjustment=adjustment_of_refund(_found(await refunds.get(session, adjustment_id)))
    )


def _found(row: T | None) -> T:
    if row is None:
        raise NotFound("no such adjustment")
    return row


def adjustment_of_refund(row: RefundRow) -> AdjustmentView:
    """A refund of kind goodwill or correction, as an adjustment."""
    return AdjustmentView.model_validate(
        {
            "id": row.id,
            "order_id": row.order_id,
            "kind": row.kind.value,
            "as": "refund",
            "status": row.shown_status,
            "amount": money(row.amount, row.currency),
            "reason": row.reason,
            "refund_id": row.id,
            "created_at": row.created_at,
        }
    )


def adjustment_of_grant(row: GrantRow) -> AdjustmentView:
    """Store credit for an order, as an adjustment."""
    return AdjustmentView.model_validate(
        {
            "id": row.id,
            "order_id": cast(str, row.order_id),
            "kind": "goodwill",
            "as": "store_credit",
            "status": "succeeded",
            "amount": money(row.amount, row.currency),
            "reason": row.reason,
            "refund_id": None,
            "created_at": row.created_at,
        }
    )
