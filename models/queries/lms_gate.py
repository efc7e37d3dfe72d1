"""What stands between us and the LMS: its maintenance, and the shared pace of our calls."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from models.database import Session

_PACE = "lms/calls"


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Until when the LMS is not asked to grant or revoke, and why."""

    reason: str
    until: datetime
    set_by: str
    set_at: datetime


async def maintenance(session: Session) -> Maintenance | None:
    """The maintenance that is on now; None: none."""
    row = (
        await session.execute(text("SELECT * FROM lms_maintenance WHERE until > clock_timestamp()"))
    ).one_or_none()
    return None if row is None else Maintenance(row.reason, row.until, str(row.set_by), row.set_at)


async def begin_maintenance(session: Session, *, reason: str, until: datetime, user_id: str) -> None:
    """Switch it on, or change it."""
    await session.execute(
        text(
            "INSERT INTO lms_maintenance (id, reason, until, set_by) "
            "VALUES (1, :reason, :until, CAST(:user_id AS uuid)) "
            "ON CONFLICT (id) DO UPDATE SET reason = excluded.reason, until = excluded.until, "
            "set_by = excluded.set_by, set_at = now()"
        ),
        {"reason": reason, "until": until, "user_id": user_id},
    )


async def end_maintenance(session: Session) -> None:
    """Switch it off."""
    await session.execute(text("DELETE FROM lms_maintenance"))


async def take_slot(
    session: Session, *, calls: int, per_second: float, patience_seconds: float
) -> float | None:
    """Reserve the next moment for so many calls, and `calls / per_second` after it for nobody else.

    Returns how many seconds to wait for it; None, and nothing is reserved, when that is more than patience.
    """
    row = (
        await session.execute(
            text(
                "INSERT INTO rate_limit AS r (key, even_until) VALUES (:key, clock_timestamp() + :step) "
                "ON CONFLICT (key) DO UPDATE SET even_until = greatest(r.even_until, clock_timestamp()) "
                "+ :step WHERE r.even_until <= clock_timestamp() + :patience "
                "RETURNING extract(epoch FROM even_until - :step - clock_timestamp()) AS wait"
            ),
            {
                "key": _PACE,
                "step": timedelta(seconds=calls / per_second),
                "patience": timedelta(seconds=patience_seconds),
            },
        )
    ).one_or_none()
    return None if row is None else max(float(row.wait), 0.0)
