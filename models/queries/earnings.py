"""What payees earn, as they and operators read it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from models.database import Session


@dataclass(frozen=True, slots=True)
class CourseEarning:
    """A payee's earnings of one course in one currency, minor units."""

    course_id: str
    currency: str
    accrued: int
    held: int
    releasable: int
    released: int
    reversed: int


async def by_course(session: Session, payee: str) -> list[CourseEarning]:
    """What a payee has earned, from the states of the order lines (which the ledger's entries follow).

    Releasable is what is held past its time, with no dispute or refund standing against it.
    """
    rows = await session.execute(
        text(
            "SELECT e.course_id, e.currency, sum(e.accrued) AS accrued, sum(e.held) AS held, "
            "coalesce(sum(e.held) FILTER (WHERE e.free), 0) AS releasable, sum(e.released) AS released, "
            "sum(e.reversed) AS reversed FROM (SELECT l.lms_course_id AS course_id, o.currency, "
            "(p->>'accrued')::bigint AS accrued, (p->>'released')::bigint AS released, "
            "(p->>'reversed_held')::bigint + (p->>'reversed_released')::bigint AS reversed, "
            "(p->>'accrued')::bigint - (p->>'released')::bigint - (p->>'reversed_held')::bigint AS held, "
            "l.accrued_at + make_interval(secs => l.hold_seconds) <= now() AND o.dispute_state <> 'open' "
            "AND NOT EXISTS (SELECT FROM refund r WHERE r.order_id = o.id AND r.kind <> 'unapplied' "
            "AND r.status = 'pending') AS free "
            "FROM order_line l JOIN orders o ON o.id = l.order_id "
            "CROSS JOIN LATERAL jsonb_array_elements(l.ledger->'payees') p "
            "WHERE p->>'payee' = :payee AND l.ledger->'payees' @> "
            "jsonb_build_array(jsonb_build_object('payee', CAST(:payee AS text)))) e "
            "GROUP BY 1, 2 ORDER BY 1, 2"
        ),
        {"payee": payee},
    )
    return [
        CourseEarning(
            row.course_id,
            row.currency,
            int(row.accrued),
            int(row.held),
            int(row.releasable),
            int(row.released),
            int(row.reversed),
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class EarningEntry:
    """One event about a payee's money; `data` as it was published."""

    id: str
    type: str
    at: datetime
    data: dict[str, Any]


async def entries(
    session: Session,
    payee: str,
    *,
    course_id: str | None,
    currency: str | None,
    before: str | None,
    limit: int,
) -> list[EarningEntry]:
    """What was published about a payee's earnings, newest first, keyset."""
    rows = await session.execute(
        text(
            "SELECT id, type, created_at, data FROM outbound_event WHERE data->>'payee_ref' = :payee "
            "AND (CAST(:course_id AS text) IS NULL OR data->>'course_id' = :course_id) "
            "AND (CAST(:currency AS text) IS NULL OR data->>'currency' = :currency) "
            "AND (CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid)) ORDER BY id DESC LIMIT :limit"
        ),
        {
            "payee": payee,
            "course_id": course_id,
            "currency": currency,
            "before": before,
            "limit": limit,
        },
    )
    return [EarningEntry(str(row.id), row.type, row.created_at, row.data) for row in rows]
