"""Shapes of the reconciliation: runs and differences."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from api.schemas.common import Body, CurrencyCode, Newest, NextCursor, Output, OwnId, ShortText, WorkflowId

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
_SIGNED = "in minor units; money out of the account is negative."


class CashView(Output):
    """A period's cash in one currency: the processor's sum of `net`, and the change of 1010.

    `explained` is what the differences say that the two differ by; `foreign` belongs to other products.
    """

    currency: CurrencyCode
    processor: Annotated[int, Field(description=f"The processor's sum of `net`, {_SIGNED}")]
    ledger: Annotated[int, Field(description=f"The change of account 1010, {_SIGNED}")]
    explained: Annotated[
        int, Field(description=f"What the differences say that the two differ by, {_SIGNED}")
    ]
    foreign: Annotated[int, Field(description=f"The sum of other products in the same account, {_SIGNED}")]


class RunView(Output):
    """One comparison of processor and books over `[from, to)`; the figures stand when it has ended."""

    id: OwnId
    workflow_id: WorkflowId
    period_from: Annotated[
        datetime, Field(description="Included: balance transactions that the processor made from then on.")
    ]
    period_to: Annotated[datetime, Field(description="Excluded: those made before then.")]
    state: Annotated[
        Literal["running", "completed"], Field(description="`running`, or `completed` with its figures.")
    ]
    pages: Annotated[int, Field(description="Pages of the processor's list that were read so far.")]
    transactions: Annotated[
        int, Field(description="Balance transactions that were read so far, others' too.")
    ]
    by_category: Annotated[
        dict[str, int],
        Field(description="Ours, counted by the processor's reporting category; empty while it runs."),
    ]
    foreign: Annotated[
        int, Field(description="Those of other products in the same account; 0 while it runs.")
    ]
    cash: Annotated[list[CashView], Field(description="By currency; none while it runs.")]
    differences_opened: Annotated[
        int, Field(description="Those that it was the first to see; 0 while it runs.")
    ]
    differences_open: Annotated[
        int, Field(description="All that were open at its end, whoever saw them; 0 while it runs.")
    ]
    started_at: Annotated[datetime, Field(description="When it began.")]
    finished_at: Annotated[datetime | None, Field(description="When it ended; null while it runs.")]


class RunList(Output):
    """A page of runs."""

    data: Newest[RunView]
    next_cursor: NextCursor


class DifferenceView(Output):
    """One way in which processor and books differ.

    `subject` names the transaction and its part, the entry, or the account; `expected` is the processor's
    figure, `found` that of the books. `resolution` says how it ended, `resolved_by` which operator did it.
    """

    id: OwnId
    kind: Annotated[
        Kind,
        Field(
            description="`entry_missing`: money moved, and the books do not know; `transaction_missing`: the "
            "other way round; `amount_differs`; `unknown_category`, `unknown_order`: never posted by guess; "
            "`cash_differs`: a period is off by more than its differences; `amount_aged`: stands for too "
            "long where it should only pass."
        ),
    ]
    subject: Annotated[
        str,
        Field(
            description="What differs: the transaction with its part, the entry's `event_key`, the period, "
            "or the account."
        ),
    ]
    provider_id: Annotated[
        str | None,
        Field(
            description="The processor's id of the balance transaction; null where none is at the root of it."
        ),
    ]
    order_id: Annotated[str | None, Field(description="The order that it is about; null when none is known.")]
    run_id: Annotated[
        str | None, Field(description="The run that saw it first; null when it was seen outside of one.")
    ]
    currency: CurrencyCode
    expected: Annotated[int, Field(description=f"The processor's figure, {_SIGNED}")]
    found: Annotated[int, Field(description=f"The figure of the books, {_SIGNED}")]
    detail: Annotated[str, Field(description="The same in words.")]
    state: Annotated[
        DifferenceState,
        Field(description="`open`; `repaired`: it no longer holds; `accepted` by an operator as it is."),
    ]
    resolution: Annotated[str | None, Field(description="How it ended, in words; null while it is open.")]
    resolved_by: Annotated[
        str | None, Field(description="Our id of the operator who accepted it; null when nobody did.")
    ]
    resolved_at: Annotated[datetime | None, Field(description="When it ended; null while it is open.")]
    opened_at: Annotated[datetime, Field(description="When it was seen first.")]
    seen_at: Annotated[datetime, Field(description="When it was seen last.")]
    workflow_id: Annotated[
        str,
        Field(
            description="The id of the Temporal workflow that repairs it, once a repair was asked for or due."
        ),
    ]


class DifferenceList(Output):
    """A page of differences."""

    data: Newest[DifferenceView]
    next_cursor: NextCursor


class RepairBody(Body):
    """Nothing is needed to try a repair."""


class AcceptBody(Body):
    """Why a difference is taken as it is."""

    reason: Annotated[
        ShortText,
        Field(
            min_length=1,
            description="Why it is taken as it is: kept as its `resolution`, and in the audit log.",
        ),
    ]
