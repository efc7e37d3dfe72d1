"""Payments, entitlements, and the learner's dashboard."""

from fastapi import APIRouter

from api.commands import CommandsDep
from api.dependencies import NewObjectId, Operator, OrdersReader, ServicesDep, SessionDep, SignedIn
from api.idempotency import CommerceRoute
from api.paging import Cursor, Limit, next_cursor, parse_id
from api.parameters import EntitlementPath, PaymentPath, UserFilter
from api.routes.orders import view_of
from api.routes.views import entitlement_view, payment_view
from api.schemas.orders import (
    Dashboard,
    DashboardOrder,
    EntitlementList,
    EntitlementView,
    PaymentList,
    PaymentSummary,
)
from domain.errors import Conflict, NotFound
from domain.orders import EntitlementStatus, PaymentState
from models.database import see_one_moment
from models.queries import entitlements, orders, payments, recorded_commands

router = APIRouter(route_class=CommerceRoute)

_DASHBOARD_ROWS = 50


@router.get("/v1/payments", operation_id="list_payments", tags=["payments"])
async def list_payments(
    caller: OrdersReader,
    session: SessionDep,
    cursor: Cursor,
    user_id: UserFilter = None,
    limit: Limit = 20,
) -> PaymentList:
    """The caller's payments, newest first; an operator sees all, or one user's."""
    whose = (parse_id(user_id, "user") if user_id else None) if caller.sees_all else caller.user_id
    rows = await payments.page(session, user_id=whose, before=cursor, limit=limit + 1)
    return PaymentList(
        data=[payment_view(row) for row in rows[:limit]],
        next_cursor=next_cursor([row.id for row in rows], limit),
    )


@router.get("/v1/payments/{payment_id}", operation_id="get_payment", tags=["payments"])
async def get_payment(payment_id: PaymentPath, caller: OrdersReader, session: SessionDep) -> PaymentSummary:
    """One payment."""
    row = await payments.get(session, parse_id(payment_id, "payment"))
    if row is None or not (caller.sees_all or row.user_id == caller.user_id):
        raise NotFound("no such payment")
    return payment_view(row)


@router.get("/v1/entitlements", operation_id="list_entitlements", tags=["entitlements"])
async def list_entitlements(
    caller: OrdersReader,
    services: ServicesDep,
    session: SessionDep,
    cursor: Cursor,
    user_id: UserFilter = None,
    limit: Limit = 20,
) -> EntitlementList:
    """The caller's accesses, newest first; an operator sees all, or one user's."""
    whose = (parse_id(user_id, "user") if user_id else None) if caller.sees_all else caller.user_id
    rows = await entitlements.page(session, user_id=whose, before=cursor, limit=limit + 1)
    return EntitlementList(
        data=[entitlement_view(row, services.lms.course_url) for row in rows[:limit]],
        next_cursor=next_cursor([row.id for row in rows], limit),
    )


@router.get("/v1/entitlements/{entitlement_id}", operation_id="get_entitlement", tags=["entitlements"])
async def get_entitlement(
    entitlement_id: EntitlementPath, caller: OrdersReader, services: ServicesDep, session: SessionDep
) -> EntitlementView:
    """One access."""
    row = await entitlements.get(session, parse_id(entitlement_id, "entitlement"))
    if row is None or not (caller.sees_all or row.user_id == caller.user_id):
        raise NotFound("no such entitlement")
    return entitlement_view(row, services.lms.course_url)


@router.post(
    "/v1/entitlements/{entitlement_id}/retry", operation_id="retry_entitlement", tags=["entitlements"]
)
async def retry_entitlement(
    entitlement_id: EntitlementPath,
    caller: Operator,
    services: ServicesDep,
    session: SessionDep,
    commands: CommandsDep,
    command_id: NewObjectId,
) -> EntitlementView:
    """Have a failed grant tried again, once its cause is mended."""
    async with commands.transaction() as first:
        row = await entitlements.get(first, parse_id(entitlement_id, "entitlement"))
        if row is None:
            raise NotFound("no such entitlement")
        if await recorded_commands.get(first, command_id) is None:
            if row.status is not EntitlementStatus.FAILED:
                raise Conflict(f"the entitlement is {row.status}", code="entitlement_not_failed")
            await recorded_commands.record(
                first, command_id, "retry_entitlement", caller.user_id, {"entitlement_id": row.id}
            )
            await entitlements.ask_retry(first, row.id)
    await services.dispatcher.wake_entitlement(row.user_id, row.lms_course_id)
    fresh = await entitlements.get(session, row.id)
    return entitlement_view(fresh or row, services.lms.course_url)


@router.get("/v1/dashboard", operation_id="get_dashboard", tags=["dashboard"])
async def get_dashboard(caller: SignedIn, services: ServicesDep, session: SessionDep) -> Dashboard:
    """The learner's orders, payments and accesses, with deep links and receipt links."""
    await see_one_moment(session)
    rows = await orders.page(session, user_id=caller.user_id, status=None, before=None, limit=_DASHBOARD_ROWS)
    shown = []
    for row in rows:
        view = await view_of(session, services, row)
        paid = row.payment_state is PaymentState.PAID and row.amount_paid > 0
        receipt = f"{services.public_url}/v1/orders/{row.id}/receipt.pdf" if paid else None
        shown.append(DashboardOrder(**view.model_dump(), receipt_url=receipt))
    own_payments = await payments.page(session, user_id=caller.user_id, before=None, limit=_DASHBOARD_ROWS)
    own_access = await entitlements.page(session, user_id=caller.user_id, before=None, limit=_DASHBOARD_ROWS)
    return Dashboard(
        orders=shown,
        payments=[payment_view(row) for row in own_payments],
        entitlements=[entitlement_view(row, services.lms.course_url) for row in own_access],
    )
