"""What stands between us and the LMS: its maintenance, and the shared pace of our calls."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from models.database import Session


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


async def make_turns(session: Session, turns: int) -> None:
    """So many turns are there, all free when they are new."""
    await session.execute(
        text(
            "INSERT INTO lms_turn (number, free_at) SELECT n, clock_timestamp() "
            "FROM generate_series(1, CAST(:turns AS integer)) n ON CONFLICT DO NOTHING"
        ),
        {"turns": turns},
    )


async def take_turn(
    session: Session, holder: UUID, *, turns: int, patience_seconds: float, kept_seconds: float
) -> float | None:
    """Take one of the `turns`; the holder alone has it until it is given back, or for `kept_seconds` from its
    beginning.

    Returns how many seconds to wait before that; None, and nothing is taken, when that is more than patience,
    or when it is not known: too many others have not heard from the LMS.
    """
    row = (
        await session.execute(
            text(
                "WITH next AS (SELECT number, CASE WHEN free_at <= clock_timestamp() + :patience "
                "THEN greatest(free_at, clock_timestamp()) ELSE clock_timestamp() END AS begins "
                "FROM lms_turn WHERE number <= :turns AND (free_at <= clock_timestamp() "
                "OR (holder IS NULL AND free_at <= clock_timestamp() + :patience) "
                # Longer than any turn is kept or rests: the clock was set back.
                "OR free_at > clock_timestamp() + interval '1 minute') "
                "ORDER BY free_at, number LIMIT 1 FOR UPDATE SKIP LOCKED) "
                "UPDATE lms_turn t SET holder = :holder, free_at = next.begins + :kept "
                "FROM next WHERE t.number = next.number "
                "RETURNING extract(epoch FROM next.begins - clock_timestamp()) AS wait"
            ),
            {
                "holder": holder,
                "turns": turns,
                "patience": timedelta(seconds=patience_seconds),
                "kept": timedelta(seconds=kept_seconds),
            },
        )
    ).one_or_none()
    return None if row is None else max(0.0, float(row.wait))


async def keep_turn(session: Session, holder: UUID, *, kept_seconds: float) -> bool:
    """Keep it for so many seconds from now; whether it was still the holder's."""
    kept = await session.execute(
        text(
            "UPDATE lms_turn SET free_at = clock_timestamp() + :kept "
            "WHERE holder = :holder AND free_at > clock_timestamp() RETURNING number"
        ),
        {"holder": holder, "kept": timedelta(seconds=kept_seconds)},
    )
    return kept.one_or_none() is not None


async def give_back_turn(session: Session, holder: UUID, *, rest_seconds: float) -> None:
    """The LMS has answered: others may have this turn when so many seconds have passed."""
    await session.execute(
        text("UPDATE lms_turn SET holder = NULL, free_at = clock_timestamp() + :rest WHERE holder = :holder"),
        {"holder": holder, "rest": timedelta(seconds=rest_seconds)},
    )
