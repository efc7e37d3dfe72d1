"""Shapes of the reconciliation: runs and differences."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from api.schemas.common import Body, Newest, NextCursor, Output, ShortText

DifferenceState = Literal["open", "repaired", "accepted"]
Kind = Literal[
    "entry_missing",
    "transaction_missing",
    "amount_differs",
    "unknown_category",
    "unknown_order",
    "cash_differs",
    "amount_aged",
]
SignedMinorUnits = Annotated[int, Field(description="Minor units; money out of the account is negative.")]


class CashView(Output):
    """A period's cash in one currency: the processor's sum of `net`, and the change of 1010.

    `explained` is what the differences say that the two differ by; `foreign` belongs to other products.
    """

    currency: str
    processor: SignedMinorUnits
    ledger: SignedMinorUnits
    explained: SignedMinorUnits
    foreign: SignedMinorUnits


class RunView(Output):
    """One comparison of processor and books over `[from, to)`; the figures stand when it has ended."""

    id: str
    workflow_id: str
    period_from: datetime
    period_to: datetime
    state: Literal["running", "completed"]
    pages: int
    transactions: int
    by_category: dict[str, int]
    foreign: int
    cash: list[CashView]
    differences_opened: int
    differences_open: int
    started_at: datetime
    finished_at: datetime | None


class RunList(Output):
    """A page of runs."""

    data: Newest[RunView]
    next_cursor: NextCursor


class DifferenceView(Output):
    """One way in which processor and books differ.

    `subject` names the transaction and its part, the entry, or the account; `expected` is the processor's
    figure, `found` that of the books. `resolution` says how it ended, `resolved_by` which operator did it.
    """

    id: str
    kind: Kind
    subject: str
    provider_id: str | None
    order_id: str | None
    run_id: str | None
    currency: str
    expected: SignedMinorUnits
    found: SignedMinorUnits
    detail: str
    state: DifferenceState
    resolution: str | None
    resolved_by: str | None
    resolved_at: datetime | None
    opened_at: datetime
    seen_at: datetime
    workflow_id: str


class DifferenceList(Output):
    """A page of differences."""

    data: Newest[DifferenceView]
    next_cursor: NextCursor


class RepairBody(Body):
    """Nothing is needed to try a repair."""


class AcceptBody(Body):
    """Why a difference is taken as it is."""

    reason: Annotated[ShortText, Field(min_length=1)]
