"""Earnings of payees, their payouts, and corrections of their money."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from api.schemas.common import (
    Body,
    CourseId,
    CreatedAt,
    CurrencyCode,
    MinorUnits,
    Moment,
    Money,
    Newest,
    NextCursor,
    OperatorId,
    Output,
    OwnId,
    Payee,
    PayeeRef,
    ShortText,
)


class CourseEarnings(Output):
    """What a payee has earned with one course in one currency.

    `held` is not yet released; `releasable` the part of it that is past its time, with no dispute or refund
    standing against it.
    """

    course_id: CourseId
    currency: CurrencyCode
    accrued: Annotated[Money, Field(description="All that ever accrued, before reversals.")]
    held: Annotated[Money, Field(description="Earned, and not yet released.")]
    releasable: Annotated[
        Money, Field(description="What of `held` is past its hold, with no dispute or refund against it.")
    ]
    released: Annotated[
        Money, Field(description="All that was ever handed to the payout system, before reversals.")
    ]
    reversed: Annotated[Money, Field(description="Taken back, before and after the release.")]


class PayeeBalance(Output):
    """What stands in the ledger for a payee in one currency.

    `payable` was released and not yet paid out; `receivable` is what the payee owes after a reversal of what
    had been paid out: later earnings are netted with it, unless it is written off.
    """

    currency: CurrencyCode
    held: Annotated[Money, Field(description="Earned, and not yet released.")]
    payable: Annotated[Money, Field(description="Released, and not yet paid out.")]
    receivable: Annotated[
        Money,
        Field(
            description="What the payee owes us: reversed after it had been paid out. Later earnings are "
            "netted with it."
        ),
    ]
    settled: Annotated[Money, Field(description="All that the payout system has paid them.")]
    written_off: Annotated[Money, Field(description="All debts of theirs that were given up.")]


class Earnings(Output):
    """A payee's earnings by course, and balances by currency."""

    payee_ref: PayeeRef
    data: Annotated[list[CourseEarnings], Field(description="By course and currency.")]
    balances: Annotated[list[PayeeBalance], Field(description="By currency.")]


class ShareView(Output):
    """By which terms of the rule: `amount` is the whole share in minor units, before reversals."""

    kind: Annotated[
        str,
        Field(
            description="`off_top`, `fixed` or `share`, as in the rule; `mixed` when several of its parts "
            "name the payee."
        ),
    ]
    bps: Annotated[
        int | None, Field(description="Basis points; null where the share is not one of basis points.")
    ]
    amount: Annotated[int, Field(description="The whole share before reversals, in minor units.")]


class EarningEntryView(Output):
    """One event of a payee's earnings; the type gives the direction of the amount."""

    id: Annotated[str, Field(description="The id of the event that told it.")]
    type: Annotated[
        str,
        Field(
            description="As in the event: `earning.accrued`, `.released`, `.reversed`, `.frozen`, "
            "`.unfrozen`, or `payee.written_off`."
        ),
    ]
    at: Annotated[datetime, Field(description="When it was published, with the fact.")]
    amount: Annotated[Money, Field(description="How much it is about; never negative.")]
    course_id: Annotated[
        str | None, Field(description="The LMS's id of the course; null for a debt written off.")
    ]
    order_id: Annotated[str | None, Field(description="The order; null for a debt written off.")]
    order_line_id: Annotated[
        str | None, Field(description="The line of the order; null for a debt written off.")
    ]
    bucket: Annotated[
        Literal["held", "released"] | None,
        Field(
            description="Where what was reversed lay: `held`, or `released` to the payout system; null for "
            "other types."
        ),
    ]
    share: Annotated[
        ShareView | None,
        Field(description="By which terms the payee has a part of the line; null for a debt written off."),
    ]
    rule_version: Annotated[str | None, Field(description="The `id` of the split rule; null when none was.")]
    reason: Annotated[str | None, Field(description="What it comes of, in words.")]
    hold_until: Annotated[
        datetime | None,
        Field(description="Until when the line's earnings are held; null for a debt written off."),
    ]
    journal_entry_id: Annotated[
        str | None, Field(description="The journal entry behind it; null when nothing was posted.")
    ]


class EarningEntryList(Output):
    """A page of events."""

    data: Newest[EarningEntryView]
    next_cursor: NextCursor


class PayoutView(Output):
    """A payout that the payout system told of; `excess` went beyond what had been released by then."""

    id: OwnId
    payout_id: Annotated[str, Field(description="The payout system's id.")]
    payee_ref: PayeeRef
    amount: Annotated[Money, Field(description="What was paid.")]
    excess: Annotated[
        Money, Field(description="What of it went beyond the earnings that were released by then.")
    ]
    journal_entry_id: Annotated[str, Field(description="The journal entry that it was posted with.")]
    created_at: Annotated[datetime, Field(description="When it was posted.")]


class PayoutList(Output):
    """A page of payouts."""

    data: Newest[PayoutView]
    next_cursor: NextCursor


class PositiveMoney(Money):
    """Integer minor units, more than none."""

    amount: Annotated[
        MinorUnits,
        Field(
            gt=0,
            description="Minor units by the decimals that ISO 4217 gives the currency; more than nothing.",
        ),
    ]


class WriteOffBody(Body):
    """A payee's debt to give up: at most what is owed."""

    payee_ref: Annotated[Payee, Field(description="Who owes it, such as `lms:102`.")]
    amount: Annotated[PositiveMoney, Field(description="How much of it is given up: at most what they owe.")]
    reason: Annotated[
        ShortText, Field(min_length=1, description="Why, in words; kept with it and in the audit log.")
    ]
    effective_at: Annotated[
        Moment | None,
        Field(description="When it counts in the ledger, if not now; its month may be soft-closed."),
    ] = None


class ReassignmentBody(Body):
    """Earnings of an order line that were booked to the wrong payee."""

    order_line_id: Annotated[str, Field(max_length=64, description="The line of the order, by id.")]
    from_payee: Annotated[Payee, Field(description="Who has the earnings now.")]
    to_payee: Annotated[Payee, Field(description="Whose they are; never `platform`.")]
    amount: Annotated[PositiveMoney, Field(description="How much of them, in the order's currency.")]
    reason: Annotated[
        ShortText, Field(min_length=1, description="Why, in words; kept with it and in the audit log.")
    ]

    @model_validator(mode="after")
    def _two_payees(self) -> "ReassignmentBody":
        if self.from_payee == self.to_payee:
            raise ValueError("from_payee and to_payee are the same")
        if "platform" in (self.from_payee, self.to_payee):
            raise ValueError("the platform is no payee: what it keeps is the residual")
        return self


class CorrectionView(Output):
    """What an operator put right; a write-off has no line and no other payee."""

    id: OwnId
    kind: Annotated[
        Literal["write_off", "reassignment"],
        Field(description="`write_off`: a debt given up; `reassignment`: earnings moved to another payee."),
    ]
    payee_ref: Annotated[str, Field(description="Whose debt or earnings it was.")]
    to_payee: Annotated[str | None, Field(description="Who has the earnings now; null for a write-off.")]
    order_line_id: Annotated[str | None, Field(description="The line of the order; null for a write-off.")]
    amount: Annotated[Money, Field(description="How much was given up or moved.")]
    reason: Annotated[str, Field(description="Why, in words.")]
    requested_by: OperatorId
    created_at: CreatedAt


class CorrectionList(Output):
    """A page of corrections."""

    data: Newest[CorrectionView]
    next_cursor: NextCursor
