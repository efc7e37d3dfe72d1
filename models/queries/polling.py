"""Whom an LMS that sends no events is asked about."""

from dataclasses import dataclass

from sqlalchemy import text

from models.database import Session


@dataclass(frozen=True, slots=True)
class OpenEnrolment:
    """Somebody who has access to a course and is not known to have completed it."""

    entitlement_id: str
    user_id: str
    lms_user_id: str
    lms_course_id: str


async def open_enrolments(session: Session, limit: int) -> list[OpenEnrolment]:
    """Open enrolments, those first that were not asked for longest.

    A completion that was stored but not relayed counts as open: its wake-up may have been lost.
    """
    rows = await session.execute(
        text(
            "SELECT e.id, e.user_id, u.lms_user_id, e.lms_course_id FROM entitlement e "
            "JOIN commerce_user u ON u.id = e.user_id "
            "WHERE e.status = 'granted' AND NOT EXISTS (SELECT FROM completion d "
            "WHERE d.lms_user_id = u.lms_user_id AND d.lms_course_id = e.lms_course_id "
            "AND d.relayed_at IS NOT NULL AND d.taken_back_at IS NULL) "
            "ORDER BY e.polled_at NULLS FIRST, e.id LIMIT :limit"
        ),
        {"limit": limit},
    )
    return [OpenEnrolment(str(r.id), str(r.user_id), r.lms_user_id, r.lms_course_id) for r in rows]


@dataclass(frozen=True, slots=True)
class RecentCompletion:
    """A completion that counted, young enough to be asked for once more."""

    entitlement_id: str
    lms_user_id: str
    lms_course_id: str
    completion_id: str


async def recent_completions(session: Session, limit: int) -> list[RecentCompletion]:
    """Completions that counted within the last month and were not asked for today, the longest first."""
    rows = await session.execute(
        text(
            "SELECT e.id, u.lms_user_id, e.lms_course_id, d.id AS completion_id FROM entitlement e "
            "JOIN commerce_user u ON u.id = e.user_id "
            "JOIN completion d ON d.lms_user_id = u.lms_user_id AND d.lms_course_id = e.lms_course_id "
            "WHERE e.status = 'granted' AND d.relayed_at IS NOT NULL AND d.taken_back_at IS NULL "
            "AND d.received_at > now() - interval '30 days' AND e.polled_at < now() - interval '1 day' "
            "ORDER BY e.polled_at, e.id LIMIT :limit"
        ),
        {"limit": limit},
    )
    return [RecentCompletion(str(r.id), r.lms_user_id, r.lms_course_id, str(r.completion_id)) for r in rows]


async def mark_asked(session: Session, entitlement_id: str) -> None:
    """The LMS was asked about it now, whatever it said: the next run begins with others."""
    await session.execute(
        text("UPDATE entitlement SET polled_at = clock_timestamp() WHERE id = :id"), {"id": entitlement_id}
    )


async def times_taken_back(session: Session, lms_user_id: str, lms_course_id: str) -> int:
    """How often the LMS took back that the user completed the course."""
    found = await session.execute(
        text(
            "SELECT count(*) FROM completion WHERE lms_user_id = :user_id AND lms_course_id = :course_id "
            "AND taken_back_at IS NOT NULL"
        ),
        {"user_id": lms_user_id, "course_id": lms_course_id},
    )
    return int(found.scalar_one())
