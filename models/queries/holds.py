"""What keeps the earnings of an order from being released, whatever the timer says."""

from sqlalchemy import text

from models.database import Session
from models.queries import refunds


async def reason_to_hold(session: Session, order_id: str) -> str | None:
    """Why nothing of the order may be released now, in words; None when nothing stands against it.

    An open dispute, or a refund that has not sent its money. Read it under the order's lock: both
    are begun under it. Whoever ends one resumes the splits of the order's lines.
    """
    found: str | None = (
        await session.execute(
            text(
                "SELECT CASE WHEN o.dispute_state = 'open' THEN 'A dispute is open' "
                "WHEN EXISTS (SELECT FROM refund r WHERE r.order_id = o.id AND r.kind <> 'unapplied' "
                f"AND {refunds.OPEN_SQL}) THEN 'A refund is under way' END "
                "FROM orders o WHERE o.id = :id"
            ),
            {"id": order_id},
        )
    ).scalar_one_or_none()
    return found
