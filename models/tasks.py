"""What operators have to decide."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from models.columns import created, moment, primary_key, reference


class OperatorTask(SQLModel, table=True):
    """Something that needs a person; opened once by `task_key`, which is made of the business facts."""

    __tablename__ = "operator_task"
    __table_args__ = (
        CheckConstraint("(closed_at IS NULL) = (closed_by IS NULL)", name="task_closed"),
        Index("open_tasks", "id", postgresql_where=text("closed_at IS NULL")),
    )

    id: UUID = primary_key()
    task_key: str = Field(unique=True)
    kind: str
    user_id: UUID | None = reference("commerce_user.id", nullable=True)
    order_id: UUID | None = reference("orders.id", nullable=True)
    what: str
    note: str | None
    created_at: datetime = created()
    closed_at: datetime | None = moment()
    closed_by: UUID | None = reference("commerce_user.id", nullable=True, index=False)
