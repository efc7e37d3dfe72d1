"""LMS events: stored as facts in the inbox's transaction, and whom they concern."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from domain.messages import StoredEvent
from models.database import Session
from models.queries import entitlements

COMPLETED = "course.completed"


async def take_in(session: Session, event: dict[str, Any]) -> None:
    """Keep a completion with the event that told it; of other types nothing is kept here."""
    if event["type"] != COMPLETED:
        return
    data = event["data"]
    await entitlements.store_completion(
        session,
        lms_event_id=str(event["id"]),
        lms_user_id=str(data["user_id"]),
        lms_course_id=str(data["course_id"]),
        completed_at=_moment(data.get("completed_at")),
    )


def _moment(value: object) -> datetime:
    try:
        parsed = datetime.fromisoformat(str(value))
    except ValueError:
        return datetime.now(UTC)
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)


async def concerned(session: Session, event: StoredEvent) -> list[tuple[str, str]]:
    """The (user, course) whose workflow is to be woken; empty when nothing was bought here (yet)."""
    if event.type != COMPLETED:
        return []
    data = event.payload["data"]
    rows = await session.execute(
        text(
            "SELECT e.user_id, e.lms_course_id FROM entitlement e JOIN commerce_user u ON u.id = e.user_id "
            "WHERE u.lms_user_id = :user_id AND e.lms_course_id = :course_id"
        ),
        {"user_id": str(data["user_id"]), "course_id": str(data["course_id"])},
    )
    return [(str(row.user_id), row.lms_course_id) for row in rows]


@dataclass(frozen=True, slots=True)
class OpenEnrolment:
    """Somebody who has access to a course and is not known to have completed it."""

    user_id: str
    lms_user_id: str
    lms_course_id: str


async def take_to_poll(session: Session, limit: int) -> list[OpenEnrolment]:
    """Open enrolments, those first that were not asked for longest; marked as asked now.

    A completion that was stored but not relayed counts as open: its wake-up may have been lost.
    """
    rows = await session.execute(
        text(
            "UPDATE entitlement SET polled_at = now() FROM commerce_user u WHERE u.id = entitlement.user_id "
            "AND entitlement.id IN (SELECT e.id FROM entitlement e JOIN commerce_user c ON c.id = e.user_id "
            "WHERE e.status = 'granted' AND NOT EXISTS (SELECT FROM completion d "
            "WHERE d.lms_user_id = c.lms_user_id AND d.lms_course_id = e.lms_course_id "
            "AND d.relayed_at IS NOT NULL) "
            "ORDER BY e.polled_at NULLS FIRST, e.id LIMIT :limit FOR UPDATE OF e SKIP LOCKED) "
            "RETURNING entitlement.user_id, u.lms_user_id, entitlement.lms_course_id"
        ),
        {"limit": limit},
    )
    return [OpenEnrolment(str(row.user_id), row.lms_user_id, row.lms_course_id) for row in rows]
