"""An order's whole money story as the API shows it."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from api.schemas.common import CourseId, LineId, Money, OrderId, OrderNumber, Output, PayeeRef, UserId
from api.schemas.credit import AdjustmentView
from api.schemas.disputes import DisputeSummary
from api.schemas.documents import DocumentView
from api.schemas.ledger import JournalEntryView, SubBalance
from api.schemas.orders import PaymentSummary
from api.schemas.refunds import RefundSummary


class MoneyAmounts(Output):
    """The order's figures. `total = store_credit + amount_due`; `amount_refunded` has succeeded,
    `refund_pending` is promised, `refundable` could still go back."""

    subtotal: Annotated[Money, Field(description="The list prices, without tax.")]
    discount: Annotated[Money, Field(description="What promotions took off, without tax.")]
    tax: Annotated[Money, Field(description="All taxes.")]
    total: Annotated[
        Money, Field(description="`subtotal - discount + tax`, which is `store_credit + amount_due`.")
    ]
    store_credit: Annotated[Money, Field(description="What of the total store credit pays.")]
    amount_due: Annotated[Money, Field(description="What of the total is for the card.")]
    amount_paid: Annotated[
        Money,
        Field(
            description="What was paid, by card and store credit; refunds do not lower it, but it is 0 "
            "again when the bank returned the payment."
        ),
    ]
    amount_refunded: Annotated[Money, Field(description="What succeeded refunds gave back.")]
    refund_pending: Annotated[
        Money,
        Field(
            description="What is promised back and not gone yet; failed refunds count until they are given "
            "up."
        ),
    ]
    refundable: Annotated[Money, Field(description="What could still go back; 0 before payment.")]


class MoneyLine(Output):
    """One line. `refunded` is what went back or is promised, for whatever reason."""

    line_id: LineId
    title: Annotated[str, Field(description="As it was when it was bought.")]
    net: Annotated[Money, Field(description="What it cost without tax, after discounts.")]
    tax: Annotated[Money, Field(description="All taxes on it.")]
    total: Annotated[Money, Field(description="`net + tax`.")]
    refunded: Annotated[
        Money,
        Field(
            description="What went back or is promised: refunds, lost disputes, a returned payment; tax "
            "included."
        ),
    ]
    refundable: Annotated[Money, Field(description="What of `total` could still go back; 0 before payment.")]


class LineEarning(Output):
    """What a payee has of one line: `held + released + reversed` is all that ever accrued."""

    payee_ref: PayeeRef
    line_id: LineId
    course_id: CourseId
    recognized: Annotated[
        bool, Field(description="Whether the line's revenue is recognized: earnings accrue with it.")
    ]
    accrued: Annotated[Money, Field(description="All that ever accrued, before reversals.")]
    held: Annotated[Money, Field(description="Earned, and not yet released.")]
    released: Annotated[
        Money, Field(description="Handed to the payout system, less what was reversed since.")
    ]
    reversed: Annotated[Money, Field(description="Taken back, before and after the release.")]


class MovementView(Output):
    """A movement on the account at the processor, in minor units of `currency`; out is negative."""

    id: Annotated[str, Field(description="The processor's id of the balance transaction.")]
    category: Annotated[
        str, Field(description="The processor's reporting category, such as `charge`, `refund` or `dispute`.")
    ]
    amount: Annotated[int, Field(description="What moved, in minor units; out is negative.")]
    fee: Annotated[int, Field(description="What the processor kept of it, in minor units.")]
    net: Annotated[int, Field(description="`amount - fee`, in minor units: how the balance changed.")]
    currency: Annotated[
        str,
        Field(description="ISO 4217: that of the account at the processor, which may not be the order's."),
    ]
    at: Annotated[datetime, Field(description="When the processor made it.")]


class OrderBooks(Output):
    """What operators see besides: the journal entries with their postings, what they come to by account,
    disputes, who earned, what moved at the processor, and the fees of it."""

    journal_entries: Annotated[
        list[JournalEntryView], Field(description="Every entry about the order, oldest first.")
    ]
    balances: Annotated[
        list[SubBalance],
        Field(description="What the entries come to by account, sub and currency; none of them zero."),
    ]
    disputes: Annotated[list[DisputeSummary], Field(description="All disputes about it, oldest first.")]
    earnings: Annotated[list[LineEarning], Field(description="Who earned what, by line and payee.")]
    processor: Annotated[
        list[MovementView], Field(description="What moved on the account at the processor, oldest first.")
    ]
    fees: Annotated[
        list[SubBalance], Field(description="Those of `balances` that are fees of the processor.")
    ]


class OrderMoneyView(Output):
    """The whole story; lists are oldest first. `books` is for operators, null for the learner."""

    order_id: OrderId
    number: OrderNumber
    user_id: UserId
    status: Annotated[str, Field(description="As `status` of the order.")]
    dispute_status: Annotated[
        str, Field(description="As `dispute` of the order: `none`, `open`, `won` or `lost`.")
    ]
    amounts: Annotated[MoneyAmounts, Field(description="The order's figures.")]
    lines: Annotated[list[MoneyLine], Field(description="The same by line.")]
    payments: Annotated[list[PaymentSummary], Field(description="All payment intents, oldest first.")]
    refunds: Annotated[
        list[RefundSummary], Field(description="All refunds, adjustments among them, oldest first.")
    ]
    adjustments: Annotated[
        list[AdjustmentView], Field(description="Goodwill and price corrections, oldest first.")
    ]
    documents: Annotated[
        list[DocumentView], Field(description="Invoices, receipts and credit notes, oldest first.")
    ]
    books: Annotated[
        OrderBooks | None,
        Field(description="What stands in the ledger and at the processor; null for the learner."),
    ]
