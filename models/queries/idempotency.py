"""Idempotency records: hold, claim, answer or release."""

from dataclasses import dataclass

from sqlalchemy import text

from domain.errors import Conflict
from models.database import Database, Session

KEPT_HOURS = 72


@dataclass(frozen=True, slots=True)
class Record:
    """A record whose key is held; `status_code` is None while no answer was stored."""

    object_id: str
    fingerprint: str
    status_code: int | None
    response_sealed: bytes | None


async def hold(session: Session, caller: str, key: str) -> None:
    """Hold the key until this transaction ends, with its process if need be; Conflict when another has it.

    Comes before the claim: who made a claim is the first to act on it.
    """
    held = await session.execute(
        text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))"),
        {"name": f"idempotency/{caller}/{key}"},
    )
    if not held.scalar_one():
        raise _in_use()


async def claim(database: Database, caller: str, key: str, fingerprint: str) -> bool:
    """Commit the key with a fresh object id; False when it is there already (an expired one is replaced)."""
    async with database.transaction() as session:
        await session.execute(
            text(
                "DELETE FROM idempotency_record WHERE caller = :caller AND key = :key "
                "AND created_at < now() - make_interval(hours => :hours)"
            ),
            {"caller": caller, "key": key, "hours": KEPT_HOURS},
        )
        made = await session.execute(
            text(
                "INSERT INTO idempotency_record (caller, key, fingerprint) "
                "VALUES (:caller, :key, :fingerprint) ON CONFLICT DO NOTHING RETURNING object_id"
            ),
            {"caller": caller, "key": key, "fingerprint": fingerprint},
        )
        return made.one_or_none() is not None


async def read(session: Session, caller: str, key: str) -> Record:
    """The record of a claimed key; locked, so that its retention does not end it meanwhile."""
    row = (
        await session.execute(
            text(
                "SELECT object_id, fingerprint, status_code, response_sealed "
                "FROM idempotency_record WHERE caller = :caller AND key = :key FOR UPDATE"
            ),
            {"caller": caller, "key": key},
        )
    ).one_or_none()
    if row is None:  # its time was over just now
        raise _in_use()
    return Record(str(row.object_id), row.fingerprint, row.status_code, row.response_sealed)


async def release(session: Session, caller: str, key: str) -> None:
    """Forget a claim whose request came to nothing; the key may be used for another."""
    await session.execute(
        text("DELETE FROM idempotency_record WHERE caller = :caller AND key = :key"),
        {"caller": caller, "key": key},
    )


async def store(session: Session, caller: str, key: str, status_code: int, response_sealed: bytes) -> None:
    """Keep the answer; commits with the effect."""
    await session.execute(
        text(
            "UPDATE idempotency_record SET status_code = :status, response_sealed = :sealed "
            "WHERE caller = :caller AND key = :key"
        ),
        {"caller": caller, "key": key, "status": status_code, "sealed": response_sealed},
    )


def _in_use() -> Conflict:
    return Conflict("a request with this key is still running", code="idempotency_key_in_use")
