"""The ledger as operators read it, and its periods."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from api.schemas.common import Body, CurrencyCode, Newest, NextCursor, Output, OwnId, ShortText


class PostingView(Output):
    """One side of an entry: debit > 0, credit < 0, minor units."""

    account: Annotated[str, Field(description="Four digits of the chart of accounts, such as `1010`.")]
    sub: Annotated[
        str | None,
        Field(
            description="The order line, tax jurisdiction, payee or user, whichever divides the account; "
            "null where nothing does."
        ),
    ]
    currency: CurrencyCode
    amount: Annotated[int, Field(description="Minor units: debit is positive, credit negative, never 0.")]


class JournalEntryView(Output):
    """One fact in the ledger."""

    id: OwnId
    event_key: Annotated[
        str,
        Field(
            description="The business fact that it records, such as `order:<id>:captured`; no other entry "
            "has it."
        ),
    ]
    kind: Annotated[
        str,
        Field(
            description="What it records, such as `payment_captured`, `revenue_recognized` or "
            "`refund_settled`."
        ),
    ]
    occurred_at: Annotated[
        datetime, Field(description="When the fact happened: before `effective_at`, if its month was closed.")
    ]
    effective_at: Annotated[datetime, Field(description="When the entry counts.")]
    recorded_at: Annotated[datetime, Field(description="When it was posted, by the database's clock.")]
    order_id: Annotated[
        str | None,
        Field(description="The order that it is about; null for payouts, fees and others about none."),
    ]
    reverses: Annotated[
        str | None,
        Field(
            description="The entry that it takes back as a whole; null for all so far, as parts are taken "
            "back by entries of their own."
        ),
    ]
    operator_id: Annotated[str | None, Field(description="Whose adjustment it is; null: it came by itself.")]
    position: Annotated[int | None, Field(description="Its place in the sealed chain; null: not sealed yet.")]
    postings: Annotated[
        list[PostingView], Field(description="Two or more sides, which sum to zero in each currency.")
    ]


class JournalList(Output):
    """A page of entries."""

    data: Newest[JournalEntryView]
    next_cursor: NextCursor


class AccountBalance(Output):
    """The balance of an account in one currency; debit > 0."""

    account: Annotated[str, Field(description="Four digits of the chart of accounts, such as `1010`.")]
    name: Annotated[str, Field(description="The account's, for people.")]
    currency: CurrencyCode
    amount: Annotated[int, Field(description="Minor units: debit is positive, credit negative.")]


class SubBalance(AccountBalance):
    """The same by sub-account."""

    sub: Annotated[
        str | None,
        Field(
            description="The order line, tax jurisdiction, payee or user, whichever divides the account; "
            "null where nothing does."
        ),
    ]


class Accounts(Output):
    """A page of balances by account, sub and currency, in this order."""

    data: Annotated[
        list[SubBalance], Field(description="The page, by account, sub and currency; none of them zero.")
    ]
    next_cursor: NextCursor


class TrialBalance(Output):
    """All balances at a moment; per currency they sum to zero."""

    at: Annotated[datetime, Field(description="What was effective by then; now, if it was not asked for.")]
    recorded_at: Annotated[
        datetime, Field(description="As far as it had been recorded by then; now, if it was not asked for.")
    ]
    accounts: Annotated[
        list[AccountBalance], Field(description="By account and currency; none of them zero.")
    ]


class PeriodView(Output):
    """A month (UTC) of the ledger.

    Open; soft-closed: only operators' adjustments are posted into it, what comes late goes to the first
    open month; or closed for good. Closing a month closes all before it.
    """

    id: Annotated[str, Field(examples=["2026-03"], description="The month, in UTC.")]
    status: Annotated[
        Literal["open", "soft_closed", "closed"],
        Field(description="`open`; `soft_closed`: for operators' adjustments only; `closed`: for good."),
    ]
    starts_at: Annotated[datetime, Field(description="Included.")]
    ends_at: Annotated[datetime, Field(description="Excluded.")]
    entries: Annotated[int, Field(description="How many entries are effective in it.")]
    changed_by: Annotated[
        str | None, Field(description="Who closed or opened this very month last; null when nobody did.")
    ]
    changed_at: Annotated[
        datetime | None,
        Field(description="When this very month was closed or opened last; null when it never was."),
    ]
    reason: Annotated[str | None, Field(description="Why it was; null when nobody said, or it never was.")]


class PeriodList(Output):
    """A page of months."""

    data: Newest[PeriodView]
    next_cursor: NextCursor


Reason = Annotated[ShortText, Field(min_length=1, max_length=500)]


class CloseBody(Body):
    """How to close: `soft` can be undone, `hard` can't."""

    kind: Annotated[
        Literal["soft", "hard"],
        Field(description="`soft` can be undone, `hard` can't; each closes the months before, too."),
    ]
    reason: Annotated[
        Reason | None, Field(description="Why, in words; kept with the month and in the audit log.")
    ] = None


class ReopenBody(Body):
    """Why a month is opened again."""

    reason: Annotated[Reason, Field(description="Why, in words; kept with the month and in the audit log.")]
