"""The ledger's life: periods that close, the chain of seals, snapshots of balances. All append-only."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Identity, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.books import XID8
from models.columns import created, minor_units, moment, primary_key, reference


class PeriodChange(SQLModel, table=True):
    """A month was closed (and with it all before), soft-closed, or opened again (with all after it).

    How a month stands follows from these rows: functions `ledger_closed_through`,
    `ledger_soft_closed_through` of the database.
    """

    __tablename__ = "period_change"
    __table_args__ = (
        CheckConstraint("extract(day FROM month) = 1", name="period_is_a_month"),
        CheckConstraint("status IN ('open', 'soft_closed', 'closed')", name="period_status"),
        Index("period_change_by_entity", "entity", "number"),
    )

    number: int = Field(default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    entity: str
    month: date
    status: str
    reason: str | None
    changed_by: UUID = reference("commerce_user.id", index=False)
    changed_at: datetime = created()


class SealBlock(SQLModel, table=True):
    """One block of the chain. It holds every entry of transactions below `horizon` that no block before
    it holds; hashes are SHA-256 in hex (`domain.seals`)."""

    __tablename__ = "seal_block"
    __table_args__ = (
        CheckConstraint("first_position >= 1 AND last_position >= first_position", name="block_not_empty"),
    )

    number: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    first_position: int = Field(sa_column=Column(BigInteger, nullable=False))
    last_position: int = Field(sa_column=Column(BigInteger, nullable=False))
    horizon: str = Field(sa_column=Column(XID8(), nullable=False))
    previous_hash: str = Field(max_length=64)
    block_hash: str = Field(max_length=64)
    sealed_at: datetime = moment(nullable=False)


def _block() -> Column[int]:
    return Column(BigInteger, ForeignKey("seal_block.number"), nullable=False)


class SealedEntry(SQLModel, table=True):
    """The place of an entry in the chain, and what it was when it was sealed."""

    __tablename__ = "sealed_entry"
    __table_args__ = (Index("ix_sealed_entry_block", "block"),)

    position: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    block: int = Field(sa_column=_block())
    entry_id: UUID = reference("journal_entry.id", unique=True)
    header_hash: str = Field(max_length=64)
    postings_hash: str = Field(max_length=64)


class BalanceSnapshot(SQLModel, table=True):
    """A balance that is not zero after a block, in minor units: reads add the entries above its horizon."""

    __tablename__ = "balance_snapshot"
    __table_args__ = (
        UniqueConstraint(
            "block", "account", "sub", "currency", name="snapshot_once", postgresql_nulls_not_distinct=True
        ),
    )

    id: UUID = primary_key()
    block: int = Field(sa_column=_block())
    account: str = Field(max_length=4)
    sub: str | None
    currency: str = Field(max_length=3)
    amount: int = minor_units()
