"""Idempotency records: claim, lock, answer."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from domain.errors import Conflict
from models.database import Database, Session

KEPT_HOURS = 72


@dataclass(frozen=True, slots=True)
class Record:
    """A locked record; `status_code` is None while no answer was stored."""

    object_id: str
    fingerprint: str
    status_code: int | None
    response_sealed: bytes | None


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


async def lock(session: Session, caller: str, key: str) -> Record:
    """Lock the record for the length of the request; the lock dies with the process that holds it."""
    try:
        row = (
            await session.execute(
                text(
                    "SELECT object_id, fingerprint, status_code, response_sealed "
                    "FROM idempotency_record WHERE caller = :caller AND key = :key FOR UPDATE NOWAIT"
                ),
                {"caller": caller, "key": key},
            )
        ).one_or_none()
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == "55P03":  # lock_not_available
            row = None
        else:
            raise
    if row is None:
        raise Conflict("a request with this key is still running", code="idempotency_key_in_use")
    return Record(str(row.object_id), row.fingerprint, row.status_code, row.response_sealed)


async def store(session: Session, caller: str, key: str, status_code: int, response_sealed: bytes) -> None:
    """Keep the answer; commits with the effect."""
    await session.execute(
        text(
            "UPDATE idempotency_record SET status_code = :status, response_sealed = :sealed "
            "WHERE caller = :caller AND key = :key"
        ),
        {"caller": caller, "key": key, "status": status_code, "sealed": response_sealed},
    )
