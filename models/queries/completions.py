"""LMS events: stored as facts in the inbox's transaction, and whom they concern."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from domain.messages import StoredEvent
from domain.tasks import TaskKind
from models.database import Session
from models.queries import entitlements, merges, orders, tasks

COMPLETED = "course.completed"
TAKEN_BACK = "course.completion_revoked"


async def take_in(session: Session, event: dict[str, Any]) -> None:
    """Keep a completion, or that it was taken back, with the event that told it; of other types nothing is
    kept here."""
    data = event["data"] if event["type"] in (COMPLETED, TAKEN_BACK) else {}
    if event["type"] == TAKEN_BACK:
        await take_back(
            session,
            lms_event_id=str(event["id"]),
            lms_user_id=await merges.current_lms_user(session, data),
            lms_course_id=str(data["course_id"]),
            revoked_at=_moment(data.get("revoked_at")),
        )
    if event["type"] != COMPLETED:
        return
    await entitlements.store_completion(
        session,
        lms_event_id=str(event["id"]),
        lms_user_id=await merges.current_lms_user(session, data),
        lms_course_id=str(data["course_id"]),
        completed_at=_moment(data.get("completed_at")),
    )


async def take_back(
    session: Session, *, lms_event_id: str, lms_user_id: str, lms_course_id: str, revoked_at: datetime
) -> None:
    """What the user completed until then no longer counts. What had counted already stays in the books:
    operators are asked, once for each completion, and the timelines of its orders say so."""
    values = {"user_id": lms_user_id, "course_id": lms_course_id, "at": revoked_at}
    await session.execute(
        text(
            "INSERT INTO completion_revocation (lms_event_id, lms_user_id, lms_course_id, revoked_at) "
            "VALUES (:event_id, :user_id, :course_id, :at) ON CONFLICT DO NOTHING"
        ),
        {**values, "event_id": lms_event_id},
    )
    taken = await session.execute(
        text(
            "UPDATE completion SET taken_back_at = :at WHERE lms_user_id = :user_id "
            "AND lms_course_id = :course_id AND completed_at <= :at AND taken_back_at IS NULL "
            "RETURNING id, relayed_at"
        ),
        values,
    )
    for row in taken.all():
        if row.relayed_at is not None:
            await _ask_operators(session, str(row.id), lms_user_id, lms_course_id)


async def _ask_operators(session: Session, completion_id: str, lms_user_id: str, lms_course_id: str) -> None:
    sold = await session.execute(
        text(
            "SELECT DISTINCT o.id, o.user_id, o.number FROM orders o JOIN order_line l ON l.order_id = o.id "
            "JOIN commerce_user u ON u.id = o.user_id WHERE u.lms_user_id = :user_id "
            "AND l.lms_course_id = :course_id AND o.payment_state = 'paid' ORDER BY o.id"
        ),
        {"user_id": lms_user_id, "course_id": lms_course_id},
    )
    for row in sold.all():
        await tasks.open_once(
            session,
            key=f"{TaskKind.COMPLETION_TAKEN_BACK}/{completion_id}/{row.id}",
            kind=TaskKind.COMPLETION_TAKEN_BACK,
            user_id=str(row.user_id),
            order_id=str(row.id),
            what=(
                f"The LMS took back that user {lms_user_id} completed {lms_course_id}, after order "
                f"{row.number} had counted it: revenue is recognized, the payout system was told. Nothing "
                "was undone. If it was not earned, refund or adjust the order, and tell the payout system."
            ),
        )
        await orders.note(
            session,
            str(row.id),
            f"completion_taken_back/{completion_id}",
            "completion_taken_back",
            f"The LMS took back the completion of {lms_course_id}: an operator decides.",
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
        {"user_id": await merges.current_lms_user(session, data), "course_id": str(data["course_id"])},
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
            "AND d.relayed_at IS NOT NULL AND d.taken_back_at IS NULL) "
            "ORDER BY e.polled_at NULLS FIRST, e.id LIMIT :limit FOR UPDATE OF e SKIP LOCKED) "
            "RETURNING entitlement.user_id, u.lms_user_id, entitlement.lms_course_id"
        ),
        {"limit": limit},
    )
    return [OpenEnrolment(str(row.user_id), row.lms_user_id, row.lms_course_id) for row in rows]


@dataclass(frozen=True, slots=True)
class RecentCompletion:
    """A completion that counted, young enough to be asked for once more."""

    lms_user_id: str
    lms_course_id: str
    completion_id: str


async def take_to_ask_again(session: Session, limit: int) -> list[RecentCompletion]:
    """Completions that counted within the last month and were not asked for today; marked as asked now."""
    rows = await session.execute(
        text(
            "UPDATE entitlement SET polled_at = now() FROM (SELECT e.id, u.lms_user_id, e.lms_course_id, "
            "d.id AS completion_id FROM entitlement e JOIN commerce_user u ON u.id = e.user_id "
            "JOIN completion d ON d.lms_user_id = u.lms_user_id AND d.lms_course_id = e.lms_course_id "
            "WHERE e.status = 'granted' AND d.relayed_at IS NOT NULL AND d.taken_back_at IS NULL "
            "AND d.received_at > now() - interval '30 days' AND e.polled_at < now() - interval '1 day' "
            "ORDER BY e.polled_at, e.id LIMIT :limit FOR UPDATE OF e SKIP LOCKED) due "
            "WHERE entitlement.id = due.id "
            "RETURNING due.lms_user_id, due.lms_course_id, due.completion_id"
        ),
        {"limit": limit},
    )
    return [RecentCompletion(row.lms_user_id, row.lms_course_id, str(row.completion_id)) for row in rows]


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
