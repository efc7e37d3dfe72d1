"""The ledger: journal entries and postings, append-only, balanced by the database."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, Index, UniqueConstraint, text
from sqlalchemy.types import UserDefinedType
from sqlmodel import Field, SQLModel

from models.columns import created, minor_units, moment, primary_key, reference, uuid_column, whole


class XID8(UserDefinedType[str]):
    """PostgreSQL's 64-bit transaction id."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """The type's name in SQL."""
        return "xid8"


class JournalEntry(SQLModel, table=True):
    """One fact in the ledger. Unique by the business fact it records; never changed.

    `txid` is set by the database and can't be chosen by the application: postings are accepted only
    from the transaction that made the entry. `effective_at` is when it counts, `occurred_at` when the fact
    happened: the same, unless that month was closed when it came. `operator_id` marks an adjustment.
    """

    __tablename__ = "journal_entry"
    __table_args__ = (
        UniqueConstraint("entity", "event_key"),
        CheckConstraint("effective_at >= occurred_at", name="late_facts_move_forward"),
        Index("journal_by_order", "order_id", "id"),
        Index("journal_by_effective", "effective_at", "id"),
        Index("journal_by_txid", "txid", "id"),
    )

    id: UUID = primary_key()
    entity: str
    event_key: str
    kind: str
    order_id: UUID | None = uuid_column(nullable=True)
    reverses: UUID | None = reference("journal_entry.id", nullable=True, index=False)
    operator_id: UUID | None = uuid_column(nullable=True)
    content_hash: str
    occurred_at: datetime = moment(nullable=False)
    effective_at: datetime = moment(nullable=False)
    recorded_at: datetime = created()
    txid: str = Field(
        default=None,
        sa_column=Column(XID8(), nullable=False, server_default=text("pg_current_xact_id()")),
    )


class LedgerPosting(SQLModel, table=True):
    """One side of an entry: debit > 0, credit < 0, minor units."""

    __tablename__ = "posting"
    __table_args__ = (
        CheckConstraint("amount <> 0", name="posting_not_zero"),
        Index("posting_by_account", "account", "currency", "entry_id"),
        Index("posting_by_entry", "entry_id"),
        Index("posting_by_payee", "sub", "currency", postgresql_where=text("account IN ('2210', '2220')")),
        Index("posting_by_customer", "sub", "currency", postgresql_where=text("account = '2330'")),
    )

    id: UUID = primary_key()
    entry_id: UUID = reference("journal_entry.id", index=False)
    ordinal: int = whole()
    account: str = Field(max_length=4)
    sub: str | None
    currency: str = Field(max_length=3)
    amount: int = minor_units()
