"""Disputes."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from api.schemas.common import Body, Money, Newest, NextCursor, OrderId, OrderNumber, Output, OwnId

DisputeStateName = Literal["inquiry", "open", "won", "lost", "closed"]


class SubmitEvidenceBody(Body):
    """When the evidence goes to the bank, which takes it once."""

    when: Annotated[
        Literal["now", "before_deadline"],
        Field(
            description="`now`, or `before_deadline`: a day before `evidence_due_by`, and now where there is "
            "none."
        ),
    ] = "now"


class DisputeSummary(Output):
    """A dispute, or an inquiry, which moves no money; `withdrawn` is what the bank took.

    `evidence_scheduled`: it goes out by itself, a day before `evidence_due_by`.
    """

    id: OwnId
    provider_dispute_id: Annotated[str, Field(description="The processor's id.")]
    order_id: OrderId
    order_number: OrderNumber
    amount: Annotated[Money, Field(description="What the bank disputes.")]
    withdrawn: Annotated[
        Money, Field(description="What it took; 0 for an inquiry, and unchanged when it is won.")
    ]
    reason: Annotated[
        str, Field(description="The bank's reason, in the processor's words, such as `fraudulent`.")
    ]
    state: Annotated[
        DisputeStateName,
        Field(
            description="`inquiry`: no money has moved; `open`: it was taken; `won`, `lost`: decided; "
            "`closed`: an inquiry that came to nothing."
        ),
    ]
    processor_status: Annotated[
        str, Field(description="The processor's own status, such as `needs_response`.")
    ]
    evidence_due_by: Annotated[
        datetime | None,
        Field(description="Until when the bank takes evidence; null when the processor names no time."),
    ]
    evidence_submitted_at: Annotated[
        datetime | None,
        Field(
            description="When the evidence went to the bank, which takes it once; null as long as it did not."
        ),
    ]
    evidence_scheduled: Annotated[
        bool, Field(description="Whether it goes out by itself, a day before `evidence_due_by`.")
    ]
    created_at: Annotated[datetime, Field(description="When we first heard of it.")]
    closed_at: Annotated[
        datetime | None, Field(description="When it was decided or closed; null while it is not.")
    ]


class DisputeList(Output):
    """A page of disputes."""

    data: Newest[DisputeSummary]
    next_cursor: NextCursor


class DisputeAnswer(Output):
    """One dispute, and the evidence as it would be submitted; null until it is assembled."""

    dispute: Annotated[DisputeSummary, Field(description="The dispute as it stands now.")]
    evidence: Annotated[
        dict[str, str] | None,
        Field(
            description="Texts by the processor's names of them, such as `access_activity_log`; null until "
            "it is put together."
        ),
    ]
