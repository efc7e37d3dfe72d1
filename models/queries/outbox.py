"""The outbox: events are written in the transaction of the fact, numbered without gap in their stream."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from models.database import Session


@dataclass(frozen=True, slots=True)
class Publication:
    """An event to publish; `event_key` names the business fact, so that it is published once."""

    event_key: str
    type: str
    stream: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wake:
    """A delivery that has something to do."""

    endpoint_id: str
    stream: str


async def publish(session: Session, publications: Iterable[Publication]) -> list[Wake]:
    """Write the events and their deliveries; streams are locked in name order, so nobody deadlocks."""
    wakes: dict[Wake, None] = {}
    for publication in sorted(publications, key=lambda p: p.stream):
        for wake in await _publish_one(session, publication):
            wakes[wake] = None
    return list(wakes)


async def _publish_one(session: Session, publication: Publication) -> list[Wake]:
    await session.execute(
        text("INSERT INTO outbound_stream (stream, last_seq) VALUES (:stream, 0) ON CONFLICT DO NOTHING"),
        {"stream": publication.stream},
    )
    last_seq = (
        await session.execute(
            text("SELECT last_seq FROM outbound_stream WHERE stream = :stream FOR UPDATE"),
            {"stream": publication.stream},
        )
    ).scalar_one()
    event_id = (
        await session.execute(
            text(
                "INSERT INTO outbound_event (event_key, type, stream, stream_seq, data) "
                "VALUES (:event_key, :type, :stream, :seq, CAST(:data AS jsonb)) "
                "ON CONFLICT (event_key) DO NOTHING RETURNING id"
            ),
            {
                "event_key": publication.event_key,
                "type": publication.type,
                "stream": publication.stream,
                "seq": last_seq + 1,
                "data": json.dumps(publication.data),
            },
        )
    ).scalar_one_or_none()
    if event_id is None:  # published before: the number stays free
        return []
    await session.execute(
        text("UPDATE outbound_stream SET last_seq = last_seq + 1 WHERE stream = :stream"),
        {"stream": publication.stream},
    )
    endpoints = await session.execute(
        text(
            "INSERT INTO webhook_delivery (endpoint_id, event_id) "
            "SELECT id, :event_id FROM webhook_endpoint "
            "WHERE active AND (event_types = '{}' OR :type = ANY(event_types)) "
            "ON CONFLICT DO NOTHING RETURNING endpoint_id"
        ),
        {"event_id": event_id, "type": publication.type},
    )
    return [Wake(str(row.endpoint_id), publication.stream) for row in endpoints]


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """The oldest event that an endpoint has not got yet in one stream."""

    delivery_id: str
    event_id: str
    type: str
    stream: str
    stream_seq: int
    created_at: str
    data: dict[str, Any]
    attempts: int
    url: str
    secret_sealed: bytes


async def next_delivery(session: Session, endpoint_id: str, stream: str) -> PendingDelivery | None:
    """The next pending delivery in order of the stream; None when there is none or the endpoint is off."""
    row = (
        await session.execute(
            text(
                "SELECT d.id, d.event_id, e.type, e.stream, e.stream_seq, "
                'to_char(e.created_at, \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\') AS created_at, e.data, '
                "d.attempts, w.url, w.secret_sealed "
                "FROM webhook_delivery d JOIN outbound_event e ON e.id = d.event_id "
                "JOIN webhook_endpoint w ON w.id = d.endpoint_id "
                "WHERE d.endpoint_id = :endpoint AND e.stream = :stream AND d.status = 'pending' "
                "AND w.active ORDER BY e.stream_seq LIMIT 1"
            ),
            {"endpoint": endpoint_id, "stream": stream},
        )
    ).one_or_none()
    if row is None:
        return None
    return PendingDelivery(
        str(row.id),
        str(row.event_id),
        row.type,
        row.stream,
        row.stream_seq,
        row.created_at,
        row.data,
        row.attempts,
        row.url,
        bytes(row.secret_sealed),
    )


async def record_attempt(
    session: Session,
    delivery_id: str,
    *,
    attempt: int,
    status: str,
    status_code: int | None,
    error: str | None,
    response: str | None,
) -> None:
    """Keep the outcome of one attempt; `attempt` counts from 1, so that a repeat does not count twice."""
    await session.execute(
        text(
            "UPDATE webhook_delivery SET attempts = :attempt, status = CAST(:status AS varchar), "
            "last_status_code = :status_code, last_error = :error, last_response = :response, "
            "delivered_at = CASE WHEN CAST(:status AS varchar) = 'delivered' THEN now() END "
            "WHERE id = :id AND status = 'pending'"
        ),
        {
            "id": delivery_id,
            "attempt": attempt,
            "status": status,
            "status_code": status_code,
            "error": error,
            "response": response,
        },
    )


async def disable_endpoint(session: Session, endpoint_id: str, reason: str) -> None:
    """Stop sending to an endpoint that does not want to be sent to."""
    await session.execute(
        text("UPDATE webhook_endpoint SET active = false, disabled_reason = :reason WHERE id = :id"),
        {"id": endpoint_id, "reason": reason},
    )


async def unfinished(session: Session) -> list[Wake]:
    """Every (endpoint, stream) that still has something pending, for the sweep."""
    rows = await session.execute(
        text(
            "SELECT DISTINCT d.endpoint_id, e.stream FROM webhook_delivery d "
            "JOIN outbound_event e ON e.id = d.event_id JOIN webhook_endpoint w ON w.id = d.endpoint_id "
            "WHERE d.status = 'pending' AND w.active AND d.created_at < now() - interval '5 seconds'"
        )
    )
    return [Wake(str(row.endpoint_id), row.stream) for row in rows]
