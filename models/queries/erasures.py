"""Persons to be erased: asked for, what is still open of theirs, and done."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from domain.erasure import ErasureSource
from models.database import Session
from models.queries import lms_calls, refunds


@dataclass(frozen=True, slots=True)
class ErasureRow:
    """A request for erasure; `waits_for` is what was open when it was last looked at."""

    id: str
    user_id: str
    source: ErasureSource
    waits_for: tuple[str, ...]
    created_at: datetime
    erased_at: datetime | None
    done_at: datetime | None


def _erasure(row: Row[Any]) -> ErasureRow:
    return ErasureRow(
        str(row.id),
        str(row.user_id),
        ErasureSource(row.source),
        tuple(row.waits_for),
        row.created_at,
        row.erased_at,
        row.done_at,
    )


async def request(
    session: Session,
    user_id: str,
    *,
    source: ErasureSource,
    erasure_id: str | None = None,
    requested_by: str | None = None,
) -> ErasureRow:
    """Have a person erased, once: a request that is open, or after which nobody signed in, stands for a new
    one. Their sign-ins end with it."""
    await session.execute(
        text("UPDATE refresh_token SET revoked = true WHERE user_id = :user"), {"user": user_id}
    )
    await session.execute(
        text(
            "INSERT INTO person_erasure (id, user_id, source, requested_by) "
            "SELECT coalesce(CAST(:id AS uuid), uuidv7()), u.id, :source, CAST(:by AS uuid) "
            "FROM commerce_user u WHERE u.id = :user AND u.erased_at IS NULL "
            "ON CONFLICT (user_id) WHERE done_at IS NULL DO NOTHING"
        ),
        {"id": erasure_id, "user": user_id, "source": source, "by": requested_by},
    )
    found = await of_user(session, user_id)
    assert found is not None
    return found


async def of_user(session: Session, user_id: str) -> ErasureRow | None:
    """The newest request about a person."""
    row = (
        await session.execute(
            text("SELECT * FROM person_erasure WHERE user_id = :user ORDER BY id DESC LIMIT 1"),
            {"user": user_id},
        )
    ).one_or_none()
    return None if row is None else _erasure(row)


async def open_of_lms_user(session: Session, lms_user_id: str) -> str | None:
    """The user whose erasure is open, by the LMS's id."""
    found = await session.execute(
        text(
            "SELECT e.user_id FROM person_erasure e JOIN commerce_user u ON u.id = e.user_id "
            "WHERE u.lms_user_id = :id AND e.done_at IS NULL"
        ),
        {"id": lms_user_id},
    )
    row = found.one_or_none()
    return None if row is None else str(row.user_id)


async def page(session: Session, *, is_open: bool | None, before: str | None, limit: int) -> list[ErasureRow]:
    """Newest first, keyset; only open or only done ones when asked."""
    rows = await session.execute(
        text(
            "SELECT * FROM person_erasure WHERE (CAST(:open AS boolean) IS NULL "
            "OR (done_at IS NULL) = CAST(:open AS boolean)) "
            "AND (CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid)) ORDER BY id DESC LIMIT :limit"
        ),
        {"open": is_open, "before": before, "limit": limit},
    )
    return [_erasure(row) for row in rows]


async def take_open(session: Session, user_id: str) -> ErasureRow | None:
    """The open request, with the person's row locked: an order that is being placed for them comes before
    or after what follows."""
    await session.execute(text("SELECT FROM commerce_user WHERE id = :user FOR UPDATE"), {"user": user_id})
    row = (
        await session.execute(
            text("SELECT * FROM person_erasure WHERE user_id = :user AND done_at IS NULL FOR UPDATE"),
            {"user": user_id},
        )
    ).one_or_none()
    return None if row is None else _erasure(row)


