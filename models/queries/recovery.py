"""What is not at its end: rows that should have a workflow running."""

from dataclasses import dataclass

from sqlalchemy import text

from models.database import Session

# Younger rows may simply not have been reached yet.
_SETTLING = "interval '30 seconds'"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Ids by kind."""

    order_ids: list[str]
    refund_ids: list[str]
    entitlements: list[tuple[str, str]]
    line_ids: list[str]


async def unfinished(session: Session, limit: int = 1000) -> Unfinished:
    """Everything that waits for something and is older than half a minute."""
    orders = await session.execute(
        text(
            "SELECT id FROM orders WHERE (payment_state IN ('pending', 'processing') OR "
            "(payment_state = 'paid' AND fulfilment_state <> 'fulfilled')) "
            f"AND created_at < now() - {_SETTLING} ORDER BY id LIMIT :limit"
        ),
        {"limit": limit},
    )
    refunds = await session.execute(
        text(
            f"SELECT id FROM refund WHERE status = 'pending' AND created_at < now() - {_SETTLING} "
            "ORDER BY id LIMIT :limit"
        ),
        {"limit": limit},
    )
    access = await session.execute(
        text(
            "SELECT user_id, lms_course_id FROM entitlement "
            "WHERE status IN ('pending', 'granting', 'revoking') "
            f"AND changed_at < now() - {_SETTLING} ORDER BY id LIMIT :limit"
        ),
        {"limit": limit},
    )
    lines = await session.execute(
        text(
            "SELECT l.id FROM order_line l JOIN orders o ON o.id = l.order_id "
            "WHERE o.payment_state = 'paid' AND l.list_net > 0 AND l.released_at IS NULL "
            f"AND o.amount_refunded = 0 AND o.paid_at < now() - {_SETTLING} ORDER BY l.id LIMIT :limit"
        ),
        {"limit": limit},
    )
    return Unfinished(
        [str(row.id) for row in orders],
        [str(row.id) for row in refunds],
        [(str(row.user_id), row.lms_course_id) for row in access],
        [str(row.id) for row in lines],
    )
