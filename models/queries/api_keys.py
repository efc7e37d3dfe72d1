"""Keys of machines: only their hashes are here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from models.database import Session


@dataclass(frozen=True, slots=True)
class ApiKeyRow:
    """A key; `hint` is its beginning, which tells keys apart and opens nothing."""

    id: str
    name: str
    hint: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


def _key(row: Row[Any]) -> ApiKeyRow:
    return ApiKeyRow(
        str(row.id),
        row.name,
        row.hint,
        tuple(row.scopes),
        row.created_at,
        row.expires_at,
        row.last_used_at,
        row.revoked_at,
    )


async def insert(
    session: Session,
    *,
    name: str,
    hint: str,
    key_hash: str,
    scopes: Sequence[str],
    expires_at: datetime | None,
) -> ApiKeyRow:
    """Keep a new key."""
    row = await session.execute(
        text(
            "INSERT INTO api_key (name, hint, key_hash, scopes, expires_at) "
            "VALUES (:name, :hint, :hash, :scopes, :expires) RETURNING *"
        ),
        {"name": name, "hint": hint, "hash": key_hash, "scopes": list(scopes), "expires": expires_at},
    )
    return _key(row.one())


async def use(session: Session, key_hash: str) -> ApiKeyRow | None:
    """The key, when it is good now. That it was used is written once a minute, not with each request."""
    row = (
        await session.execute(
            text(
                "SELECT *, last_used_at IS NULL OR last_used_at < now() - interval '1 minute' AS stale "
                "FROM api_key WHERE key_hash = :hash AND revoked_at IS NULL "
                "AND (expires_at IS NULL OR expires_at > now())"
            ),
            {"hash": key_hash},
        )
    ).one_or_none()
    if row is None:
        return None
    if row.stale:
        await session.execute(text("UPDATE api_key SET last_used_at = now() WHERE id = :id"), {"id": row.id})
    return _key(row)


async def listed(session: Session) -> list[ApiKeyRow]:
    """All keys, newest first."""
    return [_key(row) for row in await session.execute(text("SELECT * FROM api_key ORDER BY id DESC"))]


async def revoke(session: Session, key_id: str) -> bool:
    """End a key; False when there is no such key. One that had ended keeps its time."""
    done = await session.execute(
        text("UPDATE api_key SET revoked_at = coalesce(revoked_at, now()) WHERE id = :id RETURNING id"),
        {"id": key_id},
    )
    return done.one_or_none() is not None
