"""An order's whole money story as the API shows it."""

from datetime import datetime

from api.schemas.common import Money, Output
from api.schemas.credit import AdjustmentView
from api.schemas.disputes import DisputeSummary
from api.schemas.ledger import JournalEntryView, SubBalance
from api.schemas.orders import DocumentView, PaymentSummary, RefundSummary


class MoneyAmounts(Output):
    """The order's figures. `total = store_credit + amount_due`; `amount_refunded` has succeeded,
    `refund_pending` is promised, `refundable` could still go back."""

    subtotal: Money
    discount: Money
    tax: Money
    total: Money
    store_credit: Money
    amount_due: Money
    amount_paid: Money
    amount_refunded: Money
    refund_pending: Money
    refundable: Money


class MoneyLine(Output):
    """One line. `refunded` is what went back or is promised, for whatever reason."""

    line_id: str
    title: str
    net: Money
    tax: Money
    total: Money
    refunded: Money
    refundable: Money


class LineEarning(Output):
    """What a payee has of one line: `held + released + reversed` is all that ever accrued."""

    payee_ref: str
    line_id: str
    course_id: str
    recognized: bool
    accrued: Money
    held: Money
    released: Money
    reversed: Money


class MovementView(Output):
    """A movement on the account at the processor, in minor units of `currency`; out is negative."""

    id: str
    category: str
    amount: int
    fee: int
    net: int
    currency: str
    at: datetime


class OrderBooks(Output):
    """What operators see besides: the journal entries with their postings, what they come to by account,
    disputes, who earned, what moved at the processor, and the fees of it."""

    journal_entries: list[JournalEntryView]
    balances: list[SubBalance]
    disputes: list[DisputeSummary]
    earnings: list[LineEarning]
    processor: list[MovementView]
    fees: list[SubBalance]


class OrderMoneyView(Output):
    """The whole story; lists are oldest first. `books` is for operators, null for the learner."""

    order_id: str
    number: str
    user_id: str
    status: str
    dispute_status: str
    amounts: MoneyAmounts
    lines: list[MoneyLine]
    payments: list[PaymentSummary]
    refunds: list[RefundSummary]
    adjustments: list[AdjustmentView]
    documents: list[DocumentView]
    books: OrderBooks | None
