"""Counts of attempts, shared by all gateways.

One row a limit and caller holds a single time: when the attempts so far would have been spaced out evenly
(the generic cell rate algorithm). Taking an attempt moves it on, in one statement, unless that would move
it further ahead than the burst allows.
"""

from datetime import timedelta

from sqlalchemy import text

from models.database import Session

_SWEPT_AT_ONCE = 500


async def take(session: Session, key: str, *, times: float, seconds: float) -> float | None:
    """Count an attempt; None when it may go on, else how many seconds to wait."""
    values = {
        "key": key,
        "step": timedelta(seconds=seconds / times),
        "burst": timedelta(seconds=seconds),
    }
    taken = await session.execute(
        text(
            "INSERT INTO rate_limit AS r (key, even_until) VALUES (:key, clock_timestamp() + :step) "
            "ON CONFLICT (key) DO UPDATE SET even_until = greatest(r.even_until, clock_timestamp()) + :step "
            "WHERE greatest(r.even_until, clock_timestamp()) + :step <= clock_timestamp() + :burst "
            "RETURNING key"
        ),
        values,
    )
    if taken.one_or_none() is not None:
        return None
    wait = await session.execute(
        text(
            "SELECT extract(epoch FROM even_until + :step - :burst - clock_timestamp()) "
            "FROM rate_limit WHERE key = :key"
        ),
        values,
    )
    return max(float(wait.scalar_one()), 0.001)


async def give_back(session: Session, key: str, *, times: float, seconds: float) -> None:
    """Undo one attempt."""
    await session.execute(
        text("UPDATE rate_limit SET even_until = even_until - :step WHERE key = :key"),
        {"key": key, "step": timedelta(seconds=seconds / times)},
    )


async def sweep(session: Session) -> None:
    """Drop some rows that say nothing any more.

    In a transaction of its own: one that also counts an attempt would hold rows that others want next.
    """
    await session.execute(
        text(
            "DELETE FROM rate_limit WHERE key IN (SELECT key FROM rate_limit "
            "WHERE even_until < clock_timestamp() LIMIT :most FOR UPDATE SKIP LOCKED)"
        ),
        {"most": _SWEPT_AT_ONCE},
    )
