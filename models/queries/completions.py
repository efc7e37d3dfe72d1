"""LMS events: stored as facts in the inbox's transaction, and whom they concern."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from domain.messages import StoredEvent
from domain.tasks import TaskKind
from models.database import Session
from models.queries import merges, orders, tasks

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
    await store(
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
                f"The LMS took back that user {lms_user_id} completed {lms_course_id}, after it had counted: "
                f"the payout system was told, and revenue of order {row.number} may be recognized by it. "
                "Nothing was undone. If it was not earned, refund or adjust the order, and tell the payout "
                "system."
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
class CompletionRow:
    """A course completion as the LMS told it."""

    id: str
    lms_event_id: str
    lms_user_id: str
    lms_course_id: str
    completed_at: datetime


async def store(
    session: Session, *, lms_event_id: str, lms_user_id: str, lms_course_id: str, completed_at: datetime
) -> None:
    """Keep a completion, unique by the LMS's event id, also for somebody who has bought nothing yet."""
    await session.execute(
        text(
            "INSERT INTO completion (lms_event_id, lms_user_id, lms_course_id, completed_at, taken_back_at) "
            "SELECT :event_id, given.user_id, given.course_id, :completed_at, (SELECT max(revoked_at) "
            "FROM completion_revocation r WHERE r.lms_user_id = given.user_id "
            "AND r.lms_course_id = given.course_id AND r.revoked_at >= :completed_at) "
            "FROM (SELECT CAST(:user_id AS varchar) AS user_id, "
            "CAST(:course_id AS varchar) AS course_id) AS given "
            "ON CONFLICT DO NOTHING"
        ),
        {
            "event_id": lms_event_id,
            "user_id": lms_user_id,
            "course_id": lms_course_id,
            "completed_at": completed_at,
        },
    )


async def unrelayed(session: Session, lms_user_id: str, lms_course_id: str) -> CompletionRow | None:
    """The completion that the payout system is to be told of; locked.

    Until the LMS takes it back, a course is completed once, however often and by whomever that is reported
    (by an event and by polling): the first report that arrived counts, the others are only kept.
    """
    rows = await session.execute(
        text(
            "SELECT * FROM completion c WHERE lms_user_id = :user_id AND lms_course_id = :course_id "
            "AND relayed_at IS NULL AND taken_back_at IS NULL AND NOT EXISTS (SELECT FROM completion told "
            "WHERE told.lms_user_id = :user_id AND told.lms_course_id = :course_id "
            "AND told.relayed_at IS NOT NULL AND told.taken_back_at IS NULL) ORDER BY id LIMIT 1 FOR UPDATE"
        ),
        {"user_id": lms_user_id, "course_id": lms_course_id},
    )
    r = rows.one_or_none()
    if r is None:
        return None
    return CompletionRow(str(r.id), r.lms_event_id, r.lms_user_id, r.lms_course_id, r.completed_at)


async def mark_relayed(session: Session, completion_id: str) -> None:
    """The relay stands in the outbox."""
    await session.execute(
        text("UPDATE completion SET relayed_at = now() WHERE id = :id"), {"id": completion_id}
    )


async def counts(session: Session, lms_user_id: str, lms_course_id: str) -> bool:
    """Whether the course is completed, and the payout system was told. Revenue follows the relay, so that
    whatever is taken back after either of them finds it relayed, and becomes a task."""
    found = await session.execute(
        text(
            "SELECT EXISTS (SELECT FROM completion WHERE lms_user_id = :user_id "
            "AND lms_course_id = :course_id AND relayed_at IS NOT NULL AND taken_back_at IS NULL)"
        ),
        {"user_id": lms_user_id, "course_id": lms_course_id},
    )
    return bool(found.scalar_one())
