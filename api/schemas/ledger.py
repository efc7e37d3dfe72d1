"""The ledger as operators read it, and its periods."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from api.schemas.common import Body, Newest, NextCursor, Output, ShortText


class PostingView(Output):
    """One side of an entry: debit > 0, credit < 0, minor units."""

    account: str
    sub: str | None
    currency: str
    amount: int


class JournalEntryView(Output):
    """One fact in the ledger."""

    id: str
    event_key: str
    kind: str
    occurred_at: Annotated[
        datetime, Field(description="When the fact happened: before `effective_at`, if its month was closed.")
    ]
    effective_at: Annotated[datetime, Field(description="When the entry counts.")]
    recorded_at: Annotated[datetime, Field(description="When it was posted, by the database's clock.")]
    order_id: str | None
    reverses: str | None
    operator_id: Annotated[str | None, Field(description="Whose adjustment it is; null: it came by itself.")]
    position: Annotated[int | None, Field(description="Its place in the sealed chain; null: not sealed yet.")]
    postings: list[PostingView]


class JournalList(Output):
    """A page of entries."""

    data: Newest[JournalEntryView]
    next_cursor: NextCursor


class AccountBalance(Output):
    """The balance of an account in one currency; debit > 0."""

    account: str
    name: str
    currency: str
    amount: int


class SubBalance(AccountBalance):
    """The same by sub-account."""

    sub: str | None


class Accounts(Output):
    """A page of balances by account, sub and currency, in this order."""

    data: list[SubBalance]
    next_cursor: NextCursor


class TrialBalance(Output):
    """All balances at a moment; per currency they sum to zero."""

    at: datetime
    recorded_at: datetime
    accounts: list[AccountBalance]


class PeriodView(Output):
    """A month (UTC) of the ledger.

    Open; soft-closed: only operators' adjustments are posted into it, what comes late goes to the first
    open month; or closed for good. Closing a month closes all before it.
    """

    id: Annotated[str, Field(examples=["2026-03"])]
    status: Literal["open", "soft_closed", "closed"]
    starts_at: datetime
    ends_at: Annotated[datetime, Field(description="Excluded.")]
    entries: Annotated[int, Field(description="How many entries are effective in it.")]
    changed_by: Annotated[str | None, Field(description="Who closed or opened this very month last.")]
    changed_at: datetime | None
    reason: str | None


class PeriodList(Output):
    """A page of months."""

    data: Newest[PeriodView]
    next_cursor: NextCursor


Reason = Annotated[ShortText, Field(min_length=1, max_length=500)]


class CloseBody(Body):
    """How to close: `soft` can be undone, `hard` can't."""

    kind: Literal["soft", "hard"]
    reason: Reason | None = None


class ReopenBody(Body):
    """Why a month is opened again."""

    reason: Reason
