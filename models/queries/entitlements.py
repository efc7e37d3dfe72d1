"""Entitlements and their justifications."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, text

from domain.orders import EntitlementStatus
from models.database import Session
from models.queries import lms_calls


@dataclass(frozen=True, slots=True)
class EntitlementRow:
    """The access of one user to one course. `justified`: an active order line gives a right to it; `moved`:
    the account was merged into another, which has the right now; `next_try_at`: None once it is past, by the
    transaction's clock, so that all reads of one answer agree."""

    id: str
    user_id: str
    lms_user_id: str
    lms_course_id: str
    status: EntitlementStatus
    version: int
    failure_code: str | None
    failure_detail: str | None
    failed_action: str | None
    retry_asked: int
    attempts: int
    next_try_at: datetime | None
    waits_for: str | None
    grant_may_land_until: datetime | None
    revoke_may_land_until: datetime | None
    granted_at: datetime | None
    justified: bool
    moved: bool
    created_at: datetime
    changed_at: datetime

    @property
    def decided(self) -> bool:
        """Whether nothing more is coming: access is there, or taken back with no right to it left.

        Revoked with a right to it is a course bought again, whose grant has not begun; pending without one
        was paid back before the LMS was asked.
        """
        if self.status in (EntitlementStatus.REVOKED, EntitlementStatus.PENDING):
            return not self.justified
        return self.status is EntitlementStatus.GRANTED


_SELECT = (
    "SELECT e.*, u.lms_user_id, u.merged_into IS NOT NULL AS moved, "
    "CASE WHEN e.next_try_at > now() THEN e.next_try_at END AS next_try_to_come, "
    "EXISTS (SELECT FROM justification j WHERE j.entitlement_id = e.id AND j.active) AS justified "
    "FROM entitlement e JOIN commerce_user u ON u.id = e.user_id "
)


def _entitlement(row: Row[Any]) -> EntitlementRow:
    return EntitlementRow(
        id=str(row.id),
        user_id=str(row.user_id),
        lms_user_id=row.lms_user_id,
        lms_course_id=row.lms_course_id,
        status=EntitlementStatus(row.status),
        version=row.version,
        failure_code=row.failure_code,
        failure_detail=row.failure_detail,
        failed_action=row.failed_action,
        retry_asked=row.retry_asked,
        attempts=row.attempts,
        next_try_at=row.next_try_to_come,
        waits_for=row.waits_for,
        grant_may_land_until=row.grant_may_land_until,
        revoke_may_land_until=row.revoke_may_land_until,
        granted_at=row.granted_at,
        justified=row.justified,
        moved=row.moved,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )


async def justify(session: Session, order_id: str) -> None:
    """Give every line of a paid order its entitlement and justification, once."""
    await session.execute(
        text(
            "INSERT INTO entitlement (user_id, lms_course_id, status) "
            "SELECT DISTINCT o.user_id, l.lms_course_id, 'pending' FROM order_line l "
            "JOIN orders o ON o.id = l.order_id WHERE o.id = :id ON CONFLICT DO NOTHING"
        ),
        {"id": order_id},
    )
    await session.execute(
        text(
            "INSERT INTO justification (entitlement_id, line_id) SELECT e.id, l.id FROM order_line l "
            "JOIN orders o ON o.id = l.order_id "
            "JOIN entitlement e ON e.user_id = o.user_id AND e.lms_course_id = l.lms_course_id "
            "WHERE o.id = :id ON CONFLICT DO NOTHING"
        ),
        {"id": order_id},
    )


async def unjustify(session: Session, line_ids: list[str]) -> None:
    """These lines no longer give access."""
    await session.execute(
        text(
            "UPDATE justification SET active = false, ended_at = now() "
            "WHERE line_id = ANY(CAST(:ids AS uuid[])) AND active"
        ),
        {"ids": line_ids},
    )


async def active_lines(session: Session, order_id: str) -> list[str]:
    """Lines of the order that give access now."""
    rows = await session.execute(
        text(
            "SELECT j.line_id FROM justification j JOIN order_line l ON l.id = j.line_id "
            "WHERE l.order_id = :id AND j.active ORDER BY j.line_id"
        ),
        {"id": order_id},
    )
    return [str(row.line_id) for row in rows]


