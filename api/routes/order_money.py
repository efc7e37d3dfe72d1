"""An order's whole money story in one answer."""

from dataclasses import asdict

from fastapi import APIRouter

from api.dependencies import SessionDep, SignedIn
from api.idempotency import CommerceRoute
from api.parameters import OrderPath
from api.routes.adjustments import adjustment_of_grant, adjustment_of_refund
from api.routes.disputes import dispute_view
from api.routes.documents import document_view
from api.routes.orders import own_order
from api.routes.views import payment_view, refund_view
from api.schemas.common import Money
from api.schemas.ledger import JournalEntryView, SubBalance
from api.schemas.order_money import (
    LineEarning,
    MoneyAmounts,
    MoneyLine,
    MovementView,
    OrderBooks,
    OrderMoneyView,
)
from api.schemas.orders import money
from domain.accounts import Account
from domain.orders import RefundKind
from models.database import see_one_moment
from models.queries import order_money
from models.queries.balances import Balance
from models.queries.order_money import LineMoney, OrderMoney

router = APIRouter(route_class=CommerceRoute, tags=["orders"])
_FEES = (Account.PROCESSOR_FEES, Account.DISPUTE_FEES)
_ADJUSTMENTS = (RefundKind.GOODWILL, RefundKind.CORRECTION)


@router.get("/v1/orders/{order_id}/money", operation_id="get_order_money")
async def get_order_money(order_id: OrderPath, caller: SignedIn, session: SessionDep) -> OrderMoneyView:
    """Amounts, payments, refunds, adjustments and documents; for operators also the books."""
    await see_one_moment(session)
    row = await own_order(session, caller, order_id)
    story = await order_money.of_order(session, row)
    adjustments = [
        *(adjustment_of_refund(refund) for refund in story.refunds if refund.kind in _ADJUSTMENTS),
        *(adjustment_of_grant(grant) for grant in story.grants),
    ]
    return OrderMoneyView(
        order_id=row.id,
        number=row.number,
        user_id=row.user_id,
        status=row.status,
        dispute_status=row.dispute_state,
        amounts=_amounts(story),
        lines=[_line(line, row.currency) for line in story.lines],
        payments=[payment_view(payment) for payment in story.payments],
        refunds=[refund_view(refund) for refund in story.refunds],
        adjustments=sorted(adjustments, key=lambda adjustment: adjustment.created_at),
        documents=[document_view(document) for document in story.documents],
        books=_books(story) if caller.is_operator else None,
    )


def _amounts(story: OrderMoney) -> MoneyAmounts:
    def shown(amount: int) -> Money:
        return money(amount, story.order.currency)

    order = story.order
    return MoneyAmounts(
        subtotal=shown(order.subtotal),
        discount=shown(order.discount),
        tax=shown(order.tax),
        total=shown(order.total),
        store_credit=shown(order.store_credit),
        amount_due=shown(order.due),
        amount_paid=shown(order.amount_kept),
        amount_refunded=shown(order.amount_refunded),
        refund_pending=shown(story.refund_pending),
        refundable=shown(story.refundable),
    )


def _line(line: LineMoney, currency: str) -> MoneyLine:
    return MoneyLine(
        line_id=line.row.id,
        title=line.row.title,
        net=money(line.row.net, currency),
        tax=money(line.row.tax, currency),
        total=money(line.row.gross, currency),
        refunded=money(line.taken, currency),
        refundable=money(line.refundable, currency),
    )


def _books(story: OrderMoney) -> OrderBooks:
    currency = story.order.currency
    return OrderBooks(
        journal_entries=[JournalEntryView.model_validate(asdict(entry)) for entry in story.entries],
        balances=[_balance(balance) for balance in story.balances],
        disputes=[dispute_view(dispute) for dispute in story.disputes],
        earnings=[
            LineEarning(
                payee_ref=payee.payee,
                line_id=line.row.id,
                course_id=line.row.lms_course_id,
                recognized=line.ledger.recognized,
                accrued=money(payee.accrued, currency),
                held=money(payee.held, currency),
                released=money(payee.released - payee.reversed_released, currency),
                reversed=money(payee.reversed, currency),
            )
            for line in story.lines
            if line.ledger is not None
            for payee in line.ledger.payees
        ],
        processor=[MovementView.model_validate(asdict(movement)) for movement in story.movements],
        fees=[_balance(balance) for balance in story.balances if balance.account in _FEES],
    )


def _balance(row: Balance) -> SubBalance:
    return SubBalance(
        account=row.account,
        name=Account(row.account).title,
        currency=row.currency,
        amount=row.amount,
        sub=row.sub,
    )
