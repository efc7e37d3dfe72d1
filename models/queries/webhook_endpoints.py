"""Receivers of our events, and the log of deliveries."""

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
    disabled_reason: str | None
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
        row.disabled_reason,
        row.version,
        row.created_at,
    )


async def insert(
    session: Session,
    endpoint_id: str,
    *,
    url: str,
    description: str,
    event_types: list[str],
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
            "event_types": event_types,
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
    """Newest first, keyset."""
    rows = await session.execute(
        text(
            "SELECT * FROM webhook_endpoint "
            "WHERE CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid) ORDER BY id DESC LIMIT :limit"
        ),
        {"before": before, "limit": limit},
    )
    return [_endpoint(row) for row in rows]


async def save(session: Session, endpoint: EndpointRow) -> None:
    """Write an endpoint back as it is given."""
    await session.execute(
        text(
            "UPDATE webhook_endpoint SET url = :url, description = :description, "
            "event_types = :event_types, secret_sealed = :secret, active = :active, "
            "disabled_reason = :reason, version = version + 1 WHERE id = :id"
        ),
        {
            "id": endpoint.id,
            "url": endpoint.url,
            "description": endpoint.description,
            "event_types": list(endpoint.event_types),
            "secret": endpoint.secret_sealed,
            "active": endpoint.active,
            "reason": endpoint.disabled_reason,
        },
    )


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One event for one endpoint, with the outcome of the last attempt."""

    id: str
    event_id: str
    type: str
    stream: str
    stream_seq: int
    status: str
    attempts: int
    last_status_code: int | None
    last_error: str | None
    last_response: str | None
    created_at: datetime
    delivered_at: datetime | None


async def deliveries(
    session: Session, endpoint_id: str, *, before: str | None, limit: int
) -> list[DeliveryRow]:
    """The log of an endpoint, newest first, keyset."""
    rows = await session.execute(
        text(
            "SELECT d.*, e.type, e.stream, e.stream_seq FROM webhook_delivery d "
            "JOIN outbound_event e ON e.id = d.event_id WHERE d.endpoint_id = :endpoint "
            "AND (CAST(:before AS uuid) IS NULL OR d.id < CAST(:before AS uuid)) "
            "ORDER BY d.id DESC LIMIT :limit"
        ),
        {"endpoint": endpoint_id, "before": before, "limit": limit},
    )
    return [
        DeliveryRow(
            str(row.id),
            str(row.event_id),
            row.type,
            row.stream,
            row.stream_seq,
            row.status,
            row.attempts,
            row.last_status_code,
            row.last_error,
            row.last_response,
            row.created_at,
            row.delivered_at,
        )
        for row in rows
    ]
