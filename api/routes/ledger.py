"""The ledger, for operators: journals, accounts, trial balance."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from api.dependencies import Operator, SessionDep
from api.idempotency import CommerceRoute
from api.paging import Cursor, Limit, next_cursor, parse_id
from api.schemas.revenue import (
    AccountBalance,
    Accounts,
    JournalEntryView,
    JournalList,
    PostingView,
    SubBalance,
    TrialBalance,
)
from domain.accounts import Account
from models.queries import journals

router = APIRouter(route_class=CommerceRoute, tags=["ledger"])


def _name(code: str) -> str:
    return Account(code).name.replace("_", " ").capitalize()


@router.get("/v1/ledger/journals", operation_id="list_journals")
async def list_journals(
    caller: Operator,
    session: SessionDep,
    cursor: Cursor,
    order_id: Annotated[str | None, Query(max_length=64)] = None,
    account: Annotated[str | None, Query(pattern=r"^\d{4}$")] = None,
    since: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to")] = None,
    limit: Limit = 20,
) -> JournalList:
    """Journal entries, newest first, by order, account and effective time (`to` excluded)."""
    rows = await journals.page(
        session,
        order_id=None if order_id is None else parse_id(order_id),
        account=account,
        since=since,
        until=until,
        before=cursor,
        limit=limit + 1,
    )
    return JournalList(
        data=[
            JournalEntryView(
                id=row.id,
                event_key=row.event_key,
                kind=row.kind,
                effective_at=row.effective_at,
                recorded_at=row.recorded_at,
                order_id=row.order_id,
                reverses=row.reverses,
                postings=[PostingView(**posting) for posting in row.postings],
            )
            for row in rows[:limit]
        ],
        next_cursor=next_cursor([row.id for row in rows], limit),
    )


@router.get("/v1/ledger/accounts", operation_id="list_accounts")
async def list_accounts(caller: Operator, session: SessionDep) -> Accounts:
    """The balance of every account and sub-account that is not zero."""
    found = await journals.balances(session, at=None, by_sub=True)
    return Accounts(
        data=[
            SubBalance(
                account=row.account,
                name=_name(row.account),
                sub=row.sub,
                currency=row.currency,
                amount=row.amount,
            )
            for row in found
        ]
    )


@router.get("/v1/ledger/trial-balance", operation_id="get_trial_balance")
async def get_trial_balance(
    caller: Operator, session: SessionDep, at: Annotated[AwareDatetime | None, Query()] = None
) -> TrialBalance:
    """Balances by account at a moment; per currency they sum to zero."""
    found = await journals.balances(session, at=at, by_sub=False)
    return TrialBalance(
        at=at or datetime.now(UTC),
        accounts=[
            AccountBalance(
                account=row.account, name=_name(row.account), currency=row.currency, amount=row.amount
            )
            for row in found
        ],
    )
