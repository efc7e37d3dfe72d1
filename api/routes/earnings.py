"""Earnings: an instructor's own, and any payee's for operators."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.dependencies import EarningsReader, Principal, SessionDep
from api.idempotency import CommerceRoute
from api.paging import Cursor, Limit, next_cursor
from api.schemas.earnings import (
    CourseEarnings,
    EarningEntryList,
    EarningEntryView,
    Earnings,
    PayeeBalance,
    PayoutList,
    PayoutView,
    ShareView,
)
from api.schemas.orders import money
from domain.errors import Forbidden, InvalidInput, NotFound
from domain.ids import instructor_payee
from models.database import Session
from models.queries import earnings, payees, people

router = APIRouter(route_class=CommerceRoute, tags=["earnings"])

PayeeFilter = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=100,
        pattern=r"^[^\x00]*$",
        description="Whose, such as `lms:102`. Operators and machines name a payee, where all are not "
        "listed; an instructor has only their own.",
    ),
]


async def _payee(session: Session, caller: Principal, asked: str | None) -> str:
    """The payee to read: an operator names one, an instructor has only their own."""
    if caller.sees_all:
        if asked is None:
            raise InvalidInput("an operator says whose: `?payee=`")
        return asked
    user = await people.get(session, caller.user_id)
    if user is None:
        raise NotFound("no such user")
    own = instructor_payee(user.lms_user_id)
    if asked not in (None, own):
        raise Forbidden("an instructor sees their own earnings")
    return own


@router.get("/v1/earnings", operation_id="get_earnings")
async def get_earnings(caller: EarningsReader, session: SessionDep, payee: PayeeFilter = None) -> Earnings:
    """Accrued, held, releasable, released and reversed by course; payable, settled and owed by currency."""
    ref = await _payee(session, caller, payee)
    return Earnings(
        payee_ref=ref,
        data=[
            CourseEarnings(
                course_id=row.course_id,
                currency=row.currency,
                accrued=money(row.accrued, row.currency),
                held=money(row.held, row.currency),
                releasable=money(row.releasable, row.currency),
                released=money(row.released, row.currency),
                reversed=money(row.reversed, row.currency),
            )
            for row in await earnings.by_course(session, ref)
        ],
        balances=[
            PayeeBalance(
                currency=row.currency,
                held=money(row.held, row.currency),
                payable=money(row.payable, row.currency),
                receivable=money(row.receivable, row.currency),
                settled=money(row.settled, row.currency),
                written_off=money(row.written_off, row.currency),
            )
            for row in await payees.balances(session, ref)
        ],
    )


@router.get("/v1/earnings/entries", operation_id="list_earning_entries")
async def list_earning_entries(
    caller: EarningsReader,
    session: SessionDep,
    cursor: Cursor,
    payee: PayeeFilter = None,
    course_id: Annotated[
        str | None,
        Query(max_length=255, pattern=r"^[^\x00]*$", description="Only of this course, by the LMS's id."),
    ] = None,
    currency: Annotated[
        str | None, Query(pattern=r"^[A-Z]{3}$", description="ISO 4217: only of sales in it.")
    ] = None,
    limit: Limit = 20,
) -> EarningEntryList:
    """Every event of a payee's earnings, newest first, as the payout system is told."""
    ref = await _payee(session, caller, payee)
    rows = await earnings.entries(
        session, ref, course_id=course_id, currency=currency, before=cursor, limit=limit + 1
    )
    return EarningEntryList(
        data=[_entry(row) for row in rows[:limit]], next_cursor=next_cursor([row.id for row in rows], limit)
    )


def _entry(row: earnings.EarningEntry) -> EarningEntryView:
    data: dict[str, Any] = row.data
    share = data.get("share")
    return EarningEntryView(
        id=row.id,
        type=row.type,
        at=row.at,
        amount=money(data["amount"], data["currency"]),
        share=None if share is None else ShareView(**share),
        **{
            name: data.get(name)
            for name in (
                "course_id",
                "order_id",
                "order_line_id",
                "bucket",
                "rule_version",
                "reason",
                "hold_until",
                "journal_entry_id",
            )
        },
    )


@router.get("/v1/earnings/payouts", operation_id="list_payouts")
async def list_payouts(
    caller: EarningsReader,
    session: SessionDep,
    cursor: Cursor,
    payee: PayeeFilter = None,
    limit: Limit = 20,
) -> PayoutList:
    """Payouts that were settled, newest first; an operator sees all, or those of one payee."""
    ref = payee if caller.sees_all else await _payee(session, caller, payee)
    rows = await payees.settlements(session, payee=ref, before=cursor, limit=limit + 1)
    return PayoutList(
        data=[
            PayoutView(
                id=row.id,
                payout_id=row.settlement.payout_id,
                payee_ref=row.settlement.payee,
                amount=money(row.settlement.amount, row.settlement.currency),
                excess=money(row.excess, row.settlement.currency),
                journal_entry_id=row.journal_entry_id,
                created_at=row.created_at,
            )
            for row in rows[:limit]
        ],
        next_cursor=next_cursor([row.id for row in rows], limit),
    )
