"""The ledger, for operators: journals, accounts, trial balance."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from api.dependencies import LedgerReader, ServicesDep, SessionDep
from api.idempotency import CommerceRoute
from api.ledger_export import export_ledger
from api.paging import CURSOR_SAYS, Cursor, Limit, key_cursor, next_cursor, parse_id, parse_key
from api.schemas.common import Moment
from api.schemas.ledger import (
    AccountBalance,
    Accounts,
    JournalEntryView,
    JournalList,
    PostingView,
    SubBalance,
    TrialBalance,
)
from domain.accounts import Account
from integrations.journal_export import ExportFormat
from models.queries import balances, journals

router = APIRouter(route_class=CommerceRoute, tags=["ledger"])


_TEXT = {"type": "string"}
AccountCode = Annotated[
    str | None, Query(pattern=r"^\d{4}$", description="The four digits of an account, such as `2210`.")
]
SINCE_SAYS = "Only what counts from then on, by `effective_at`."
UNTIL_SAYS = "Only what counts before then, by `effective_at`."


def _name(code: str) -> str:
    return Account(code).title


@router.get("/v1/ledger/journals", operation_id="list_journals")
async def list_journals(
    caller: LedgerReader,
    session: SessionDep,
    cursor: Cursor,
    order_id: Annotated[
        str | None, Query(max_length=64, description="Only entries about this order.")
    ] = None,
    account: AccountCode = None,
    since: Annotated[Moment | None, Query(alias="from", description=SINCE_SAYS)] = None,
    until: Annotated[Moment | None, Query(alias="to", description=UNTIL_SAYS)] = None,
    limit: Limit = 20,
) -> JournalList:
    """Journal entries, newest first, by order, account and effective time (`to` excluded)."""
    rows = await journals.page(
        session,
        order_id=None if order_id is None else parse_id(order_id, "order"),
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
                occurred_at=row.occurred_at,
                effective_at=row.effective_at,
                recorded_at=row.recorded_at,
                order_id=row.order_id,
                reverses=row.reverses,
                operator_id=row.operator_id,
                position=row.position,
                postings=[PostingView(**posting) for posting in row.postings],
            )
            for row in rows[:limit]
        ],
        next_cursor=next_cursor([row.id for row in rows], limit),
    )


@router.get("/v1/ledger/accounts", operation_id="list_accounts")
async def list_accounts(
    caller: LedgerReader,
    session: SessionDep,
    account: AccountCode = None,
    sub: Annotated[
        str | None,
        Query(max_length=200, pattern=r"^[^\x00]*$", description="An order line, jurisdiction or payee."),
    ] = None,
    cursor: Annotated[str | None, Query(max_length=400, description=CURSOR_SAYS)] = None,
    limit: Limit = 20,
) -> Accounts:
    """The balance of every account and sub-account that is not zero, by account, sub and currency."""
    after = None if cursor is None else parse_key(cursor, 3)
    found = await balances.by_sub(
        session,
        account=account,
        sub=sub,
        after=None if after is None else (after[0], after[1], after[2]),
        limit=limit + 1,
    )
    last = found[limit - 1] if len(found) > limit else None
    return Accounts(
        data=[
            SubBalance(
                account=row.account,
                name=_name(row.account),
                sub=row.sub,
                currency=row.currency,
                amount=row.amount,
            )
            for row in found[:limit]
        ],
        next_cursor=None if last is None else key_cursor(last.account, last.sub or "", last.currency),
    )


@router.get("/v1/ledger/trial-balance", operation_id="get_trial_balance")
async def get_trial_balance(
    caller: LedgerReader,
    session: SessionDep,
    at: Annotated[Moment | None, Query(description="What was effective by then.")] = None,
    recorded_at: Annotated[
        Moment | None, Query(description="As far as it had been recorded by then.")
    ] = None,
) -> TrialBalance:
    """Balances by account at a moment, as they were known at a moment; per currency they sum to zero.

    With `recorded_at` in the past (by more than a transaction's length), the answer never changes again.
    """
    found = await balances.trial(session, at=at, recorded_at=recorded_at)
    now = datetime.now(UTC)
    return TrialBalance(
        at=at or now,
        recorded_at=recorded_at or now,
        accounts=[
            AccountBalance(
                account=row.account, name=_name(row.account), currency=row.currency, amount=row.amount
            )
            for row in found
        ],
    )


@router.get(
    "/v1/ledger/export",
    operation_id="export_ledger",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The journals as text.",
            "content": {"text/csv": {"schema": _TEXT}, "text/plain": {"schema": _TEXT}},
        }
    },
)
async def get_export(
    caller: LedgerReader,
    services: ServicesDep,
    export_format: Annotated[
        ExportFormat,
        Query(
            alias="format",
            description="`csv`: one line a posting; `beancount`; `ledger`: for ledger-cli and hledger.",
        ),
    ] = ExportFormat.CSV,
    since: Annotated[Moment | None, Query(alias="from", description=SINCE_SAYS)] = None,
    until: Annotated[Moment | None, Query(alias="to", description=UNTIL_SAYS)] = None,
) -> StreamingResponse:
    """Journal entries by effective time (`to` excluded) for an accountant's own tools, as a stream.

    With `from`, the text opens with the balances that were carried into it.
    """
    return StreamingResponse(
        export_ledger(services.database, export_format, since=since, until=until),
        media_type=export_format.media_type,
        headers={"Content-Disposition": f'attachment; filename="ledger.{export_format.suffix}"'},
    )
