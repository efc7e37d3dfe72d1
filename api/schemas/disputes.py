"""Disputes."""

from datetime import datetime
from typing import Literal

from api.schemas.common import Body, Money, Newest, NextCursor, Output

DisputeStateName = Literal["inquiry", "open", "won", "lost", "closed"]


class SubmitEvidenceBody(Body):
    """When the evidence goes to the bank, which takes it once."""

    when: Literal["now", "before_deadline"] = "now"


class DisputeSummary(Output):
    """A dispute, or an inquiry, which moves no money; `withdrawn` is what the bank took.

    `evidence_scheduled`: it goes out by itself, a day before `evidence_due_by`.
    """

    id: str
    provider_dispute_id: str
    order_id: str
    order_number: str
    amount: Money
    withdrawn: Money
    reason: str
    state: DisputeStateName
    processor_status: str
    evidence_due_by: datetime | None
    evidence_submitted_at: datetime | None
    evidence_scheduled: bool
    created_at: datetime
    closed_at: datetime | None


class DisputeList(Output):
    """A page of disputes."""

    data: Newest[DisputeSummary]
    next_cursor: NextCursor


class DisputeAnswer(Output):
    """One dispute, and the evidence as it would be submitted; null until it is assembled."""

    dispute: DisputeSummary
    evidence: dict[str, str] | None