async def justify_again(session: Session, line_ids: list[str]) -> None:
    """These lines give access again, which their refund had ended."""
    await session.execute(
        text(
            "UPDATE justification SET active = true, ended_at = NULL "
            "WHERE line_id = ANY(CAST(:ids AS uuid[])) AND NOT active"
        ),
        {"ids": line_ids},
    )


async def of_user_course(session: Session, user_id: str, course_id: str) -> EntitlementRow | None:
    """The one entitlement of a user for a course."""
    row = (
        await session.execute(
            text(_SELECT + "WHERE e.user_id = :user_id AND e.lms_course_id = :course_id"),
            {"user_id": user_id, "course_id": course_id},
        )
    ).one_or_none()
    return None if row is None else _entitlement(row)


async def get(session: Session, entitlement_id: str) -> EntitlementRow | None:
    """One entitlement."""
    row = (await session.execute(text(_SELECT + "WHERE e.id = :id"), {"id": entitlement_id})).one_or_none()
    return None if row is None else _entitlement(row)


async def of_order(session: Session, order_id: str) -> list[EntitlementRow]:
    """The entitlements that lines of this order justify or justified."""
    rows = await session.execute(
        text(
            _SELECT + "WHERE e.id IN (SELECT j.entitlement_id FROM justification j "
            "JOIN order_line l ON l.id = j.line_id WHERE l.order_id = :id) ORDER BY e.id"
        ),
        {"id": order_id},
    )
    return [_entitlement(row) for row in rows]


async def page(
    session: Session, *, user_id: str | None, before: str | None, limit: int
) -> list[EntitlementRow]:
    """Newest first, keyset."""
    rows = await session.execute(
        text(
            _SELECT + "WHERE (CAST(:user_id AS uuid) IS NULL OR e.user_id = CAST(:user_id AS uuid)) "
            "AND (CAST(:before AS uuid) IS NULL OR e.id < CAST(:before AS uuid)) "
            "ORDER BY e.id DESC LIMIT :limit"
        ),
        {"user_id": user_id, "before": before, "limit": limit},
    )
    return [_entitlement(row) for row in rows]


async def set_status(
    session: Session,
    entitlement_id: str,
    status: EntitlementStatus,
    *,
    failure_code: str | None = None,
    failure_detail: str | None = None,
    failed_action: str | None = None,
) -> int:
    """Move the entitlement and return its new version; the version grows with every change."""
    return int(
        (
            await session.execute(
                text(
                    "UPDATE entitlement SET status = CAST(:status AS varchar), failure_code = :code, "
                    "failure_detail = :detail, failed_action = :action, changed_at = now(), "
                    "attempts = 0, next_try_at = NULL, waits_for = NULL, version = version + 1, "
                    "granted_at = coalesce(granted_at, "
                    "CASE WHEN CAST(:status AS varchar) = 'granted' THEN now() END) "
                    "WHERE id = :id RETURNING version"
                ),
                {
                    "id": entitlement_id,
                    "status": status,
                    "code": failure_code,
                    "detail": failure_detail,
                    "action": failed_action,
                },
            )
        ).scalar_one()
    )


async def waits(
    session: Session, entitlement_id: str, *, attempts: int, pause_seconds: float, waits_for: str
) -> None:
    """The LMS could not be asked, or did not answer: when the next try comes. No change that is published."""
    await session.execute(
        text(
            "UPDATE entitlement SET attempts = :attempts, waits_for = :waits_for, "
            "next_try_at = clock_timestamp() + :pause "
            "WHERE id = :id AND status IN ('granting', 'revoking')"
        ),
        {
            "id": entitlement_id,
            "attempts": attempts,
            "waits_for": waits_for,
            "pause": timedelta(seconds=pause_seconds),
        },
    )


async def waiting_for_maintenance(session: Session, *, limit: int) -> list[tuple[str, str]]:
    """User and course of those whose next try is put off because the LMS was under maintenance; who waits
    longest is first."""
    rows = await session.execute(
        text(
            "SELECT user_id, lms_course_id FROM entitlement WHERE waits_for = 'lms_maintenance' "
            "AND status IN ('granting', 'revoking') AND next_try_at > clock_timestamp() "
            "ORDER BY changed_at, id LIMIT :limit"
        ),
        {"limit": limit},
    )
    return [(str(row.user_id), row.lms_course_id) for row in rows]


