"""Periods of the ledger: months that stand open, soft-closed or closed."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.errors import Conflict, InvalidInput, Unavailable
from models.database import Session
from models.queries.ledger import ENTITY

OPEN, SOFT_CLOSED, CLOSED = "open", "soft_closed", "closed"

# Below PostgreSQL's deadlock_timeout: whoever closes gives way before anybody who posts is aborted.
_LOCK_TIMEOUT = "900ms"
_LOCK_NOT_AVAILABLE = "55P03"


@dataclass(frozen=True, slots=True)
class PeriodRow:
    """A month and how it stands; the last change that named this month, if any."""

    month: date
    status: str
    entries: int
    changed_by: str | None
    changed_at: datetime | None
    reason: str | None


def following(month: date) -> date:
    """The month after."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


async def page(session: Session, *, before: date | None, limit: int) -> list[PeriodRow]:
    """Months from the present one back to the first entry's, newest first."""
    rows = await session.execute(
        text(
            "SELECT m.month::date AS month, count.entries, last.changed_by, last.changed_at, last.reason, "
            "CASE WHEN m.month <= ledger_closed_through(:entity) THEN 'closed' "
            "WHEN m.month <= ledger_soft_closed_through(:entity) THEN 'soft_closed' ELSE 'open' END "
            "AS status "
            "FROM generate_series(month_of(now()), least(month_of(now()), "
            "(SELECT month_of(min(effective_at)) FROM journal_entry), "
            "(SELECT min(month) FROM period_change WHERE entity = :entity)), interval '-1 month') "
            "AS m (month) "
            "CROSS JOIN LATERAL (SELECT count(*) AS entries FROM journal_entry WHERE entity = :entity "
            "AND effective_at >= month_start(m.month::date) "
            "AND effective_at < month_start((m.month + interval '1 month')::date)) AS count "
            "LEFT JOIN LATERAL (SELECT changed_by, changed_at, reason FROM period_change "
            "WHERE entity = :entity AND month = m.month ORDER BY number DESC LIMIT 1) AS last ON true "
            "WHERE CAST(:before AS date) IS NULL OR m.month < :before ORDER BY m.month DESC LIMIT :limit"
        ),
        {"entity": ENTITY, "before": before, "limit": limit},
    )
    return [
        PeriodRow(
            row.month,
            row.status,
            row.entries,
            None if row.changed_by is None else str(row.changed_by),
            row.changed_at,
            row.reason,
        )
        for row in rows
    ]


async def get(session: Session, month: date) -> PeriodRow | None:
    """One month, or None when it lies before the ledger's first or after the present one."""
    found = await page(session, before=following(month), limit=1)
    return found[0] if found and found[0].month == month else None


async def close(session: Session, month: date, *, hard: bool, operator_id: str, reason: str | None) -> None:
    """Close the month and all before it, softly or for good; nothing when it stands so already.

    Raises Conflict `period_closed` (a soft close of a closed month) or `period_not_over`, Unavailable when
    postings under way hold the periods for long.
    """
    now = await _locked(session, month)
    if now.closed:
        if hard:
            return
        raise Conflict(f"{_name(month)} is closed for good", code="period_closed")
    if not now.over:
        raise Conflict(f"{_name(month)} is not over", code="period_not_over")
    if hard or not now.soft:
        await _change(session, month, CLOSED if hard else SOFT_CLOSED, operator_id, reason)


async def reopen(session: Session, month: date, *, operator_id: str, reason: str | None) -> None:
    """Open a soft-closed month again, and all soft-closed ones after it; nothing when it is open.

    Raises Conflict `period_closed` for one that is closed for good.
    """
    now = await _locked(session, month)
    if now.closed:
        raise Conflict(f"{_name(month)} is closed for good", code="period_closed")
    if now.soft:
        await _change(session, month, OPEN, operator_id, reason)


@dataclass(frozen=True, slots=True)
class _Standing:
    closed: bool
    soft: bool
    over: bool


async def _locked(session: Session, month: date) -> _Standing:
    """How the month stands, with nobody posting or closing until the commit."""
    if month.day != 1:
        raise InvalidInput("a period is a month")
    await session.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
    try:
        await session.execute(text("SELECT pg_advisory_xact_lock(period_lock(:entity))"), {"entity": ENTITY})
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        raise Unavailable(
            "postings are under way; ask again with the same key", retry_after_seconds=1
        ) from error
    row = (
        await session.execute(
            text(
                "SELECT coalesce(:month <= ledger_closed_through(:entity), false) AS closed, "
                "coalesce(:month <= ledger_soft_closed_through(:entity), false) AS soft, "
                "month_start((CAST(:month AS date) + interval '1 month')::date) <= now() AS over"
            ),
            {"entity": ENTITY, "month": month},
        )
    ).one()
    return _Standing(row.closed, row.soft, row.over)


async def _change(session: Session, month: date, status: str, operator_id: str, reason: str | None) -> None:
    await session.execute(
        text(
            "INSERT INTO period_change (entity, month, status, reason, changed_by) "
            "VALUES (:entity, :month, :status, :reason, CAST(:operator_id AS uuid))"
        ),
        {
            "entity": ENTITY,
            "month": month,
            "status": status,
            "reason": reason,
            "operator_id": operator_id,
        },
    )


def _name(month: date) -> str:
    return month.strftime("%Y-%m")