# What a person's money and access still need them for, in words; course, order number and date only.
_STANDS_AGAINST = (
    "SELECT 'order ' || o.number || ' may still be paid' FROM orders o "
    "WHERE o.user_id = :user AND o.payment_state IN ('pending', 'processing') UNION ALL "
    "SELECT 'access for order ' || o.number || ' is being set up' FROM orders o "
    "WHERE o.user_id = :user AND o.payment_state = 'paid' AND o.fulfilment_state = 'fulfilling' UNION ALL "
    "SELECT 'access to ' || e.lms_course_id || ' is changing (' || e.status || ')' FROM entitlement e "
    "WHERE e.user_id = :user AND e.status IN ('pending', 'granting', 'revoking') UNION ALL "
    "SELECT 'access to ' || e.lms_course_id || ' is to be told to the LMS once more (' || e.status || ')' "
    f"FROM entitlement e WHERE e.user_id = :user AND {lms_calls.OWED_SQL} UNION ALL "
    "SELECT CASE r.status WHEN 'pending' THEN 'a refund of order ' || o.number || ' is under way' "
    "ELSE 'a refund of order ' || o.number || ' failed and is owed' END "
    "FROM refund r JOIN orders o ON o.id = r.order_id "
    f"WHERE o.user_id = :user AND {refunds.OPEN_SQL} UNION ALL "
    "SELECT 'a dispute about order ' || o.number || ' is open' FROM dispute d "
    "JOIN orders o ON o.id = d.order_id "
    "WHERE o.user_id = :user AND d.state IN ('inquiry', 'open') UNION ALL "
    "SELECT 'a question about order ' || o.number || ' is open' "
    "|| coalesce(to_char(q.deadline AT TIME ZONE 'UTC', '\" until \"YYYY-MM-DD'), '') "
    "FROM resolution q JOIN order_line l ON l.id = q.line_id JOIN orders o ON o.id = l.order_id "
    "WHERE o.user_id = :user AND q.state IN ('open', 'decided') UNION ALL "
    "SELECT 'an event about order ' || o.number || ' is not handled yet' FROM inbound_event i "
    "JOIN orders o ON o.id = i.order_id WHERE o.user_id = :user AND i.dispatched_at IS NULL UNION ALL "
    "SELECT 'a merge with another account is under way' FROM person_merge m "
    "WHERE m.done_at IS NULL AND (m.user_id = :user OR m.into_user_id = :user OR m.into_lms_user_id = "
    "(SELECT lms_user_id FROM commerce_user WHERE id = :user))"
)


async def stands_against(session: Session, user_id: str) -> list[str]:
    """What is still open of a person's money and access, in words; empty: they may be erased."""
    rows = await session.execute(
        text(f"SELECT DISTINCT * FROM ({_STANDS_AGAINST}) ORDER BY 1"), {"user": user_id}
    )
    return list(rows.scalars())


async def set_waits(session: Session, erasure_id: str, waits_for: list[str]) -> None:
    """Remember what is waited for."""
    await session.execute(
        text("UPDATE person_erasure SET waits_for = :waits WHERE id = :id"),
        {"id": erasure_id, "waits": waits_for},
    )


async def withdraw(session: Session, erasure_id: str) -> None:
    """End a request with nothing erased."""
    await session.execute(
        text("UPDATE person_erasure SET done_at = now(), waits_for = '{}' WHERE id = :id"), {"id": erasure_id}
    )


async def set_erased(session: Session, erasure_id: str, *, done_if_before: float) -> ErasureRow:
    """All was wiped; done when that was so before a moment already, in seconds since the epoch."""
    row = (
        await session.execute(
            text(
                "UPDATE person_erasure SET waits_for = '{}', erased_at = coalesce(erased_at, now()), "
                "done_at = CASE WHEN erased_at <= to_timestamp(:before) THEN now() END "
                "WHERE id = :id RETURNING *"
            ),
            {"id": erasure_id, "before": done_if_before},
        )
    ).one()
    return _erasure(row)
