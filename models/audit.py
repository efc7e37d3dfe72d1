"""Who did what with the powers of an operator."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel

from models.columns import created, json_object, primary_key, text_list, whole


class AuditEntry(SQLModel, table=True):
    """One action of an operator, a machine or a command. Rows are added, never changed, and ended after a
    year or more; that of a write whose effect goes on by itself gets the status of its answer, once."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        CheckConstraint("actor_kind IN ('operator', 'machine', 'command')", name="audit_actor_kind"),
        Index("audit_by_object", "objects", postgresql_using="gin"),
        Index("audit_by_actor", "actor_id", "id"),
    )

    id: UUID = primary_key()
    actor_kind: str
    actor_id: str
    action: str = Field(index=True)
    objects: list[str] = text_list()
    status_code: int | None = whole(nullable=True)
    code: str | None
    reason: str | None
    request: dict[str, Any] | None = json_object(nullable=True)
    request_id: str = Field(index=True)
    write_id: UUID | None = Field(default=None, unique=True)
    created_at: datetime = created()
