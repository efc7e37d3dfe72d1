"""Access in the LMS: entitlements, what justifies them, completions."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, Index, Integer, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.columns import created, flag, moment, primary_key, reference, whole


class Entitlement(SQLModel, table=True):
    """The access of one user to one course. `version` grows with every change that is published."""

    __tablename__ = "entitlement"
    __table_args__ = (
        UniqueConstraint("user_id", "lms_course_id"),
        CheckConstraint(
            "status IN ('pending', 'granting', 'granted', 'failed', 'revoking', 'revoked')",
            name="entitlement_status",
        ),
        CheckConstraint(
            "waits_for IN ('lms_unavailable', 'lms_maintenance', 'lms_busy')", name="entitlement_waits_for"
        ),
    )

    id: UUID = primary_key()
    user_id: UUID = reference("commerce_user.id", index=False)
    lms_course_id: str
    status: str = Field(default="pending", sa_column_kwargs={"server_default": "pending"})
    version: int = whole(default=0)
    failure_code: str | None
    failure_detail: str | None
    failed_action: str | None
    retry_asked: int = whole(default=0)
    # How often the LMS was asked in vain for the present wish, when it is asked next, what that waits for.
    attempts: int = whole(default=0)
    next_try_at: datetime | None = moment()
    waits_for: str | None
    # Until when a call of unknown outcome may still take effect at the LMS (models/queries/lms_calls.py).
    grant_may_land_until: datetime | None = moment()
    revoke_may_land_until: datetime | None = moment()
    # When access was first there: what is completed counts from then on.
    granted_at: datetime | None = moment()
    # When an LMS that sends no events was last asked for the completion.
    polled_at: datetime | None = moment()
    created_at: datetime = created()
    changed_at: datetime = created()


class Justification(SQLModel, table=True):
    """Why a user has access: one order line. Access ends only when no active one is left."""

    __tablename__ = "justification"

    id: UUID = primary_key()
    entitlement_id: UUID = reference("entitlement.id")
    line_id: UUID = reference("order_line.id", unique=True)
    active: bool = flag(default=True)
    created_at: datetime = created()
    ended_at: datetime | None = moment()


class Completion(SQLModel, table=True):
    """A course completion as the LMS told it; stored first, also for a user who has bought nothing."""

    __tablename__ = "completion"
    __table_args__ = (Index("completion_of", "lms_user_id", "lms_course_id"),)

    id: UUID = primary_key()
    lms_event_id: str = Field(unique=True)
    lms_user_id: str
    lms_course_id: str
    completed_at: datetime = moment(nullable=False)
    received_at: datetime = created()
    relayed_at: datetime | None = moment()
    taken_back_at: datetime | None = moment()


class CompletionRevocation(SQLModel, table=True):
    """The LMS took back what was completed until then; also before the completion itself arrives."""

    __tablename__ = "completion_revocation"
    __table_args__ = (Index("completion_revocation_of", "lms_user_id", "lms_course_id"),)

    id: UUID = primary_key()
    lms_event_id: str = Field(unique=True)
    lms_user_id: str
    lms_course_id: str
    revoked_at: datetime = moment(nullable=False)
    received_at: datetime = created()


class LmsMaintenance(SQLModel, table=True):
    """The one row of the maintenance switch: until then no grant and no revoke is asked of the LMS."""

    __tablename__ = "lms_maintenance"
    __table_args__ = (CheckConstraint("id = 1", name="lms_maintenance_only_one"),)

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    reason: str
    until: datetime = moment(nullable=False)
    set_by: UUID = reference("commerce_user.id", index=False)
    set_at: datetime = created()


class LmsTurn(SQLModel, table=True):
    """A turn to ask the LMS: taken by a call until it has its answer, and free a second later."""

    __tablename__ = "lms_turn"

    number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    free_at: datetime = moment(nullable=False)
    holder: UUID | None