async def ask_retry(session: Session, entitlement_id: str) -> None:
    """An operator wants what the LMS refused tried again."""
    await session.execute(
        text(
            "UPDATE entitlement SET retry_asked = retry_asked + 1, failed_action = NULL, "
            "status = CASE WHEN failed_action = 'revoke' THEN 'revoking' ELSE 'pending' END, "
            "changed_at = now(), version = version + 1 WHERE id = :id AND status = 'failed'"
        ),
        {"id": entitlement_id},
    )


async def waiting_orders(session: Session, entitlement_id: str) -> list[str]:
    """Orders whose fulfilment hangs on this entitlement."""
    rows = await session.execute(
        text(
            "SELECT DISTINCT o.id FROM orders o JOIN order_line l ON l.order_id = o.id "
            "JOIN justification j ON j.line_id = l.id WHERE j.entitlement_id = :id "
            "AND o.fulfilment_state IN ('fulfilling', 'failed') ORDER BY o.id"
        ),
        {"id": entitlement_id},
    )
    return [str(row.id) for row in rows]


async def telling_orders(session: Session, entitlement_id: str, status: EntitlementStatus) -> list[str]:
    """Orders whose timeline is to say so: those that wait for it, those that gave this access and no longer
    do when it is taken back, and of these the ones that give it again when it comes back.

    An order of before, whose own end of access was told, is told nothing of a later purchase's.
    """
    rows = await session.execute(
        text(
            "SELECT DISTINCT o.id FROM justification j JOIN order_line l ON l.id = j.line_id "
            "JOIN orders o ON o.id = l.order_id "
            "LEFT JOIN LATERAL (SELECT t.kind FROM order_event t WHERE t.order_id = o.id "
            "AND starts_with(t.event_key, 'entitlement/' || j.entitlement_id || '/') "
            "AND t.kind IN ('entitlement_granted', 'entitlement_revoked') "
            "ORDER BY t.id DESC LIMIT 1) latest ON true "
            "WHERE j.entitlement_id = :id AND (o.fulfilment_state IN ('fulfilling', 'failed') "
            "OR (:status = 'revoked' AND NOT j.active AND latest.kind IS DISTINCT FROM 'entitlement_revoked' "
            "AND EXISTS (SELECT FROM order_event t "
            "WHERE t.order_id = o.id AND t.kind = 'entitlement_granted')) "
            "OR (:status = 'granted' AND j.active AND latest.kind = 'entitlement_revoked')) ORDER BY o.id"
        ),
        {"id": entitlement_id, "status": status},
    )
    return [str(row.id) for row in rows]


async def lines_of(session: Session, entitlement_id: str) -> list[str]:
    """Order lines that justify or justified this entitlement."""
    rows = await session.execute(
        text("SELECT line_id FROM justification WHERE entitlement_id = :id ORDER BY line_id"),
        {"id": entitlement_id},
    )
    return [str(row.line_id) for row in rows]


async def owns(session: Session, user_id: str, course_ids: list[str]) -> list[str]:
    """Which of these courses the user has a right to already, or is paying for in an open order."""
    rows = await session.execute(
        text(
            "SELECT e.lms_course_id FROM entitlement e JOIN justification j "
            "ON j.entitlement_id = e.id WHERE e.user_id = :user_id AND j.active "
            "AND e.lms_course_id = ANY(:courses) UNION "
            "SELECT l.lms_course_id FROM orders o JOIN order_line l ON l.order_id = o.id "
            "WHERE o.user_id = :user_id AND o.payment_state IN ('pending', 'processing') "
            "AND l.lms_course_id = ANY(:courses)"
        ),
        {"user_id": user_id, "courses": course_ids},
    )
    return [row.lms_course_id for row in rows]


async def settled_access(session: Session) -> list[tuple[str, str, bool]]:
    """(LMS user, course, granted?) of every entitlement that is at rest, with nothing owed to the LMS."""
    rows = await session.execute(
        text(
            "SELECT u.lms_user_id, e.lms_course_id, e.status = 'granted' AS granted FROM entitlement e "
            "JOIN commerce_user u ON u.id = e.user_id "
            f"WHERE e.status IN ('granted', 'revoked') AND NOT {lms_calls.OWED_SQL} ORDER BY e.id"
        )
    )
    return [(row.lms_user_id, row.lms_course_id, row.granted) for row in rows]
