"""Receivers of our events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from models.database import Session


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """A receiver; `secret_sealed` is a sealed JSON list of {secret, expires_at}."""

    id: str
    url: str
    description: str
    event_types: tuple[str, ...]
    secret_sealed: bytes
    active: bool
    disabled_at: datetime | None
    disabled_by: str | None
    disabled_reason: str | None
    last_disabled_at: datetime | None
    deleted_at: datetime | None
    version: int
    created_at: datetime


def _endpoint(row: Row[Any]) -> EndpointRow:
    return EndpointRow(
        str(row.id),
        row.url,
        row.description,
        tuple(row.event_types),
        bytes(row.secret_sealed),
        row.active,
        row.disabled_at,
        row.disabled_by,
        row.disabled_reason,
        row.last_disabled_at,
        row.deleted_at,
        row.version,
        row.created_at,
    )


async def insert(
    session: Session,
    endpoint_id: str,
    *,
    url: str,
    description: str,
    event_types: Sequence[str],
    secret_sealed: bytes,
) -> None:
    """Make an endpoint; a repeat under the same id changes nothing."""
    await session.execute(
        text(
            "INSERT INTO webhook_endpoint (id, url, description, event_types, secret_sealed) "
            "VALUES (:id, :url, :description, :event_types, :secret) ON CONFLICT (id) DO NOTHING"
        ),
        {
            "id": endpoint_id,
            "url": url,
            "description": description,
            "event_types": list(event_types),
            "secret": secret_sealed,
        },
    )


async def get(session: Session, endpoint_id: str, *, lock: bool = False) -> EndpointRow | None:
    """One endpoint."""
    suffix = " FOR UPDATE" if lock else ""
    row = (
        await session.execute(
            text("SELECT * FROM webhook_endpoint WHERE id = :id" + suffix), {"id": endpoint_id}
        )
    ).one_or_none()
    return None if row is None else _endpoint(row)


async def page(session: Session, *, before: str | None, limit: int) -> list[EndpointRow]:
    """Those that were not deleted, newest first, keyset."""
    rows = await session.execute(
        text(
            "SELECT * FROM webhook_endpoint "
            "WHERE deleted_at IS NULL AND (CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid)) "
            "ORDER BY id DESC LIMIT :limit"
        ),
        {"before": before, "limit": limit},
    )
    return [_endpoint(row) for row in rows]


async def save(session: Session, endpoint: EndpointRow) -> None:
    """Write an endpoint back as it is given, but for its times: those are the database's.

    Another address begins anew, as one that is switched on does: what the one before answered does not count.
    """
    if endpoint.active:
        await _wait_for_publishers(session, endpoint.id)
    await session.execute(
        text(
            "UPDATE webhook_endpoint SET url = CAST(:url AS varchar), description = :description, "
            "event_types = :event_types, secret_sealed = :secret, "
            "active_since = CASE WHEN NOT :active OR (active AND url = CAST(:url AS varchar)) "
            "THEN active_since ELSE now() END, "
            "disabled_at = CASE WHEN :active THEN NULL ELSE coalesce(disabled_at, now()) END, "
            "last_disabled_at = CASE WHEN :active THEN coalesce(disabled_at, last_disabled_at) "
            "ELSE last_disabled_at END, "
            "active = :active, disabled_by = :by, disabled_reason = :reason, "
            "version = version + 1 WHERE id = :id"
        ),
        {
            "id": endpoint.id,
            "url": endpoint.url,
            "description": endpoint.description,
            "event_types": list(endpoint.event_types),
            "secret": endpoint.secret_sealed,
            "active": endpoint.active,
            "by": endpoint.disabled_by,
            "reason": endpoint.disabled_reason,
        },
    )


async def _wait_for_publishers(session: Session, endpoint_id: str) -> None:
    """Before an endpoint is switched on: whoever publishes just now found it off, and queues nothing for it.
    A replay after this must find those events, so they must be there; until then publishers hold locks."""
    found = await session.execute(
        text("SELECT active FROM webhook_endpoint WHERE id = :id"), {"id": endpoint_id}
    )
    if not found.scalar_one():
        await session.execute(text("LOCK TABLE outbound_stream IN SHARE MODE"))


async def delete(session: Session, endpoint_id: str) -> None:
    """Nothing is sent there any more, for good; its log stays."""
    await session.execute(
        text(
            "UPDATE webhook_endpoint SET active = false, disabled_at = coalesce(disabled_at, now()), "
            "disabled_by = 'operator', disabled_reason = 'deleted', "
            "deleted_at = coalesce(deleted_at, now()), version = version + 1 WHERE id = :id"
        ),
        {"id": endpoint_id},
    )


async def disable(
    session: Session, endpoint_id: str, by: str, reason: str, *, active_since: datetime
) -> int | None:
    """Stop sending to a receiver; the version that this made, or None when it was off already, or has been
    switched on or got another address after `active_since`."""
    version = await session.execute(
        text(
            "UPDATE webhook_endpoint SET active = false, disabled_at = now(), disabled_by = :by, "
            "disabled_reason = :reason, version = version + 1 "
            "WHERE id = :id AND active AND active_since = :active_since RETURNING version"
        ),
        {"id": endpoint_id, "by": by, "reason": reason, "active_since": active_since},
    )
    return version.scalar_one_or_none()


async def count_disabled(session: Session) -> int:
    """Receivers that are off although no operator switched them off."""
    found = await session.execute(
        text("SELECT count(*) FROM webhook_endpoint WHERE NOT active AND disabled_by <> 'operator'")
    )
    return int(found.scalar_one())
