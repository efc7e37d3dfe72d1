"""Earnings of payees, their payouts, and corrections of their money."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from api.schemas.common import Body, MinorUnits, Moment, Money, Newest, NextCursor, Output, Payee, ShortText


class CourseEarnings(Output):
    """What a payee has earned with one course in one currency.

    `held` is not yet released; `releasable` the part of it that is past its time, with no dispute or refund
    standing against it.
    """

    course_id: str
    currency: str
    accrued: Money
    held: Money
    releasable: Money
    released: Money
    reversed: Money


class PayeeBalance(Output):
    """What stands in the ledger for a payee in one currency.

    `payable` was released and not yet paid out; `receivable` is what the payee owes after a reversal of what
    had been paid out: later earnings are netted with it, unless it is written off.
    """

    currency: str
    held: Money
    payable: Money
    receivable: Money
    settled: Money
    written_off: Money


class Earnings(Output):
    """A payee's earnings by course, and balances by currency."""

    payee_ref: str
    data: list[CourseEarnings]
    balances: list[PayeeBalance]


class ShareView(Output):
    """By which terms of the rule: `amount` is the whole share in minor units, before reversals."""

    kind: str
    bps: int | None
    amount: int


class EarningEntryView(Output):
    """One event of a payee's earnings; the type gives the direction of the amount."""

    id: str
    type: str
    at: datetime
    amount: Money
    course_id: str | None
    order_id: str | None
    order_line_id: str | None
    bucket: Literal["held", "released"] | None
    share: ShareView | None
    rule_version: str | None
    reason: str | None
    hold_until: datetime | None
    journal_entry_id: str | None


class EarningEntryList(Output):
    """A page of events."""

    data: Newest[EarningEntryView]
    next_cursor: NextCursor


class PayoutView(Output):
    """A payout that the payout system told of; `excess` went beyond what had been released by then."""

    id: str
    payout_id: str
    payee_ref: str
    amount: Money
    excess: Money
    journal_entry_id: str
    created_at: datetime


class PayoutList(Output):
    """A page of payouts."""

    data: Newest[PayoutView]
    next_cursor: NextCursor


class PositiveMoney(Money):
    """Integer minor units, more than none."""

    amount: Annotated[MinorUnits, Field(gt=0)]


class WriteOffBody(Body):
    """A payee's debt to give up: at most what is owed."""

    payee_ref: Payee
    amount: PositiveMoney
    reason: Annotated[ShortText, Field(min_length=1)]
    effective_at: Annotated[
        Moment | None,
        Field(description="When it counts in the ledger, if not now; its month may be soft-closed."),
    ] = None


class ReassignmentBody(Body):
    """Earnings of an order line that were booked to the wrong payee."""

    order_line_id: Annotated[str, Field(max_length=64)]
    from_payee: Payee
    to_payee: Payee
    amount: PositiveMoney
    reason: Annotated[ShortText, Field(min_length=1)]

    @model_validator(mode="after")
    def _two_payees(self) -> "ReassignmentBody":
        if self.from_payee == self.to_payee:
            raise ValueError("from_payee and to_payee are the same")
        if "platform" in (self.from_payee, self.to_payee):
            raise ValueError("the platform is no payee: what it keeps is the residual")
        return self


class CorrectionView(Output):
    """What an operator put right; a write-off has no line and no other payee."""

    id: str
    kind: Literal["write_off", "reassignment"]
    payee_ref: str
    to_payee: str | None
    order_line_id: str | None
    amount: Money
    reason: str
    requested_by: str
    created_at: datetime


class CorrectionList(Output):
    """A page of corrections."""

    data: Newest[CorrectionView]
    next_cursor: NextCursor
