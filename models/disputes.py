"""Disputes: what a cardholder's bank asks back."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from models.columns import created, json_list, json_object, minor_units, moment, primary_key, reference


class Dispute(SQLModel, table=True):
    """A dispute or inquiry about a payment. `withdrawn` is what the bank took, 0 while it took nothing.

    `state` is ours (`domain.orders.DisputeState` of this one dispute, or `inquiry`, `closed`); `status` the
    processor's. `suspended_lines` lost their access to it, and get it back with a win. `missed_at`: when the
    deadline for evidence passed with nothing sent.
    """

    __tablename__ = "dispute"
    __table_args__ = (
        CheckConstraint("state IN ('inquiry', 'open', 'won', 'lost', 'closed')", name="dispute_state"),
        CheckConstraint("wish IN ('submit', 'submit_before_deadline', 'accept')", name="dispute_wish"),
        CheckConstraint("withdrawn >= 0", name="dispute_withdrawn"),
    )

    id: UUID = primary_key()
    provider_id: str = Field(unique=True)
    order_id: UUID = reference("orders.id")
    payment_id: UUID = reference("payment.id")
    amount: int = minor_units()
    withdrawn: int = minor_units(default=0)
    currency: str = Field(max_length=3)
    reason: str
    status: str
    state: str
    evidence_due_by: datetime | None = moment()
    evidence: dict[str, Any] | None = json_object(nullable=True)
    evidence_submitted_at: datetime | None = moment()
    reminded_at: datetime | None = moment()
    missed_at: datetime | None = moment()
    suspended_lines: list[str] = json_list()
    wish: str | None
    created_at: datetime = created()
    closed_at: datetime | None = moment()
