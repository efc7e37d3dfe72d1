"""Questions to buyers about what they bought, and the changes of dated runs that they come from."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from models.columns import created, moment, primary_key, reference, uuid_column


class RunChange(SQLModel, table=True):
    """A dated run that was cancelled, or got another date; every buyer of it is asked until `deadline`, which
    is not after the new date.

    Who ordered before `created_at`, which is taken under the item's lock, ordered the run as it was.
    """

    __tablename__ = "run_change"
    __table_args__ = (
        CheckConstraint("kind IN ('cancelled', 'rescheduled')", name="run_change_kind"),
        CheckConstraint("(kind = 'rescheduled') = (starts_at IS NOT NULL)", name="run_change_date"),
    )

    id: UUID = uuid_column(primary=True)
    item_id: UUID = reference("catalog_item.id")
    kind: str
    reason: str
    # The date before, and the new one of a rescheduled run.
    started_at: datetime | None = moment()
    starts_at: datetime | None = moment()
    deadline: datetime = moment(nullable=False)
    requested_by: UUID = reference("commerce_user.id", index=False)
    created_at: datetime = created()
    done_at: datetime | None = moment()


class Resolution(SQLModel, table=True):
    """One question about one order line, and its answer; its id is also that of the refund that it leads to.

    `lms_course_id` is the course of the line when it was asked, `item_id` the other run that was chosen.
    `decision_key` names the request (or the deadline) that decided, so that a repeat of it finds its own
    answer.
    """

    __tablename__ = "resolution"
    __table_args__ = (
        CheckConstraint(
            "cause IN ('lms_refused', 'run_cancelled', 'run_rescheduled', 'bought_twice')",
            name="resolution_cause",
        ),
        CheckConstraint("state IN ('open', 'decided', 'done', 'withdrawn')", name="resolution_state"),
        CheckConstraint(
            "choice IN ('other_run', 'store_credit', 'refund', 'keep')", name="resolution_choice"
        ),
        CheckConstraint(
            "(state IN ('decided', 'done')) = (choice IS NOT NULL AND decided_at IS NOT NULL)",
            name="resolution_decided",
        ),
        CheckConstraint("(choice = 'other_run') = (item_id IS NOT NULL)", name="resolution_run"),
        CheckConstraint(
            "(cause IN ('run_cancelled', 'run_rescheduled')) = (run_change_id IS NOT NULL)",
            name="resolution_of_change",
        ),
        Index("one_open_resolution", "line_id", unique=True, postgresql_where=text("state = 'open'")),
        Index("unsettled_resolutions", "created_at", postgresql_where=text("state IN ('open', 'decided')")),
    )

    id: UUID = primary_key()
    line_id: UUID = reference("order_line.id")
    lms_course_id: str
    cause: str
    run_change_id: UUID | None = reference("run_change.id", nullable=True)
    reason: str
    state: str = Field(default="open", sa_column_kwargs={"server_default": "open"})
    # Both are set when the buyer is asked.
    asked_at: datetime | None = moment()
    deadline: datetime | None = moment()
    choice: str | None
    item_id: UUID | None = reference("catalog_item.id", nullable=True, index=False)
    decided_by: str | None
    decision_key: str | None
    decided_at: datetime | None = moment()
    created_at: datetime = created()
