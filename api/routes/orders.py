"""Orders: reads, cancel, timeline."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.commands import CommandsDep
from api.dependencies import (
    NewObjectId,
    OrdersReader,
    Principal,
    Resuming,
    Services,
    ServicesDep,
    SessionDep,
    SignedIn,
)
from api.idempotency import CommerceRoute
from api.paging import Cursor, Limit, next_cursor, parse_id
from api.parameters import OrderPath, UserFilter
from api.routes.views import entitlement_view, order_view
from api.schemas.orders import OrderList, OrderView, Timeline, TimelineEvent
from api.workflow_calls import ask_cancel
from domain.errors import Conflict, NotFound
from domain.orders import OrderStatus
from models.database import Session, see_one_moment
from models.queries import entitlements, order_lines, orders, payments, refunds, resolutions
from models.queries.orders import OrderRow

router = APIRouter(route_class=CommerceRoute, tags=["orders"])


async def own_order(session: Session, caller: Principal, order_id: str) -> OrderRow:
    """The order, if the caller may see it; another person's order is not found."""
    row = await orders.get(session, parse_id(order_id, "order"))
    if row is None or not (caller.sees_all or row.user_id == caller.user_id):
        raise NotFound("no such order")
    return row


async def view_of(session: Session, services: Services, row: OrderRow) -> OrderView:
    """The order with all that belongs to it."""
    return order_view(
        row,
        await order_lines.of_order(session, row.id),
        await payments.of_order(session, row.id),
        await refunds.of_order(session, row.id),
        [entitlement_view(e, services.lms.course_url) for e in await entitlements.of_order(session, row.id)],
        await resolutions.of_order(session, row.id),
    )


async def order_answer(session: Session, services: Services, order_id: str) -> OrderView:
    """The order for the answer of a write."""
    row = await orders.get(session, order_id)
    if row is None:
        raise NotFound("no such order")
    return await view_of(session, services, row)


@router.get("/v1/orders", operation_id="list_orders")
async def list_orders(
    caller: OrdersReader,
    services: ServicesDep,
    session: SessionDep,
    cursor: Cursor,
    status: Annotated[OrderStatus | None, Query(description="Only orders with this status now.")] = None,
    user_id: UserFilter = None,
    limit: Limit = 20,
) -> OrderList:
    """The caller's orders, newest first; an operator sees all, or one user's."""
    whose = (parse_id(user_id, "user") if user_id else None) if caller.sees_all else caller.user_id
    await see_one_moment(session)
    rows = await orders.page(session, user_id=whose, status=status, before=cursor, limit=limit + 1)
    return OrderList(
        data=[await view_of(session, services, row) for row in rows[:limit]],
        next_cursor=next_cursor([row.id for row in rows], limit),
    )


@router.get("/v1/orders/{order_id}", operation_id="get_order")
async def get_order(
    order_id: OrderPath, caller: OrdersReader, services: ServicesDep, session: SessionDep
) -> OrderView:
    """One order."""
    await see_one_moment(session)
    return await view_of(session, services, await own_order(session, caller, order_id))


@router.post("/v1/orders/{order_id}/cancel", operation_id="cancel_order")
async def cancel_order(
    order_id: OrderPath,
    caller: SignedIn,
    services: ServicesDep,
    session: SessionDep,
    commands: CommandsDep,
    command_id: NewObjectId,
    resuming: Resuming,
) -> OrderView:
    """Cancel before payment: seats and promotion go back, the lines become a cart again."""
    row = await own_order(session, caller, order_id)
    if resuming and row.status is OrderStatus.CANCELED:
        return await view_of(session, services, row)  # what an earlier try with this key began
    if row.status is not OrderStatus.PENDING_PAYMENT:
        raise Conflict(f"the order is {row.status}", code="order_not_cancelable")
    by = "the customer" if row.user_id == caller.user_id else "an operator"
    await commands.begin()
    await ask_cancel(services, row.id, command_id, by)
    return await order_answer(session, services, row.id)


@router.get("/v1/orders/{order_id}/timeline", operation_id="get_order_timeline")
async def get_timeline(order_id: OrderPath, caller: OrdersReader, session: SessionDep) -> Timeline:
    """What happened to the order, oldest first."""
    row = await own_order(session, caller, order_id)
    return Timeline(data=[TimelineEvent(**event) for event in await orders.timeline(session, row.id)])
