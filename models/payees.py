"""Payees: affiliates, volumes that tiers count, payouts, corrections by operators."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlmodel import Field, SQLModel

from models.columns import created, flag, minor_units, primary_key, reference, uuid_column


class Affiliate(SQLModel, table=True):
    """Who is paid for bringing sales, known to front ends by a code."""

    __tablename__ = "affiliate"

    id: UUID = primary_key()
    code: str = Field(unique=True)
    payee_ref: str
    active: bool = flag(default=True)
    created_at: datetime = created()


class PayeeVolume(SQLModel, table=True):
    """What one order line counts for a payee's volume, minor units: it follows the line's ledger."""

    __tablename__ = "payee_volume"
    __table_args__ = (Index("volume_by_payee", "payee_ref", "currency"),)

    line_id: UUID = Field(
        sa_column=Column(PG_UUID(as_uuid=True), ForeignKey("order_line.id"), primary_key=True)
    )
    payee_ref: str = Field(primary_key=True)
    currency: str = Field(max_length=3)
    amount: int = minor_units()


class PayoutSettlement(SQLModel, table=True):
    """A payout as the payout system told it, posted. `excess` went beyond what had been released by then."""

    __tablename__ = "payout_settlement"
    __table_args__ = (
        UniqueConstraint("payout_id", "payee_ref"),
        CheckConstraint("amount > 0 AND excess BETWEEN 0 AND amount", name="settlement_amounts"),
    )

    id: UUID = primary_key()
    payout_id: str
    payee_ref: str = Field(index=True)
    currency: str = Field(max_length=3)
    amount: int = minor_units()
    excess: int = minor_units()
    journal_entry_id: UUID = reference("journal_entry.id", index=False)
    inbox_id: UUID = reference("inbound_event.id", index=False)
    created_at: datetime = created()


class PayeeCorrection(SQLModel, table=True):
    """A debt written off, or earnings of a line moved to another payee, by whom and why."""

    __tablename__ = "payee_correction"
    __table_args__ = (
        CheckConstraint("amount > 0", name="correction_positive"),
        CheckConstraint(
            "(kind = 'write_off' AND line_id IS NULL AND to_payee_ref IS NULL) OR "
            "(kind = 'reassignment' AND line_id IS NOT NULL AND to_payee_ref IS NOT NULL)",
            name="correction_kind",
        ),
    )

    id: UUID = uuid_column(primary=True)
    kind: str
    payee_ref: str = Field(index=True)
    to_payee_ref: str | None
    line_id: UUID | None = reference("order_line.id", nullable=True)
    currency: str = Field(max_length=3)
    amount: int = minor_units()
    reason: str
    requested_by: UUID = reference("commerce_user.id", index=False)
    created_at: datetime = created()
