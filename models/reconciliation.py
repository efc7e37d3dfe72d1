"""The books beside the processor: which entry stands for which balance transaction, and what differs."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, String, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from models.columns import (
    created,
    flag,
    json_object,
    minor_units,
    moment,
    primary_key,
    reference,
    uuid_column,
    whole,
)


class BalanceTransaction(SQLModel, table=True):
    """A balance transaction of the processor, as it told it; what it says is what we post.

    `standing` is whose it is (`domain.reconciliation.Standing`); `source_*` and `intent_id` tell of the
    object behind it, in that object's own currency.
    """

    __tablename__ = "balance_transaction"
    __table_args__ = (Index("balance_transactions_by_time", "created_at", "id"),)

    id: str = Field(primary_key=True)
    reporting_category: str
    amount: int = minor_units()
    fee: int = minor_units()
    net: int = minor_units()
    currency: str = Field(max_length=3)
    source: str | None
    source_amount: int | None = minor_units(nullable=True)
    source_currency: str | None = Field(max_length=3)
    intent_id: str | None
    refund_id: str | None
    order_id: UUID | None = uuid_column(nullable=True, index=True)
    standing: str = Field(default="ours", sa_column_kwargs={"server_default": "ours"})
    available_on: datetime | None = moment()
    created_at: datetime = moment(nullable=False)
    stored_at: datetime = created()


class BalanceMatch(SQLModel, table=True):
    """A part of a balance transaction and its one journal entry; an entry stands for one part only."""

    __tablename__ = "balance_match"
    __table_args__ = (UniqueConstraint("entry_id"),)

    transaction_id: str = Field(
        sa_column=Column(String, ForeignKey("balance_transaction.id"), primary_key=True)
    )
    part: str = Field(primary_key=True)
    entry_id: UUID = reference("journal_entry.id", index=False)
    matched_at: datetime = created()


class ReconciliationRun(SQLModel, table=True):
    """One comparison of a period `[period_from, period_to)` of the processor with the books.

    `continues`: the next run without a period begins where this one ended. `report` is what was found.
    """

    __tablename__ = "reconciliation_run"
    __table_args__ = (CheckConstraint("state IN ('running', 'completed')", name="run_state"),)

    id: UUID = uuid_column(primary=True)
    workflow_id: str
    period_from: datetime = moment(nullable=False)
    period_to: datetime = moment(nullable=False)
    continues: bool = flag(default=False)
    state: str = Field(default="running", sa_column_kwargs={"server_default": "running"})
    pages: int = whole(default=0)
    transactions: int = whole(default=0)
    report: dict[str, Any] | None = json_object(nullable=True)
    started_at: datetime = created()
    finished_at: datetime | None = moment()


class ReconciliationDifference(SQLModel, table=True):
    """One way in which processor and books differ (`domain.reconciliation.DifferenceKind`).

    `expected` is the processor's figure, `found` that of the books. An accepted one does not come back for
    the same figures. `resolved_by` is the operator who accepted; nobody when it was repaired.
    """

    __tablename__ = "reconciliation_difference"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'repaired', 'accepted')", name="difference_state"),
        Index("one_open_difference", "kind", "subject", unique=True, postgresql_where=text("state = 'open'")),
        Index("differences_by_subject", "subject"),
    )

    id: UUID = primary_key()
    kind: str
    subject: str
    transaction_id: str | None
    order_id: UUID | None = uuid_column(nullable=True)
    run_id: UUID | None = reference("reconciliation_run.id", nullable=True)
    currency: str = Field(max_length=3)
    expected: int = minor_units()
    found: int = minor_units()
    detail: str
    state: str = Field(default="open", sa_column_kwargs={"server_default": "open"})
    resolution: str | None
    resolved_by: UUID | None = reference("commerce_user.id", nullable=True, index=False)
    resolved_at: datetime | None = moment()
    opened_at: datetime = created()
    seen_at: datetime = created()
