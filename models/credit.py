"""Store credit that was given away. What a customer has stands in the ledger, and nowhere else."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from models.columns import created, minor_units, reference, uuid_column


class StoreCreditGrant(SQLModel, table=True):
    """Store credit given to a user, by whom and why; for an order, when it makes up for one."""

    __tablename__ = "store_credit_grant"
    __table_args__ = (CheckConstraint("amount > 0", name="grant_positive"),)

    id: UUID = uuid_column(primary=True)
    user_id: UUID = reference("commerce_user.id")
    order_id: UUID | None = reference("orders.id", nullable=True)
    currency: str = Field(max_length=3)
    amount: int = minor_units()
    reason: str
    requested_by: UUID = reference("commerce_user.id", index=False)
    created_at: datetime = created()
