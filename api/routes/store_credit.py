"""Store credit: a learner's own, anybody's for an operator, and gifts by operators."""

from typing import Annotated

from fastapi import APIRouter, Body, Query

from api.commands import CommandsDep
from api.dependencies import NewObjectId, Operator, Principal, ServicesDep, SessionDep, SignedIn
from api.idempotency import CommerceRoute
from api.paging import Cursor, Limit, next_cursor, parse_id
from api.schemas.credit import (
    CreditBalanceView,
    CreditChange,
    CreditChanges,
    CreditGrantBody,
    CreditGrantView,
    StoreCreditView,
)
from api.schemas.orders import money
from api.workflow_calls import ask_store_credit
from domain.errors import NotFound
from models.queries import people, recorded_commands, store_credit

router = APIRouter(route_class=CommerceRoute, tags=["store credit"])
UserFilter = Annotated[str | None, Query(max_length=64, description="Whose; for operators.")]


def _whose(caller: Principal, user_id: str | None) -> str:
    if user_id is None:
        return caller.user_id
    found = parse_id(user_id, "user")
    if found != caller.user_id and not caller.is_operator:
        raise NotFound("no such user")
    return found


@router.get("/v1/store-credit", operation_id="get_store_credit")
async def get_store_credit(
    caller: SignedIn, session: SessionDep, user_id: UserFilter = None
) -> StoreCreditView:
    """What the caller has, by currency; an operator reads anybody's."""
    whose = _whose(caller, user_id)
    if await people.get(session, whose) is None:
        raise NotFound("no such user")
    return StoreCreditView(
        user_id=whose,
        balances=[
            CreditBalanceView(
                currency=balance.currency,
                balance=money(balance.balance, balance.currency),
                reserved=money(balance.reserved, balance.currency),
                available=money(balance.available, balance.currency),
            )
            for balance in await store_credit.balances(session, whose)
        ],
    )


@router.get("/v1/store-credit/entries", operation_id="list_store_credit_entries")
async def list_entries(
    caller: SignedIn, session: SessionDep, cursor: Cursor, user_id: UserFilter = None, limit: Limit = 20
) -> CreditChanges:
    """Where credit came from and what it was spent on, newest first."""
    rows = await store_credit.entries(session, _whose(caller, user_id), before=cursor, limit=limit + 1)
    return CreditChanges(
        data=[
            CreditChange(
                id=row.id,
                at=row.at,
                kind=row.kind,
                amount=row.amount,
                currency=row.currency,
                order_id=row.order_id,
            )
            for row in rows[:limit]
        ],
        next_cursor=next_cursor([row.id for row in rows], limit),
    )


@router.post("/v1/store-credit/grants", status_code=201, operation_id="grant_store_credit")
async def grant_store_credit(
    body: Annotated[CreditGrantBody, Body()],
    caller: Operator,
    services: ServicesDep,
    session: SessionDep,
    commands: CommandsDep,
    grant_id: NewObjectId,
) -> CreditGrantView:
    """Give a user credit without an order; it is there at once."""
    user_id = parse_id(body.user_id, "user")
    if await people.get(session, user_id) is None:
        raise NotFound("no such user")
    asked = {
        "user_id": user_id,
        "order_id": None,
        "amount": body.amount.amount,
        "currency": body.amount.currency,
        "reason": body.reason,
    }
    async with commands.transaction() as first:
        await recorded_commands.record(first, grant_id, "store_credit", caller.user_id, asked)
    await ask_store_credit(services, grant_id)
    row = await store_credit.grant(session, grant_id)
    if row is None:
        raise NotFound("no such grant")
    return CreditGrantView(
        id=row.id,
        user_id=row.user_id,
        order_id=row.order_id,
        amount=money(row.amount, row.currency),
        reason=row.reason,
        requested_by=row.requested_by,
        created_at=row.created_at,
    )
